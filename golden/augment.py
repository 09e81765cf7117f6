"""Light augmentation: the eye may lie anywhere and turned, but its colour is its label and stays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def resized(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures [n, h, w, 3] at [n, side, side, 3], bilinear with antialiasing; unchanged where they fit already."""
    if pictures.shape[1] == side:
        return pictures
    small = np.empty((len(pictures), side, side, 3), dtype=np.uint8)
    for start in range(0, len(pictures), 256):
        batch = torch.from_numpy(pictures[start : start + 256]).permute(0, 3, 1, 2)
        lowered = functional.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        small[start : start + 256] = lowered.permute(0, 2, 3, 1).numpy()
    return small


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, turn a little, zoom a little, shift a little, and change the brightness slightly.

    Args:
        pixels: Normalised pictures, float32 [batch, 3, h, w].
        generator: Source of randomness.

    Returns:
        Pictures of the same shape.
    """
    count = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle = uniform(-math.pi / 12, math.pi / 12)
    zoom = uniform(0.85, 1.08)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    upside = torch.where(uniform(0, 1) < 0.15, -1.0, 1.0)
    place = torch.zeros(count, 2, 3)
    place[:, 0, 0], place[:, 0, 1] = zoom * flip * angle.cos(), -zoom * angle.sin()
    place[:, 1, 0], place[:, 1, 1] = zoom * flip * angle.sin(), zoom * upside * angle.cos()
    place[:, 0, 2], place[:, 1, 2] = uniform(-0.06, 0.06), uniform(-0.06, 0.06)
    grid = functional.affine_grid(place, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return moved * uniform(0.94, 1.06)[:, None, None, None] + uniform(-0.06, 0.06)[:, None, None, None]
