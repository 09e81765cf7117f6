"""Light augmentation: position and rotation of the eye vary, its colour is its label and stays."""

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
    """Resize images [n, h, w, 3] to [n, side, side, 3], bilinear with antialiasing; unchanged if they already fit."""
    if pictures.shape[1] == side:
        return pictures
    small = np.empty((len(pictures), side, side, 3), dtype=np.uint8)
    for start in range(0, len(pictures), 256):
        batch = torch.from_numpy(pictures[start : start + 256]).permute(0, 3, 1, 2)
        resized_batch = functional.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        small[start : start + 256] = resized_batch.permute(0, 2, 3, 1).numpy()
    return small


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, rotate by up to 15 degrees, zoom, shift, and change the brightness slightly.

    Args:
        pixels: Normalised images, float32 [batch, 3, h, w].
        generator: Source of randomness.

    Returns:
        Images of the same shape.
    """
    count = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle = uniform(-math.pi / 12, math.pi / 12)
    zoom = uniform(0.85, 1.08)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    upside = torch.where(uniform(0, 1) < 0.15, -1.0, 1.0)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 0, 1] = zoom * flip * angle.cos(), -zoom * angle.sin()
    affine[:, 1, 0], affine[:, 1, 1] = zoom * flip * angle.sin(), zoom * upside * angle.cos()
    affine[:, 0, 2], affine[:, 1, 2] = uniform(-0.06, 0.06), uniform(-0.06, 0.06)
    grid = functional.affine_grid(affine, list(pixels.shape), align_corners=False)
    transformed = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # Brightness only, the same for all channels: a change of hue would change the label.
    return transformed * uniform(0.94, 1.06)[:, None, None, None] + uniform(-0.06, 0.06)[:, None, None, None]
