"""Weights and ranges beside those of the reference: the numbers themselves, on files that were changed for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import LayerPair, Weights
from eyerace_parity.measure.batching import batch_of, evenly
from eyerace_parity.measure.kinds import weights
from tests.laboratories import bench, laboratory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FP32 = Need(Weights, "fp32", versus="torch")
INT8 = Need(Weights, "int8", versus="fp32")


def alter(bundle: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the weights of the first convolution of the float file."""
    path = bundle / "build/tiny.fp32.onnx"
    model = onnx.load(path)
    name = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))
    onnx.save(model, path)


def first(bundle: Path) -> LayerPair:
    """The first layer of the float file beside a fresh export of torch."""
    found = laboratory(bundle).obtain(FP32)
    assert not found.failure
    return found.layers[0]


def test_an_export_has_the_weights_of_its_source(image_bundle: Path) -> None:
    """Exported anew by the same recipe, torch is the same file: every layer is there, and none differs."""
    found = laboratory(image_bundle).obtain(FP32)
    assert (found.against, found.failure, len(found.layers)) == ("a fresh export of torch", "", 3)
    for layer in found.layers:
        assert (layer.error, layer.step, layer.scales, layer.off) == (0.0, 0, 0, ())
        assert layer.factor == pytest.approx(1.0)


def test_a_quantised_file_has_integers_and_ranges(image_bundle: Path) -> None:
    """Its weights lie within a step of the reference's, and its ranges hold nearly all that was seen."""
    found = laboratory(image_bundle).obtain(INT8)
    assert (found.against, found.failure, found.unscaled, found.mismatched) == ("fp32", "", (), ())
    assert len(found.layers) == 3
    for layer in found.layers:
        assert 0 < layer.error < 0.05
        assert layer.step >= 1
        assert layer.scales >= 1
    assert found.spans
    for span in found.spans:
        assert span.low <= 0 <= span.high
        assert span.seen_low < span.seen_high


def test_a_factor_is_told_from_a_difference(image_bundle: Path) -> None:
    """All weights doubled: the factor says it, and nothing remains."""
    alter(image_bundle, lambda array: array * 2)
    layer = first(image_bundle)
    assert layer.factor == pytest.approx(2.0)
    assert layer.error == pytest.approx(1.0)
    assert layer.residual == pytest.approx(0.0, abs=1e-6)


def test_a_channel_of_its_own_is_named(image_bundle: Path) -> None:
    """One of sixteen output channels bears all of the difference; each with a factor of its own leaves nothing."""

    def one(array: np.ndarray) -> np.ndarray:
        array[3] *= 5
        return array

    alter(image_bundle, one)
    layer = first(image_bundle)
    assert layer.off == (3,)
    assert layer.by_channel == pytest.approx(0.0, abs=1e-6)
    assert layer.residual > 0


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (np.abs, "unsigned", True),
        (lambda array: array[::-1].copy(), "reordered", True),
        (lambda array: array.astype(np.float16).astype(np.float32), "half", True),
        (lambda array: np.where(array == array.max(), np.nan, array), "not_finite", 1),
    ],
)
def test_each_kind_of_change_has_a_word(
    image_bundle: Path, change: Callable[[np.ndarray], np.ndarray], field: str, value: object
) -> None:
    """And an unchanged layer has none of them."""
    assert not getattr(first(image_bundle), field)
    alter(image_bundle, change)
    assert getattr(first(image_bundle), field) == value


def test_a_single_weight_that_is_absurd_is_told_and_left_out(image_bundle: Path) -> None:
    """It must not hide the rest: the difference is that of all others."""

    def flipped(array: np.ndarray) -> np.ndarray:
        array[2, 1, 0, 0] = 1e9
        return array

    alter(image_bundle, flipped)
    layer = first(image_bundle)
    assert layer.odd.startswith("[2, 1, 0, 0] became 1e+09, it was ")
    assert layer.error == 0.0


def test_what_cannot_be_compared_says_why(image_bundle: Path) -> None:
    """A damaged file is a finding of this evidence, no crash; a torch variant has no layers to lay beside."""
    (image_bundle / "build/tiny.int8.onnx").write_bytes(b"\x08no model")
    found = weights.measure(bench(image_bundle), INT8, bench(image_bundle).provenance("int8"))
    assert found.failure
    assert (found.layers, found.spans) == ((), ())
    torch = Need(Weights, "torch", versus="fp32")
    with pytest.raises(MeasurementError, match="no ONNX file"):
        weights.measure(bench(image_bundle), torch, bench(image_bundle).provenance("torch"))


def test_the_other_file_is_part_of_where_it_comes_from(image_bundle: Path) -> None:
    """Another reference is another comparison."""
    before = weights.provenance(bench(image_bundle), INT8)
    alter(image_bundle, lambda array: array * 2)
    after = weights.provenance(bench(image_bundle), INT8)
    assert before.artefact == after.artefact
    assert before.settings["versus_artefact"] != after.settings["versus_artefact"]


def test_the_ranges_are_seen_on_samples_of_the_whole_set(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sample and the last one among them."""
    fed: list[int] = []

    def noted(contract, variant, golden, samples):
        fed.extend(samples)
        return batch_of(contract, variant, golden, samples)

    monkeypatch.setattr("eyerace_parity.measure.kinds.weights.batch_of", noted)
    own = bench(image_bundle)
    weights.measure(own, INT8, weights.provenance(own, INT8))
    assert fed == evenly(24, weights.SAMPLES) == [0, 7, 15, 23]
