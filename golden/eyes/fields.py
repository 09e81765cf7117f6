"""Small numeric building blocks of the renderer: noise, steps, mixes and colour curves.

Everything works in float32. A *field* is a plane of numbers, a *picture* is a field with three colour channels.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Field: TypeAlias = NDArray[np.float32]
"""A plane of numbers or a picture; shapes are given where it is used."""

Numbers: TypeAlias = NDArray[np.floating[Any]]
"""What the functions accept: numpy widens to float64 wherever a Python number of its own meets a field."""

GAMMA = 2.2
"""Exponent between the colours written in the source (display values) and light (linear values)."""


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float], *, wrap: bool = False
) -> Field:
    """Band-limited noise: random values on a coarse grid, interpolated bicubically.

    Args:
        rng: Source of randomness.
        shape: Rows and columns of the result.
        cells: Number of grid cells along the rows and the columns; more cells make finer noise.
        wrap: Whether the columns close into a circle, as the angles of a polar texture do.

    Returns:
        Field [rows, columns] with mean near 0 and standard deviation near 0.75.
    """
    rows, columns = max(1, round(cells[0])), max(2, round(cells[1]))
    margin = 2
    grid = rng.standard_normal((rows + 2 * margin, columns), dtype=np.float32)
    if wrap:
        grid = np.concatenate([grid[:, -margin:], grid, grid[:, :margin]], axis=1)
        box = (margin, margin, margin + columns, margin + rows)
    else:
        grid = np.concatenate([grid, rng.standard_normal((rows + 2 * margin, 2 * margin), dtype=np.float32)], axis=1)
        box = (margin, margin, margin + columns, margin + rows)
    picture = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(picture, dtype=np.float32)


def step(low: Numbers | float, high: Numbers | float, value: Numbers) -> Field:
    """Smooth step from 0 at `low` to 1 at `high`, in the shape of `value`; `high` below `low` falls instead."""
    ramp = np.clip((value - low) / (np.asarray(high - low, dtype=np.float32)), 0.0, 1.0)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), dtype=np.float32)


def mix(first: Numbers, second: Numbers, amount: Numbers) -> Field:
    """Blend two pictures [rows, columns, 3] by `amount` [rows, columns], 0 giving the first and 1 the second."""
    return np.asarray(first + (second - first) * amount[..., None], dtype=np.float32)


def colour(red: float, green: float, blue: float) -> Field:
    """One display colour, each channel in 0..1, as a field [3] that broadcasts over pictures."""
    return np.array([red, green, blue], dtype=np.float32)


def along(path: Field, position: Field) -> Field:
    """Colours along a path of anchors, linearly interpolated.

    Args:
        path: Anchors [anchors, 3] at positions 0, 1, 2 and so on.
        position: Field [rows, columns] of positions; beyond the ends the end colours hold.

    Returns:
        Picture [rows, columns, 3].
    """
    place = np.clip(position, 0.0, len(path) - 1.001)
    left = place.astype(np.int32)
    share = (place - left)[..., None]
    return np.asarray(path[left] * (1.0 - share) + path[left + 1] * share, dtype=np.float32)


def to_light(display: Field) -> Field:
    """Display values 0..1 to linear light, any shape."""
    return np.asarray(np.power(np.clip(display, 0.0, 1.0), GAMMA), dtype=np.float32)


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """`picture` under a Gaussian blur of `radius` pixels; a radius too small to see leaves it as it is."""
    return picture if radius < 0.15 else picture.filter(ImageFilter.GaussianBlur(radius))
