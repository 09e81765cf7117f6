"""Rendered splits as arrays, drawn once on all cores and kept in the ignored build folder.

The cache key is a digest of what the renderer draws, so training never uses images of an older renderer.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.progress import track

from eyes import CLASSES, open_upright, photographs

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
SIDE = 224


@dataclass(frozen=True, slots=True)
class Examples:
    """Images squashed to a square, with their labels.

    Attributes:
        pictures: RGB bytes [examples, 224, 224, 3].
        labels: Class numbers [examples].
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]


def squashed(picture: Image.Image, side: int = SIDE) -> NDArray[np.uint8]:
    """Resize an upright RGB image without cropping to [side, side, 3], as the app prepares its input."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)


@cache
def renderer_digest() -> str:
    """Digest of some test photographs, 12 hex digits: it changes exactly when the drawings change."""
    digest = hashlib.sha256()
    for index in range(2 * len(CLASSES)):
        for photograph in photographs("proxy", index, 1):
            digest.update(photograph.jpeg)
    return digest.hexdigest()[:12]


def _bird_pictures(index: int, split: str, count: int) -> NDArray[np.uint8]:
    """Squashed photographs of one bird, [count, side, side, 3]."""
    return np.stack([squashed(photograph.upright()) for photograph in photographs(split, index, count)])


def rendered(split: str, birds: int, each: int) -> Examples:
    """Load a rendered split; draw it first if it is missing.

    Args:
        split: Name of the split.
        birds: Number of birds.
        each: Photographs of each bird.

    Returns:
        The split's examples, bird by bird.
    """
    path = BUILD / f"{split}-{birds}x{each}-{renderer_digest()}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        pictures = np.empty((birds * each, SIDE, SIDE, 3), dtype=np.uint8)
        draw = partial(_bird_pictures, split=split, count=each)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            batches = pool.map(draw, range(birds), chunksize=8)
            for index, batch in enumerate(track(batches, f"draw {split}", total=birds)):
                pictures[index * each : (index + 1) * each] = batch
        # Renamed when complete, so that an interrupted run leaves no partial cache.
        partial_file = path.with_suffix(".part.npy")
        np.save(partial_file, pictures)
        partial_file.replace(path)
    labels = np.repeat(np.arange(birds) % len(CLASSES), each)
    return Examples(np.load(path), labels)


def golden_examples(folder: Path = HERE) -> Examples:
    """The frozen golden set, read from its JPEG files in the order of `labels.csv`."""
    rows = [line.split(",")[:2] for line in (folder / "labels.csv").read_text("utf-8").splitlines()[1:]]
    pictures = [squashed(open_upright((folder / "images" / file).read_bytes())) for file, _ in rows]
    return Examples(np.stack(pictures), np.array([CLASSES.index(label) for _, label in rows], dtype=np.int64))
