"""Pictures for calibrating a quantised model: training birds only, never golden ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .dataset import SEED, photographs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

TRAINING_BIRDS = 6000
"""How many birds the committed checkpoint was trained on."""


def calibration_images(count: int, seed: int = 0) -> Iterator[Image.Image]:
    """Draw photographs of training birds, upright and in RGB, classes in turn.

    Args:
        count: Number of photographs, one a bird.
        seed: Which birds: the same seed gives the same pictures.

    Yields:
        RGB pictures of their own sizes, not resized or normalised.

    Raises:
        ValueError: If more pictures are asked for than there are training birds.
    """
    if not 0 < count <= TRAINING_BIRDS:
        message = f"count must lie between 1 and {TRAINING_BIRDS}, not {count}"
        raise ValueError(message)
    start = int(np.random.default_rng([SEED, seed]).integers(TRAINING_BIRDS))
    for offset in range(count):
        (photograph,) = photographs("training", (start + offset) % TRAINING_BIRDS, 1)
        yield photograph.upright()
