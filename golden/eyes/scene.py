"""One bird under one set of circumstances: light that reaches the lens, before the camera spoils it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .anatomy import wrap_iris
from .fields import Field, colour, mix, smooth_noise, step, to_light
from .surroundings import draw_surroundings, lid_distance

if TYPE_CHECKING:
    from .bird import Bird
    from .capture import Capture

_DISPLAY_TO_LIGHT = to_light(np.linspace(0.0, 1.0, 256, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class Scene:
    """Light in the picture plane and what it shows of the iris.

    Attributes:
        light: Linear light [rows, columns, 3]; reflections exceed 1.
        glare: Share of the iris under reflections, 0 to 1.
        hidden: Share of the iris behind lids, film or feathers, 0 to 1.
    """

    light: Field
    glare: float
    hidden: float


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where every pixel lies as seen from the eye; all fields [rows, columns], lengths in iris radii."""

    across: Field
    down: Field
    radius: Field
    angle: Field
    lids: Field


def _plane(capture: Capture, scale: float) -> _Plane:
    """Coordinates of the picture plane at `scale` times the photograph's size."""
    width, height = (round(side * scale) for side in capture.size)
    unit = capture.radius * min(capture.size) * scale
    x = (np.arange(width, dtype=np.float32) + 0.5 - capture.centre[0] * width)[None, :] / np.float32(unit)
    y = (np.arange(height, dtype=np.float32) + 0.5 - capture.centre[1] * height)[:, None] / np.float32(unit)
    if capture.mirrored:
        x = -x
    cos, sin = np.float32(np.cos(capture.roll)), np.float32(np.sin(capture.roll))
    across, down = x * cos + y * sin, y * cos - x * sin
    lean_cos, lean_sin = np.float32(np.cos(capture.turn)), np.float32(np.sin(capture.turn))
    leaning = (across * lean_cos + down * lean_sin) * np.float32(1.0 / capture.squeeze - 1.0)
    across, down = across + leaning * lean_cos, down + leaning * lean_sin
    radius = np.sqrt(across * across + down * down)
    angle = np.arctan2(down, across) + np.float32(np.pi)
    return _Plane(across, down, radius, angle, lid_distance(capture.opening, across, down))


def _around(bird: Bird, capture: Capture) -> Field:
    """Skin and feathers in linear light, drawn smaller and enlarged: they lie out of the plane of focus."""
    plane = _plane(capture, 0.5)
    display = draw_surroundings(bird, plane.angle, plane.radius, plane.lids)
    small = Image.fromarray((display * 255.0).astype(np.uint8))
    light: Field = _DISPLAY_TO_LIGHT[np.asarray(small.resize(capture.size, Image.Resampling.BICUBIC))]
    return light


def _reflections(capture: Capture, plane: _Plane, rng: np.random.Generator) -> Field:
    """Strength of the lamp's mirror images on the cornea, [rows, columns], 1 saturating."""
    lamp = capture.lamp if not capture.mirrored else np.pi - capture.lamp
    away = rng.uniform(0.1, 0.5)
    x = plane.across - np.float32(away * np.cos(lamp))
    y = plane.down - np.float32(away * np.sin(lamp))
    strength = 0.25 + 1.6 * capture.glare
    if capture.ring > 0.0:
        reach = np.sqrt(x * x + y * y)
        thick = 0.012 + 0.05 * capture.glare
        band = step(thick + 0.02, thick * 0.5, np.abs(reach - capture.ring))
        lamps = int(rng.integers(8, 28))
        beads = 0.55 + 0.45 * np.cos(np.arctan2(y, x) * lamps)
        shape = band * (np.clip(beads * 1.6, 0.0, 1.0) if rng.random() < 0.7 else 1.0)
    else:
        wide, high = rng.uniform(0.06, 0.2) + 0.1 * capture.glare, rng.uniform(0.06, 0.22) + 0.1 * capture.glare
        lean = rng.uniform(-0.35, 0.35)
        u, v = x + lean * y + 0.5 * y * y, y - lean * x
        pane = step(wide, wide - 0.05, np.abs(u)) * step(high, high - 0.05, np.abs(v))
        bars = step(0.004, 0.016, np.abs(u)) * step(0.004, 0.016, np.abs(v)) if rng.random() < 0.5 else 1.0
        shape = pane * bars
    spark_x, spark_y = rng.uniform(-0.5, 0.5, 2)
    spark = step(0.012, 0.003, (plane.across - spark_x) ** 2 * 4 + (plane.down - spark_y) ** 2 * 4)
    veil = step(1.5, 0.0, np.sqrt(x * x + y * y)) * (0.02 + 0.30 * max(0.0, capture.glare - 0.45))
    sky = step(0.25, -1.0, plane.down) * step(1.02, 0.7, plane.radius) * 0.05 * rng.uniform(0.2, 1.0)
    return np.asarray(strength * (1.8 * shape + 0.9 * spark * rng.integers(0, 2)) + veil + sky, dtype=np.float32)


