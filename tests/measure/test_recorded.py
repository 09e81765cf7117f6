"""Recorded outputs stand in for torch, as long as nothing that they depend on has changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure import recorded
from eyerace_parity.runners import torch as torch_runtime
from tests.laboratories import change, laboratory

if TYPE_CHECKING:
    from pathlib import Path

NEED = Need(Outputs, "torch")


def record(bundle: Path) -> Path:
    """Record the bundle's torch variant."""
    place = laboratory(bundle, store=bundle.parent / "first")
    return recorded.write(place.contract, place.obtain(NEED))


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one without torch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(torch_runtime, "installed", lambda: False)


def test_a_machine_without_torch_has_the_same_outputs(image_bundle: Path, monkeypatch) -> None:
    """The recorded numbers are those that torch gave, and say that they are recorded."""
    expected = laboratory(image_bundle, store=image_bundle.parent / "first").obtain(NEED)
    record(image_bundle)
    without_torch(monkeypatch)
    place = laboratory(image_bundle)
    found = place.obtain(NEED)
    np.testing.assert_array_equal(found.arrays["scores"], expected.arrays["scores"])
    assert found.provenance.settings["recorded"] == "recorded/torch.npz"
    assert found.provenance.runtime.startswith("torch ")
    assert found.provenance.runtime != torch_runtime.runtime()
    assert place.key(NEED).startswith("sha256:")


def test_recording_twice_gives_the_same_file(image_bundle: Path) -> None:
    """A recorded file is committed: it must not change without a reason. Nothing else is left in its folder."""
    path = record(image_bundle)
    first = path.read_bytes()
    assert record(image_bundle).read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["torch.npz"]


def test_recorded_outputs_can_be_asked_for(image_bundle: Path) -> None:
    """Also where torch is installed: a run may want to be what a machine without it would be."""
    record(image_bundle)
    found = laboratory(image_bundle, use_recorded=True).obtain(NEED)
    assert "recorded" in found.provenance.settings


def swap_weights(bundle: Path) -> None:
    path = bundle / "tiny.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def edit_source(bundle: Path) -> None:
    path = bundle / "tiny_classifier.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def drop_a_sample(bundle: Path) -> None:
    path = bundle / "labels.csv"
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(rows[:-1]), encoding="utf-8")
    (bundle / "images" / rows[-1].partition(",")[0]).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (swap_weights, "the checkpoint or the factory's source changed"),
        (edit_source, "the checkpoint or the factory's source changed"),
        (drop_a_sample, "the golden set changed"),
        (
            lambda bundle: change(bundle, "mean = [0.5, 0.5, 0.5]", "mean = [0.4, 0.5, 0.5]"),
            "the preprocessing profile",
        ),
        (lambda bundle: change(bundle, 'name = "scores"', 'name = "logits"'), "the outputs of the interface changed"),
        (lambda bundle: (bundle / "recorded/torch.npz").write_bytes(b"torn"), "holds no recorded outputs"),
        (lambda bundle: (bundle / "recorded/torch.npz").unlink(), "there are no recorded outputs"),
        (
            lambda bundle: (bundle / "recorded/torch.npz").write_bytes(
                (bundle / "recorded/torch.npz").read_bytes()[:-100]
            ),
            "holds no recorded outputs",
        ),
    ],
)
def test_stale_and_torn_records_are_errors(image_bundle: Path, spoil, told: str) -> None:
    """What differs is named, and how to record again; a stale reference is never compared with."""
    record(image_bundle)
    spoil(image_bundle)
    with pytest.raises(MeasurementError, match=told) as caught:
        laboratory(image_bundle, use_recorded=True).obtain(NEED)
    assert "eyerace-parity record" in caught.value.next_step
