"""The eyeball: iris, rings, vessels and pupil, drawn as a polar texture and then wrapped onto the eye.

The texture's rows run from the pupil's edge (0) to the limbus (1), its columns around the eye. It is the same for every
photograph of a bird; a wider or narrower pupil stretches it, as the muscle does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from .fields import Field, along, blurred, colour, mix, smooth_noise, step, to_light

if TYPE_CHECKING:
    from .bird import Bird, Sector

RADII = 96
ANGLES = 640

IRIS_PATH = np.array(
    [
        (0.83, 0.82, 0.82),  # 0 pearl
        (0.89, 0.82, 0.64),  # 1 cream
        (0.91, 0.74, 0.30),  # 2 yellow
        (0.91, 0.60, 0.16),  # 3 gold
        (0.88, 0.43, 0.08),  # 4 orange
        (0.74, 0.27, 0.06),  # 5 deep orange
        (0.46, 0.16, 0.06),  # 6 dark orange
        (0.22, 0.10, 0.06),  # 7 bull brown
        (0.09, 0.06, 0.05),  # 8 bull black
    ],
    dtype=np.float32,
)
"""Display colours of the iris from pearl to bull [9, 3]."""

_ROWS = np.linspace(0.0, 1.0, RADII, dtype=np.float32)[:, None]
_TURN = np.linspace(0.0, 2 * np.pi, ANGLES, endpoint=False, dtype=np.float32)[None, :]
_LIGHT_FROM = -2.2  # radians: upper left, where a photographer's lamp usually stands


def _ring_noise(rng: np.random.Generator, cells: float) -> Field:
    """Noise around the eye only, [1, angles]."""
    return smooth_noise(rng, (1, ANGLES), (1, cells), wrap=True)


def _relief(height: Field) -> Field:
    """Light and shade of a height map [radii, angles] lit from the upper left, same shape, about -1..1."""
    outward = np.gradient(height, axis=0) * RADII * 0.05
    around = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) * (ANGLES * 0.05 / (2 * np.pi))
    away = _TURN - _LIGHT_FROM
    light: Field = np.tanh(-outward * np.cos(away) + around * np.sin(away) / (0.5 + _ROWS))
    return light


def _vessels(bird: Bird, rng: np.random.Generator) -> Field:
    """Blood vessels as winding, branching lines from the rim inwards, [radii, angles] in 0..1."""
    sheet = Image.new("L", (ANGLES, RADII), 0)
    pen = ImageDraw.Draw(sheet)
    for _ in range(int(12 + 60 * bird.vessels)):
        column, row = float(rng.uniform(0, ANGLES)), float(RADII - 1)
        reach = rng.uniform(0.15, 0.75) * (0.5 + 0.6 * bird.vessels)
        drift = float(rng.normal(0, 1.2))
        ink = int(rng.uniform(90, 230))
        wide = 2 if rng.random() < 0.35 else 1
        while row > RADII * (1.0 - reach):
            drift = 0.8 * drift + float(rng.normal(0, 2.0))
            onward = (column + drift, row - float(rng.uniform(3, 7)))
            for shift in (-ANGLES, 0, ANGLES):
                pen.line([(column + shift, row), (onward[0] + shift, onward[1])], fill=ink, width=wide)
            column, row = onward
            ink = max(40, ink - 8)
    return np.asarray(blurred(sheet, 0.7), dtype=np.float32) / 255.0


def _sector_mask(sector: Sector, rng: np.random.Generator) -> Field:
    """Where one wedge of bull pigment lies, [radii, angles] in 0..1, with a ragged edge."""
    ragged = 0.16 * smooth_noise(rng, (RADII, ANGLES), (7, 40), wrap=True) + 0.10 * _ring_noise(rng, 12)
    off = np.abs((_TURN - sector.angle + np.pi) % (2 * np.pi) - np.pi) + ragged * min(1.0, sector.width)
    fan = step(sector.width / 2 + 0.07, sector.width / 2 - 0.07, np.asarray(off, dtype=np.float32))
    reach = step(sector.inner - 0.08, sector.inner + 0.08, _ROWS + 0.3 * ragged)
    return np.asarray(fan * reach, dtype=np.float32)


def iris_texture(bird: Bird) -> Field:
    """The bird's iris in linear light, [radii, angles, 3]."""
    rng = np.random.default_rng(bird.pattern)
    shape = (RADII, ANGLES)
    boundary = bird.zone + 0.07 * _ring_noise(rng, 14) + 0.04 * _ring_noise(rng, 60)
    outer = step(boundary - 0.13, boundary + 0.13, np.broadcast_to(_ROWS, shape))

    bend = (3.0 * smooth_noise(rng, shape, (5, 30), wrap=True)).astype(np.int32)
    fine = smooth_noise(rng, shape, (4, 210), wrap=True) + 0.8 * smooth_noise(rng, shape, (7, 110), wrap=True)
    columns = (np.arange(ANGLES, dtype=np.int32)[None, :] + bend) % ANGLES
    fibres = np.take_along_axis(fine, columns, axis=1)
    lumps = smooth_noise(rng, shape, (13, 80), wrap=True) + 0.6 * smooth_noise(rng, shape, (26, 170), wrap=True)
    patches = smooth_noise(rng, shape, (5, 18), wrap=True)
    shade = _relief(np.asarray(0.5 * bird.fibres * fibres + bird.relief * lumps, dtype=np.float32))

    hue = bird.hue + bird.contrast * (outer - 0.45) * 0.9 + 0.22 * patches + 0.10 * lumps
    picture = along(IRIS_PATH, np.asarray(hue, dtype=np.float32))

    blood = np.clip(bird.vessels * (0.15 + 0.85 * outer) * (0.55 + 0.4 * patches + 0.25 * fibres), 0.0, 0.85)
    picture = mix(picture, picture * colour(0.95, 0.50, 0.42), np.asarray(blood, dtype=np.float32))
    lines = _vessels(bird, rng) * (0.25 + 0.75 * outer) * (0.35 + 0.65 * bird.vessels)
    picture = mix(picture, picture * colour(0.72, 0.20, 0.18), lines)

    stray = step(0.85, 1.6, smooth_noise(rng, shape, (4, 16), wrap=True) + 0.3 * lumps) * bird.freckle
    picture = mix(picture, picture * colour(0.42, 0.30, 0.28), stray)

    ring = step(bird.correlation * 1.25, bird.correlation * 0.75, _ROWS + 0.05 * _ring_noise(rng, 24) + 0.02 * lumps)
    tint = (picture * 0.82, picture * 0.3 + colour(0.24, 0.19, 0.29), picture * 0.45 + colour(0.40, 0.41, 0.38))
    dim = np.clip(1.15 - max(0.0, bird.hue - 4.5) * 0.4, 0.12, 1.0)  # a bull eye hides its rings
    picture = mix(picture, tint[bird.correlation_tint], np.asarray(0.8 * ring * dim, dtype=np.float32))

    for sector in bird.sectors:
        wedge = along(IRIS_PATH, np.asarray(sector.hue + 0.35 * patches + 0.15 * fibres, dtype=np.float32))
        picture = mix(picture, wedge, 0.96 * _sector_mask(sector, rng))

    picture = picture * np.asarray(1.0 + 0.17 * shade + 0.10 * bird.fibres * fibres, dtype=np.float32)[..., None]
    gaps = step(0.9 - 1.5 * bird.adaptation, 1.3 - 1.5 * bird.adaptation, _ring_noise(rng, 6))
    dark = gaps * step(0.11, 0.03, _ROWS + 0.02 * _ring_noise(rng, 50)) * (0.45 + 0.5 * bird.adaptation)
    picture = mix(picture, picture * 0.22, dark)
    edge = 1.0 - bird.rim + 0.03 * _ring_noise(rng, 30)
    line = step(edge - 0.10, edge + 0.5 * bird.rim, np.broadcast_to(_ROWS, shape))
    return to_light(mix(picture, picture * 0.16, 0.92 * line))


def wrap_iris(texture: Field, radius: Field, angle: Field, pupil: float) -> Field:
    """Wrap the polar texture onto the picture plane.

    Args:
        texture: Iris [radii, angles, 3], linear light.
        radius: Distance of each pixel from the eye's centre in iris radii, [rows, columns].
        angle: Direction of each pixel in radians, same shape.
        pupil: Radius of the pupil in iris radii.

    Returns:
        Picture [rows, columns, 3] of the eyeball, pupil and dark globe beyond the limbus included.
    """
    depth = (radius - pupil) / (1.0 - pupil)
    row = np.clip(depth * (RADII - 1) + 0.5, 0, RADII - 1).astype(np.int32)
    column = ((angle * (ANGLES / (2 * np.pi))).astype(np.int32)) % ANGLES
    picture = np.take(texture.reshape(-1, 3), row * ANGLES + column, axis=0)
    hole = step(0.035, -0.02, np.asarray(depth, dtype=np.float32))
    globe = step(0.99, 1.05, radius)
    picture = mix(picture, np.broadcast_to(colour(0.003, 0.003, 0.004), picture.shape), hole)
    return mix(picture, np.broadcast_to(colour(0.012, 0.010, 0.010), picture.shape), globe)
