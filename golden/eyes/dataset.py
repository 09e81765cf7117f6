"""Which birds and photographs exist: every split is a fixed, endless-enough list computed from one seed.

A split is named by a letter, and so are its birds (`G0001`, `T0001`, ...): birds of different splits are drawn from
different streams and can never be the same bird.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from .anatomy import iris_texture
from .bird import CLASSES, Bird, sample_bird
from .camera import develop, encode
from .capture import Capture, sample_capture
from .scene import compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fields import Field

SEED = 20240

SPLITS = {"golden": "G", "training": "T", "validation": "V", "proxy": "P"}
"""Splits and the letter that their birds' names begin with."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph of one bird.

    Attributes:
        bird: Who is on it.
        number: Which of the bird's photographs, from 0.
        capture: How it was taken.
        jpeg: The file's bytes.
        glare: Share of the iris under reflections, 0 to 1.
        hidden: Share of the iris behind lids, film or feathers, 0 to 1.
    """

    bird: Bird
    number: int
    capture: Capture
    jpeg: bytes
    glare: float
    hidden: float

    @property
    def file(self) -> str:
        """File name of the photograph inside its folder."""
        return f"{self.bird.name}-{self.number + 1}.jpg"

    @property
    def focus(self) -> float:
        """Sharpness from 1 (crisp) towards 0, from defocus and motion together."""
        blur = float(np.hypot(self.capture.defocus - 0.5, self.capture.motion / 3.0))
        return 1.0 / (1.0 + (blur / 2.0) ** 2)

    def upright(self) -> Image.Image:
        """The photograph decoded and turned upright, RGB."""
        return open_upright(self.jpeg)


def open_upright(jpeg: bytes) -> Image.Image:
    """Decode JPEG bytes, apply the EXIF orientation and convert to RGB."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def bird_at(split: str, index: int, seed: int = SEED) -> Bird:
    """The `index`-th bird of a split; classes take turns, so that any run of birds is balanced.

    Args:
        split: One of `SPLITS`.
        index: Number of the bird from 0.
        seed: Seed of the whole collection.

    Returns:
        The bird.
    """
    letter = SPLITS[split]
    rng = np.random.default_rng([seed, ord(letter), index])
    return sample_bird(f"{letter}{index + 1:04d}", CLASSES[index % len(CLASSES)], rng)


def photographs(split: str, index: int, count: int, seed: int = SEED) -> Iterator[Photograph]:
    """Take `count` photographs of the `index`-th bird of a split.

    Args:
        split: One of `SPLITS`.
        index: Number of the bird from 0.
        count: Number of photographs.
        seed: Seed of the whole collection.

    Yields:
        The photographs in order.
    """
    bird = bird_at(split, index, seed)
    texture: Field = iris_texture(bird)
    for number in range(count):
        capture = sample_capture(np.random.default_rng([seed, ord(SPLITS[split]), index, number]))
        scene = compose(bird, texture, capture)
        jpeg = encode(develop(scene.light, capture), capture)
        yield Photograph(bird, number, capture, jpeg, scene.glare, scene.hidden)
