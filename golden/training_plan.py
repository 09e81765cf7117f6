"""The plan of a training, as plain numbers that are saved with its result."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

# On two cores training runs at 48 images/s at 112 x 112 and at 16 images/s at 224 x 224 (measured).
DEFAULT_STAGES = "96x7@6000,128x1@6000,224x7@1600"
"""Stages of the committed checkpoint: most of the training uses small images, the end full size."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a training.

    Attributes:
        stages: Side of the images in pixels, number of epochs, and images in each epoch; in order.
        training_birds: Birds to train on.
        training_each: Photographs of each.
        validation_birds: Birds for validation, one photograph each.
        batch: Images a step.
        rate: Highest learning rate.
        decay: Weight decay.
        smoothing: Label smoothing of the loss.
        average: Decay of the moving average of the weights, per step.
        seed: Seed of initial weights, order and augmentation.
    """

    stages: tuple[tuple[int, int, int], ...]
    training_birds: int
    training_each: int
    validation_birds: int
    batch: int
    rate: float
    decay: float
    smoothing: float
    average: float
    seed: int

    def epochs(self) -> list[tuple[int, int]]:
        """Side and number of images of each epoch."""
        return [(side, pictures) for side, epochs, pictures in self.stages for _ in range(epochs)]


def parse_stages(text: str) -> tuple[tuple[int, int, int], ...]:
    """Parse `96x4@6000,224x2@1600` into ((96, 4, 6000), (224, 2, 1600))."""
    matches = [re.fullmatch(r"(\d+)x(\d+)@(\d+)", part) for part in text.split(",")]
    stages = [tuple(int(number) for number in match.groups()) for match in matches if match]
    if len(stages) != len(matches):
        message = f"{text!r} is not like 96x4@6000,224x2@1600"
        raise argparse.ArgumentTypeError(message)
    return tuple((side, epochs, pictures) for side, epochs, pictures in stages)
