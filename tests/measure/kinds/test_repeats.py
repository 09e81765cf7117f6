"""Samples run again, and as one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.evidence.answers import Outputs, Repeats
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.kinds import outputs, repeats
from tests.laboratories import bench, change, floats
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path


def repeat(bundle: Path, variant: str = "fp32") -> Repeats:
    """A variant's repeats, measured without a store."""
    place = bench(bundle)
    need = Need(Repeats, variant)
    return repeats.measure(place, need, repeats.provenance(place, need))


def test_eight_samples_are_chosen_for_good() -> None:
    """The choice depends on nothing but the size of the set, is sorted, and has no sample twice."""
    assert repeats.chosen(1200) == repeats.chosen(1200)
    assert len(set(repeats.chosen(1200))) == repeats.SAMPLES
    assert list(repeats.chosen(1200)) == sorted(repeats.chosen(1200))
    assert repeats.chosen(3) == (0, 1, 2)


def test_all_three_rounds_answer_the_same_samples(image_bundle: Path) -> None:
    """First, again and batched are the samples' rows of the whole evaluation."""
    place = bench(image_bundle)
    need = Need(Outputs, "fp32")
    answers = outputs.measure(place, need, outputs.provenance(place, need)).arrays
    whole = floats(answers["scores"])
    found = repeat(image_bundle)
    assert len(found.samples) == repeats.SAMPLES
    for rows in (found.first, found.again, found.batched):
        np.testing.assert_allclose(floats(rows["scores"]), whole[list(found.samples)], atol=1e-6)
    assert not found.batch_refused


def test_an_unsteady_module_shows(image_bundle: Path) -> None:
    """A module that answers differently the second time has different rounds."""
    path = image_bundle / "tiny_classifier.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("return self.head(features)", "return self.head(features) + torch.rand(1)"))
    found = repeat(image_bundle, "torch")
    assert not np.array_equal(found.first["scores"], found.again["scores"])


def test_a_refused_batch_is_evidence(image_bundle: Path) -> None:
    """A file that takes one at a time, though the contract says otherwise: the reason is kept, the rest measured."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", shape=(1, 3, 32, 32))
    found = repeat(image_bundle)
    assert "pixel_values" in found.batch_refused
    assert not found.batched
    assert found.again["scores"].shape == (8, 3)


def test_no_batch_is_tried_where_the_contract_has_none(image_bundle: Path) -> None:
    """A fixed batch axis is the contract's word, not a refusal."""
    change(image_bundle, 'shape = ["batch", 3, 32, 32]', "shape = [1, 3, 32, 32]")
    found = repeat(image_bundle)
    assert not found.batched
    assert not found.batch_refused
