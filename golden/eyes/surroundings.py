"""What lies around the eyeball: eyelids, the bare wrinkled skin of the eye cere, and the feathers of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .fields import Field, colour, mix, smooth_noise, step

if TYPE_CHECKING:
    from .bird import Bird

_FEATHERS = {
    "blue": (colour(0.44, 0.48, 0.55), colour(0.30, 0.33, 0.40)),
    "checker": (colour(0.36, 0.39, 0.45), colour(0.17, 0.19, 0.24)),
    "black": (colour(0.15, 0.15, 0.17), colour(0.08, 0.09, 0.10)),
    "red": (colour(0.52, 0.31, 0.24), colour(0.38, 0.20, 0.15)),
    "white": (colour(0.86, 0.85, 0.82), colour(0.72, 0.71, 0.69)),
    "brown": (colour(0.40, 0.33, 0.27), colour(0.27, 0.21, 0.17)),
}
_PALE_SKIN = colour(0.82, 0.73, 0.69)
_GREY_SKIN = colour(0.47, 0.45, 0.46)
_TURN_CELLS = 512


@dataclass(frozen=True, slots=True)
class Opening:
    """The gap between the eyelids.

    Attributes:
        wide: Half width in iris radii.
        upper: Half height of the upper lid's arc.
        lower: Half height of the lower lid's arc.
        corner: How pointed the corner towards the beak is, 0 round to 1 sharp.
        tilt: Rotation of the lids, radians.
    """

    wide: float
    upper: float
    lower: float
    corner: float
    tilt: float


def lid_distance(opening: Opening, across: Field, down: Field) -> Field:
    """How far each pixel is through the lid opening: below 1 inside, 1 on the lid's edge, more outside.

    Args:
        opening: Shape of the gap.
        across: Horizontal place in iris radii, [rows, columns].
        down: Vertical place in iris radii, downwards, same shape.

    Returns:
        Field [rows, columns].
    """
    x = across * np.float32(np.cos(opening.tilt)) + down * np.float32(np.sin(opening.tilt))
    y = down * np.float32(np.cos(opening.tilt)) - across * np.float32(np.sin(opening.tilt))
    height = np.where(y < 0, np.float32(opening.upper), np.float32(opening.lower))
    towards_beak = np.clip(-x / opening.wide, 0.0, 1.3)
    pinch = 1.0 + opening.corner * 0.55 * towards_beak * towards_beak
    return np.asarray(np.sqrt((x / opening.wide) ** 2 + (y * pinch / height) ** 2), dtype=np.float32)


def _polar(table: Field, turn: Field, reach: Field, far: float) -> Field:
    """Look a polar table [reach, turn] up at angles `turn` (radians) and distances `reach` (0..far)."""
    rows, columns = table.shape[:2]
    row = np.clip(reach * (rows / far), 0, rows - 1).astype(np.int32)
    column = (turn * (columns / (2 * np.pi))).astype(np.int32) % columns
    looked_up: Field = np.take(table.reshape(rows * columns), row * columns + column)
    return looked_up


def _feathers(bird: Bird, rng: np.random.Generator, turn: Field, reach: Field, flow: Field) -> Field:
    """Short head feathers that lie like tiles away from the eye, display colours [rows, columns, 3].

    Args:
        bird: Whose feathers.
        rng: Source of their arrangement, the bird's own.
        turn: Direction of each pixel from the eye's centre, radians [rows, columns].
        reach: Distance in iris radii, same shape.
        flow: Slow noise that keeps the rows from looking ruled, same shape.
    """
    light, dark = _FEATHERS[bird.plumage]
    spacing = 0.26
    depth = (reach + 0.22 * flow) / spacing
    row = np.floor(depth)
    lane = (turn + 0.10 * flow) * (30.0 / (2 * np.pi)) + 0.5 * (row % 2)
    across = 2.0 * (lane - np.floor(lane)) - 1.0
    scallop = depth - row + 0.45 * across * across
    over = scallop >= 1.0
    tile = ((row + over) * 57 + np.floor(lane + 0.5 * over)).astype(np.int32)
    along_tile = np.asarray(np.where(over, scallop - 1.0, scallop), dtype=np.float32)
    dice = rng.random(4099).astype(np.float32)[tile % 4099]
    barbs = _polar(smooth_noise(rng, (160, _TURN_CELLS), (26, 230), wrap=True), turn, reach, 4.0)
    tone = 0.15 + 0.35 * dice + 0.30 * along_tile + 0.24 * barbs + 0.12 * flow
    picture = mix(np.broadcast_to(dark, (*turn.shape, 3)), np.broadcast_to(light, (*turn.shape, 3)), tone)
    fringe = 0.78 + 0.22 * step(0.0, 0.45, along_tile)
    picture = picture * fringe[..., None]
    if bird.plumage in {"blue", "checker", "black"}:
        sheen = np.clip(0.5 * flow + 0.3 * dice - 0.1, 0.0, 1.0) * 0.35
        picture = mix(picture, picture * colour(0.75, 1.15, 0.95), np.asarray(sheen, dtype=np.float32))
    return picture


def draw_surroundings(bird: Bird, turn: Field, reach: Field, lids: Field) -> Field:
    """Skin, lid margins and feathers around the opening.

    Args:
        bird: Whose head.
        turn: Direction of each pixel from the eye's centre, radians [rows, columns].
        reach: Distance in iris radii, same shape.
        lids: Distance through the lid opening from `lid_distance`, same shape.

    Returns:
        Display colours [rows, columns, 3].
    """
    rng = np.random.default_rng(bird.pattern + 1)
    slow = smooth_noise(rng, (64, _TURN_CELLS), (9, 22), wrap=True)
    flow = _polar(slow, turn, reach, 4.0)
    wrinkles = smooth_noise(rng, (160, _TURN_CELLS), (64, 36), wrap=True)
    pores = smooth_noise(rng, (160, _TURN_CELLS), (70, 150), wrap=True)
    height = 0.8 * wrinkles + (0.35 + 0.4 * bird.skin) * pores
    relief = np.tanh(1.2 * (np.roll(height, 1, axis=0) - height) + 0.7 * (height - np.roll(height, 2, axis=1)))
    bumps = _polar(np.asarray(relief, dtype=np.float32), turn, lids, 3.0)
    base = _PALE_SKIN * (1.0 - bird.skin) + _GREY_SKIN * bird.skin
    blush = np.clip(0.25 + 0.25 * flow, 0.0, 0.6)
    skin = mix(np.broadcast_to(base, (*turn.shape, 3)), base * colour(1.0, 0.72, 0.68), blush)
    skin = skin * np.asarray(0.86 + 0.24 * bumps + 0.06 * flow, dtype=np.float32)[..., None]

    margin = step(1.16, 1.05, lids + 0.02 * bumps)
    lip = base * (1.05 - 0.55 * bird.skin) * colour(1.0, 0.93, 0.88)
    sheen = np.asarray(0.82 + 0.5 * step(1.01, 1.06, lids) * step(1.14, 1.07, lids), dtype=np.float32)
    skin = mix(skin, np.broadcast_to(lip, skin.shape) * sheen[..., None], margin)
    crease = step(1.14, 1.19, lids) * step(1.26, 1.19, lids + 0.02 * bumps)
    skin = mix(skin, skin * 0.55, np.asarray(0.8 * crease, dtype=np.float32))

    edge = bird.cere + 0.06 * flow + 0.06 * bumps
    plumes = step(edge - 0.10, edge + 0.12, lids)
    picture = mix(skin, _feathers(bird, rng, turn, reach, flow), plumes)
    shadow = 1.0 - 0.30 * step(0.14, 0.0, np.abs(lids - edge - 0.02))
    return np.asarray(np.clip(picture * shadow[..., None], 0.0, 1.0), dtype=np.float32)
