"""Calibration samples: as many as asked for, as the app feeds them, none of them golden, one at a time in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.variants import Calibration
from eyerace_parity.core.errors import RecipeError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.preprocess.apply import apply
from eyerace_parity.recipes.calibrate import CalibrationReader, draw, samples, tensor_files

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract

SILENT = SilentProgress()
BLOTS = Calibration(images="tiny_calibration:blots", count=5, seed=3)


def opened(bundle: Path, code: str = "") -> Contract:
    """Open a bundle's contract, with further code in its calibration module."""
    if code:
        (bundle / "tiny_calibration.py").write_text(code, encoding="utf-8")
    return open_contract(bundle / "contract.toml")


def drawn(contract: Contract, calibration: Calibration) -> list[dict[str, Any]]:
    """All samples of a calibration."""
    return list(samples(contract, calibration))


def test_pictures_go_through_the_golden_profile(image_bundle: Path) -> None:
    """What is observed is what the app would feed: the same pixels, the same numbers."""
    contract = opened(image_bundle)
    found = drawn(contract, BLOTS)
    from tiny_calibration import blots  # type: ignore[import-not-found]

    wanted = [apply(contract.preprocess["app"], image) for image in blots(5, 3)]
    assert len(found) == 5
    assert all(np.array_equal(a["pixel_values"], b) for a, b in zip(found, wanted, strict=True))


def test_fewer_than_asked_for_are_refused(image_bundle: Path) -> None:
    """A source that ends early would calibrate on less than the recipe says."""
    contract = opened(
        image_bundle, "from PIL import Image\ndef blots(count, seed):\n    yield Image.new('RGB', (9, 9))\n"
    )
    with pytest.raises(RecipeError, match=r"asks for 5 samples, but tiny_calibration:blots gave 1"):
        drawn(contract, BLOTS)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def blots(count, seed):\n    return [1, 2]\n", "yielded a int, not a Pillow image"),
        ("def blots(count, seed):\n    raise RuntimeError('no disk')\n", "failed: RuntimeError: no disk"),
        ("def blots(how_many):\n    return []\n", "failed: TypeError"),
    ],
)
def test_a_faulty_source_is_told(image_bundle: Path, code: str, fault: str) -> None:
    """The user's own code fails with its name, not with a traceback."""
    with pytest.raises(RecipeError, match=fault):
        drawn(opened(image_bundle, code), BLOTS)


def test_a_golden_image_among_them_is_refused(image_bundle: Path, tmp_path: Path) -> None:
    """The file's name does not matter: its content after preprocessing does."""
    golden = sorted((image_bundle / "images").iterdir())[3]
    (image_bundle / "harmless.jpg").write_bytes(golden.read_bytes())
    code = (
        "from pathlib import Path\nfrom PIL import Image\n"
        "def blots(count, seed):\n"
        "    for shade in range(count - 1):\n        yield Image.new('RGB', (9, 9), (shade, 0, 0))\n"
        "    yield Image.open(Path(__file__).parent / 'harmless.jpg')\n"
    )
    contract = opened(image_bundle, code)
    with pytest.raises(RecipeError, match=f"calibration sample 4 is the golden sample '{golden.name}'"):
        draw(contract, BLOTS, tmp_path, SILENT)


def test_other_pictures_pass(image_bundle: Path, tmp_path: Path) -> None:
    """None of them is golden, and what was kept is what was drawn."""
    found, wanted = draw(opened(image_bundle), BLOTS, tmp_path, SILENT), drawn(opened(image_bundle), BLOTS)
    assert len(found) == len(wanted) == 5
    assert all(np.array_equal(found[i]["pixel_values"], wanted[i]["pixel_values"]) for i in range(5))


def test_without_a_golden_set_nothing_is_ruled_out(image_bundle: Path, tmp_path: Path) -> None:
    """What cannot be compared is refused, not waved through."""
    (image_bundle / "labels.csv").unlink()
    with pytest.raises(RecipeError, match="cannot be compared with the golden set"):
        draw(opened(image_bundle), BLOTS, tmp_path, SILENT)