def _strands(capture: Capture, plane: _Plane, rng: np.random.Generator) -> Field:
    """Feather strands that fell across the eye, [rows, columns], 0 clear to 1 covered."""
    cover = np.zeros_like(plane.radius)
    for _ in range(capture.strands):
        lean, offset, bow = rng.uniform(0, np.pi), rng.uniform(-0.9, 0.9), rng.normal(0, 0.25)
        u = plane.across * np.float32(np.cos(lean)) + plane.down * np.float32(np.sin(lean))
        v = plane.down * np.float32(np.cos(lean)) - plane.across * np.float32(np.sin(lean)) - offset - bow * u * u
        wide = rng.uniform(0.015, 0.10)
        tip = rng.uniform(-0.2, 1.0)
        strand = step(wide + 0.03, wide * 0.4, np.abs(v)) * step(tip + 0.3, tip - 0.2, u)
        cover = np.maximum(cover, strand * np.float32(rng.uniform(0.6, 0.95)))
    return np.asarray(cover, dtype=np.float32)


def _film(capture: Capture, plane: _Plane, rng: np.random.Generator) -> Field:
    """The third eyelid drawn from the beak's side, [rows, columns] opacity."""
    reach = -1.15 + 2.0 * capture.film + 0.05 * smooth_noise(rng, plane.radius.shape, (4, 4))
    return np.asarray(0.78 * step(reach + 0.10, reach - 0.06, plane.across + 0.35 * plane.down), dtype=np.float32)


def compose(bird: Bird, texture: Field, capture: Capture) -> Scene:
    """Put eye, lids, skin, feathers, reflections and obstacles together.

    Args:
        bird: Whose eye.
        texture: That bird's iris from `anatomy.iris_texture`.
        capture: The circumstances.

    Returns:
        The scene in linear light.
    """
    rng = np.random.default_rng(capture.seed)
    plane = _plane(capture, 1.0)
    iris = (plane.radius < 1.0) & (plane.radius > capture.pupil)
    eye = wrap_iris(texture, plane.radius, plane.angle, capture.pupil)

    # The cornea gathers light on the side opposite the lamp; the upper lid throws a shadow.
    lamp = capture.lamp if not capture.mirrored else np.pi - capture.lamp
    glow = 1.0 - 0.28 * (plane.across * np.float32(np.cos(lamp)) + plane.down * np.float32(np.sin(lamp)))
    near = step(1.0, 0.72, plane.lids)
    shade = glow * (1.0 - (1.0 - near) * (0.45 - 0.35 * np.clip(plane.down, -1.0, 1.0)))
    eye = np.asarray(eye * np.clip(shade, 0.05, 2.0)[..., None], dtype=np.float32)

    film = _film(capture, plane, rng) if capture.film else None
    if film is not None:
        eye = mix(eye, np.broadcast_to(colour(0.38, 0.40, 0.42), eye.shape) * shade[..., None], film)
    shine = _reflections(capture, plane, rng) * step(1.03, 0.95, plane.radius)
    eye = np.asarray(eye + shine[..., None] * colour(0.97, 1.0, 1.03), dtype=np.float32)

    outside = step(0.985, 1.02, plane.lids)
    light = mix(eye, _around(bird, capture), outside)
    strands = _strands(capture, plane, rng) if capture.strands else None
    if strands is not None:
        light = mix(
            light, np.broadcast_to(colour(0.30, 0.29, 0.29) * np.float32(rng.uniform(0.3, 1.8)), light.shape), strands
        )

    covered = outside > 0.5
    for veil in (film, strands):
        if veil is not None:
            covered = covered | (veil > 0.4)
    seen = max(1, int(iris.sum()))
    glare = float((iris & ~covered & (shine > 0.25)).sum()) / seen
    return Scene(light=light, glare=glare, hidden=float((iris & covered).sum()) / seen)
