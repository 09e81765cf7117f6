"""Freeze the golden set: `python golden/freeze.py` draws it once and writes the photographs and their labels.

Other people compare against a frozen set, so this refuses to replace one without --force.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from eyes import photographs

HERE = Path(__file__).resolve().parent
BIRDS = 600
EACH = 2
COLUMNS = ("file", "label", "bird", "focus", "glare", "exposure", "occlusion", "jpeg_quality", "orientation")


@dataclass(frozen=True, slots=True)
class Frozen:
    """One photograph, ready to write.

    Attributes:
        row: Its line of `labels.csv`, in the order of `COLUMNS`.
        jpeg: Its bytes.
        size: Width and height after applying the orientation, in pixels.
    """

    row: tuple[str, ...]
    jpeg: bytes
    size: tuple[int, int]


def golden_bird(index: int) -> list[Frozen]:
    """Both photographs of the golden bird number `index`."""
    return [
        Frozen(
            row=(
                photograph.file,
                photograph.bird.label,
                photograph.bird.name,
                f"{photograph.focus:.3f}",
                f"{photograph.glare:.4f}",
                f"{photograph.capture.exposure:.3f}",
                f"{photograph.hidden:.4f}",
                str(photograph.capture.quality),
                str(photograph.capture.orientation),
            ),
            jpeg=photograph.jpeg,
            size=photograph.capture.size,
        )
        for photograph in photographs("golden", index, EACH)
    ]


def write(frozen: list[Frozen], folder: Path) -> None:
    """Write images and labels into `folder`. Labels come last, so that an unfinished set has none."""
    images, labels = folder / "images", folder / "labels.csv"
    # An interrupted run must not leave old labels beside new images.
    labels.unlink(missing_ok=True)
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    for photograph in frozen:
        (images / photograph.row[0]).write_bytes(photograph.jpeg)
    with labels.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(photograph.row for photograph in frozen)


def summary(frozen: list[Frozen]) -> str:
    """Describe the set in a few lines."""
    total = sum(len(photograph.jpeg) for photograph in frozen)
    birds = len({photograph.row[2] for photograph in frozen})
    classes = Counter(photograph.row[1] for photograph in frozen)
    sizes = Counter(f"{photograph.size[0]}x{photograph.size[1]}" for photograph in frozen)
    turns = Counter(photograph.row[-1] for photograph in frozen)
    lines = [
        f"{len(frozen)} photographs of {birds} birds, {total / 1e6:.1f} MB, {total / len(frozen) / 1e3:.1f} kB each"
    ]
    for title, counts in (("classes", classes), ("sizes", sizes), ("orientations", turns)):
        lines.append(f"{title:13}" + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return "\n".join(lines)


def main() -> None:
    """Draw, write and describe the golden set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="replace the existing set")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the bundle (%(default)s)")
    options = parser.parse_args()
    if (options.folder / "labels.csv").exists() and not options.force:
        parser.error(f"{options.folder / 'labels.csv'} already exists; --force replaces it")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        birds = track(pool.map(golden_bird, range(BIRDS), chunksize=8), "draw golden", total=BIRDS)
        frozen = [photograph for bird in birds for photograph in bird]
    write(frozen, options.folder)
    print(summary(frozen))


if __name__ == "__main__":
    main()
