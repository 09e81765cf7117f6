"""The renderer and the frozen set: drawings repeat, birds stay apart, and labels and files agree."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyes import CLASSES, bird_at, calibration_images, open_upright, photographs
from eyes.camera import develop, encode
from eyes.capture import ORIENTATIONS, sample_capture

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
ORIENTATION_TAG = 0x0112


def golden_rows() -> list[dict[str, str]]:
    """The lines of the frozen set's labels."""
    with (GOLDEN / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_draws_the_same_bytes() -> None:
    """A photograph depends on its place in the list and on nothing else."""
    first, again = ([photograph.jpeg for photograph in photographs("training", 3, 2)] for _ in range(2))
    assert first == again
    assert first[0] != first[1]


def test_birds_of_different_splits_are_different_birds() -> None:
    """Golden, training and validation birds share neither names nor traits."""
    birds = [bird_at(split, index) for split in ("golden", "training", "validation") for index in range(20)]
    assert len({bird.name for bird in birds}) == len(birds)
    assert len({bird.pattern for bird in birds}) == len(birds)


def test_photographs_of_a_bird_share_its_traits() -> None:
    """Two photographs show the same bird under different circumstances."""
    first, second = photographs("training", 4, 2)
    assert first.bird == second.bird
    assert first.capture != second.capture


def test_classes_take_turns_in_their_order() -> None:
    """Consecutive birds go through the classes in the order of the scores, and only split eyes have sectors."""
    birds = [bird_at("validation", index) for index in range(25)]
    assert [bird.label for bird in birds] == list(CLASSES) * 5
    assert all(bool(bird.sectors) == (bird.label == "split") for bird in birds)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_turns_stored_pixels_upright(orientation: int) -> None:
    """Whatever way a picture is stored, applying its EXIF tag gives the picture as it was taken."""
    from dataclasses import replace

    capture = replace(sample_capture(np.random.default_rng(1)), size=(160, 120), quality=95, orientation=orientation)
    rows, columns = np.mgrid[0:120, 0:160].astype(np.float32)
    picture = develop(np.stack([rows / 120, columns / 160, 0.0 * rows], axis=-1), capture)
    jpeg = encode(picture, capture)
    with Image.open(io.BytesIO(jpeg)) as stored:
        assert stored.getexif()[ORIENTATION_TAG] == orientation
        assert stored.size == ((120, 160) if orientation in {6, 8} else (160, 120))
    upright = open_upright(jpeg)
    assert upright.size == picture.size
    assert np.abs(np.asarray(upright, dtype=np.float32) - np.asarray(picture, dtype=np.float32)).mean() < 8.0


def test_labels_agree_with_the_files_on_disk() -> None:
    """Every labelled file exists, every file is labelled, and both name the same bird."""
    rows = golden_rows()
    assert len(rows) == 1200
    files = [row["file"] for row in rows]
    assert sorted(files) == sorted(path.name for path in (GOLDEN / "images").iterdir())
    assert all(Path(row["file"]).name.startswith(row["bird"] + "-") for row in rows)


def test_golden_labels_are_the_labels_of_the_golden_birds() -> None:
    """No label was altered after its bird was drawn, each bird has two photographs, and no training bird is there."""
    rows = golden_rows()
    labels = {bird.name: bird.label for bird in (bird_at("golden", index) for index in range(600))}
    assert all(labels[row["bird"]] == row["label"] for row in rows)
    names = [row["bird"] for row in rows]
    assert all(names.count(name) == 2 for name in labels)


def test_golden_photographs_are_of_several_sizes_and_none_is_square() -> None:
    """The set exercises resizing and EXIF: several sizes, no square one, and the tag that its row says."""
    sizes = set()
    for row in golden_rows()[:120]:
        with Image.open(GOLDEN / "images" / row["file"]) as picture:
            sizes.add(picture.size)
            assert picture.getexif()[ORIENTATION_TAG] == int(row["orientation"])
    assert len(sizes) >= 3
    assert all(width != height for width, height in sizes)


def test_capture_quality_stays_in_its_range() -> None:
    """The capture-quality columns mean what the dataset card says."""
    for row in golden_rows():
        assert 0.0 < float(row["focus"]) <= 1.0
        assert 0.0 <= float(row["glare"]) <= 1.0
        assert 0.0 <= float(row["occlusion"]) <= 1.0
        assert -3.0 < float(row["exposure"]) < 3.0
        assert 60 <= int(row["jpeg_quality"]) <= 95


def test_calibration_draws_training_birds_again_and_again_alike() -> None:
    """The same seed gives the same pictures, upright and in RGB; another seed gives others."""
    first, again, other = (next(calibration_images(1, seed)) for seed in (0, 0, 1))
    assert first.mode == "RGB"
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_calibration_refuses_more_than_there_are() -> None:
    """Asking for no picture, or for more than there are training birds, is a mistake."""
    with pytest.raises(ValueError, match="between 1 and"):
        next(calibration_images(0))