def tensors(bundle: Path, **arrays: Any) -> Calibration:
    """Write calibration tensors into the tensor bundle; returns a calibration of four samples."""
    np.savez(bundle / "observed.npz", **arrays)
    return Calibration(tensors="observed*.npz", count=4)


FEATURES = np.random.default_rng(9).normal(size=(4, 8)).astype(np.float32)
BIRDS = np.arange(4)


def test_tensors_are_read_sample_by_sample(tensor_bundle: Path) -> None:
    """Two inputs, one of them a scalar a sample, in the interface's dtypes."""
    contract = opened(tensor_bundle)
    found = drawn(contract, tensors(tensor_bundle, features=FEATURES, bird=BIRDS))
    assert [sample["bird"].item() for sample in found] == [0, 1, 2, 3]
    assert np.array_equal(np.stack([sample["features"] for sample in found]), FEATURES)
    assert {sample["bird"].dtype.name for sample in found} == {"int64"}


def test_golden_tensors_are_refused(tensor_bundle: Path, tmp_path: Path) -> None:
    """One row of the golden set, all inputs equal, is enough."""
    with np.load(tensor_bundle / "golden" / "races-1.npz") as golden:
        features, bird = FEATURES.copy(), BIRDS.copy()
        features[2], bird[2] = golden["features"][5], golden["bird"][5]
    calibration = tensors(tensor_bundle, features=features, bird=bird)
    with pytest.raises(RecipeError, match="calibration sample 2 is the golden sample"):
        draw(opened(tensor_bundle), calibration, tmp_path, SILENT)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"features": FEATURES}, "holds features, but not bird"),
        ({"features": FEATURES, "bird": BIRDS[:3]}, "holds 4 of features, 3 of bird"),
        ({"features": FEATURES.astype(np.float64), "bird": BIRDS}, "gives float64"),
        ({"features": FEATURES[:, :7], "bird": BIRDS}, r"\[7\] for 'features'"),
        ({"features": FEATURES * np.nan, "bird": BIRDS}, "NaN or infinite values in 'features'"),
        ({"features": np.array([None] * 4), "bird": BIRDS}, "cannot be read as .npz"),
        ({"features": FEATURES[:0], "bird": BIRDS[:0]}, "at least one"),
    ],
)
def test_tensors_that_the_interface_does_not_take_are_refused(
    tensor_bundle: Path, arrays: dict[str, Any], fault: str
) -> None:
    """Missing inputs, uneven lengths, other types and shapes, numbers that are none, pickles."""
    with pytest.raises(RecipeError, match=fault):
        drawn(opened(tensor_bundle), tensors(tensor_bundle, **arrays))


def test_no_file_at_all_is_told(tensor_bundle: Path) -> None:
    """The pattern is shown with the folder that it is relative to."""
    with pytest.raises(RecipeError, match=r"no file matches calibration\.tensors = 'gone/\*\.npz'"):
        drawn(opened(tensor_bundle), Calibration(tensors="gone/*.npz", count=1))
    assert tensor_files(opened(tensor_bundle), Calibration(tensors="gone/*.npz", count=1)) == ()


def test_strides_hand_out_every_sample_once(image_bundle: Path, tmp_path: Path) -> None:
    """ONNX Runtime asks stride by stride; nothing is skipped, nothing repeated, and each has a batch axis."""
    advanced = []
    contract = opened(image_bundle)
    reader = CalibrationReader(contract, draw(contract, BLOTS, tmp_path, SILENT), lambda: advanced.append(1))
    shapes = []
    for start in range(len(reader)):
        reader.set_range(start, start + 1)
        while (feeds := reader.get_next()) is not None:
            shapes.append(feeds["pixel_values"].shape)
    assert shapes == [(1, 3, 32, 32)] * 5
    assert len(advanced) == 5
