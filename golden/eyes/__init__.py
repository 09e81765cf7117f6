"""A renderer of pigeon-eye photographs: a bird's traits, its eye, its surroundings, and a camera that spoils it all."""

from __future__ import annotations

from .bird import CLASSES, Bird, sample_bird
from .calibration import calibration_images
from .dataset import SPLITS, Photograph, bird_at, open_upright, photographs

__all__ = [
    "CLASSES",
    "SPLITS",
    "Bird",
    "Photograph",
    "bird_at",
    "calibration_images",
    "open_upright",
    "photographs",
    "sample_bird",
]
