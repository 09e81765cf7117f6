"""Quantised files hold what the recipe asks for, load on old runtimes, and refuse names that lead nowhere."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import RecipeError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.measure.onnx_graph.reader import read_graph
from eyerace_parity.recipes.build import build_variant

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.evidence.artefacts import Graph

SILENT = SilentProgress()
CALIBRATION = 'calibration = { images = "tiny_calibration:blots", count = 8 }'


def with_recipe(bundle: Path, recipe: str) -> Path:
    """Give the variant ``int8`` of the tiny image bundle another recipe; returns the contract."""
    file = bundle / "contract.toml"
    text = file.read_text(encoding="utf-8")
    text = re.sub(
        r"(?s)\[variants\.int8\.recipe\].*?\n\[", f'[variants.int8.recipe]\nsource = "fp32"\n{recipe}\n[', text, count=1
    )
    file.write_text(text, encoding="utf-8")
    return file


def quantised(bundle: Path, recipe: str) -> tuple[onnx.ModelProto, Graph]:
    """Build ``int8`` by a recipe; returns the file and what is read of it."""
    contract = open_contract(with_recipe(bundle, recipe))
    path = build_variant(contract, "int8", SILENT)
    return onnx.load(path), read_graph(contract, "int8")


def refusal(bundle: Path, recipe: str) -> str:
    """Why ``int8`` cannot be built by a recipe."""
    with pytest.raises(RecipeError) as caught:
        quantised(bundle, recipe)
    return str(caught.value)


RECIPES = {
    "dynamic int8": 'kind = "quantize_dynamic"',
    "dynamic uint8 by channel": 'kind = "quantize_dynamic"\nweight_type = "uint8"\nper_channel = true',
    "qdq": f'kind = "quantize_static"\n{CALIBRATION}',
    "qdq by tensor": f'kind = "quantize_static"\nper_channel = false\nactivation_type = "int8"\n{CALIBRATION}',
    "operators": f'kind = "quantize_static"\nformat = "qoperator"\n{CALIBRATION}',
    "percentile": 'kind = "quantize_static"\n'
    + CALIBRATION.replace("}", ', method = "percentile", percentile = 99.0 }'),
    "entropy": 'kind = "quantize_static"\n' + CALIBRATION.replace("}", ', method = "entropy" }'),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_every_recipe_gives_a_file_for_old_runtimes(image_bundle: Path, recipe: str) -> None:
    """Every weight and product in integers, IR 8, no import that nothing uses, and it runs."""
    model, graph = quantised(image_bundle, recipe)
    assert (graph.failure, graph.checker) == ("", "")
    assert graph.weights == graph.weights_integer == 3 * 16 * 9 + 16 * 16 * 9 + 16 * 3
    assert graph.macs == graph.macs_integer == 16 * 16 * 16 * 3 * 9 + 16 * 16 * 16 * 16 * 9 + 16 * 3
    assert graph.ir_version == 8
    assert graph.unused_domains == ()
    assert graph.opsets.keys() <= {"ai.onnx", "com.microsoft"}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (scores,) = session.run(None, {"pixel_values": np.zeros((2, 3, 32, 32), np.float32)})
    assert np.isfinite(scores).all()


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    """Quantised matrices by name."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype.itemsize == 1 and array.ndim > 1}


def test_weights_are_of_the_asked_type_and_range(image_bundle: Path) -> None:
    """``reduce_range`` holds seven bits, and the type is the one asked for."""
    full = weights_of(quantised(image_bundle, f'kind = "quantize_static"\n{CALIBRATION}')[0])
    reduced = weights_of(quantised(image_bundle, f'kind = "quantize_static"\nreduce_range = true\n{CALIBRATION}')[0])
    unsigned = weights_of(quantised(image_bundle, f'kind = "quantize_static"\nweight_type = "uint8"\n{CALIBRATION}')[0])
    assert {array.dtype.name for array in full.values()} == {"int8"}
    assert {array.dtype.name for array in unsigned.values()} == {"uint8"}
    assert max(np.abs(array.astype(int)).max() for array in full.values()) > 64
    assert max(np.abs(array.astype(int)).max() for array in reduced.values()) <= 64


@pytest.mark.parametrize("kind", ["quantize_dynamic", "quantize_static"])
def test_excluded_nodes_stay_in_float(image_bundle: Path, kind: str) -> None:
    """A pattern with a star leaves the head alone, and the share of integers tells."""
    calibration = CALIBRATION if kind == "quantize_static" else ""
    _, graph = quantised(image_bundle, f'kind = "{kind}"\nexclude = ["/head/*"]\n{calibration}')
    assert graph.weights - graph.weights_integer == 16 * 3
    assert graph.macs - graph.macs_integer == 16 * 3


@pytest.mark.parametrize("kind", ["quantize_dynamic", "quantize_static"])
@pytest.mark.parametrize(("op_type", "weights"), [("Gemm", 16 * 3), ("Conv", 16 * 9 * (3 + 16))])
def test_only_the_asked_operators_are_quantised(image_bundle: Path, kind: str, op_type: str, weights: int) -> None:
    """``op_types`` names them as the source does, also where the quantiser turns one into another first."""
    calibration = CALIBRATION if kind == "quantize_static" else ""
    _, graph = quantised(image_bundle, f'kind = "{kind}"\nop_types = ["{op_type}"]\n{calibration}')
    assert graph.weights_integer == weights


def test_a_pattern_that_matches_nothing_is_refused(image_bundle: Path) -> None:
    """A misspelt name would quantise what must stay in float."""
    reason = refusal(image_bundle, 'kind = "quantize_dynamic"\nexclude = ["/haed/Gemm"]')
    assert "no node is named '/haed/Gemm'; did you mean '/head/Gemm'?" in reason


def test_an_operator_that_the_source_has_not_is_refused(image_bundle: Path) -> None:
    """The error lists those it has."""
    reason = refusal(image_bundle, 'kind = "quantize_dynamic"\nop_types = ["conv"]')
    assert "no operator 'conv'; did you mean 'Conv'?" in reason


def test_quantising_nothing_is_refused(image_bundle: Path) -> None:
    """A "quantised" file that is float in all its parts would pass every closeness clause."""
    reason = refusal(image_bundle, 'kind = "quantize_dynamic"\nexclude = ["*"]')
    assert "nothing of" in reason
    assert "was quantised" in reason


def test_a_torn_source_is_refused(image_bundle: Path) -> None:
    """Half of the fp32 file gives a reason, not a traceback."""
    source = image_bundle / "build" / "tiny.fp32.onnx"
    source.write_bytes(source.read_bytes()[:4000])
    assert "tiny.fp32.onnx is not a valid ONNX model" in refusal(image_bundle, 'kind = "quantize_dynamic"')


def test_normalisation_that_a_source_kept_is_folded(image_bundle: Path) -> None:
    """A foreign fp32 file with BatchNormalization after its convolution is quantised without a float gap."""
    random = np.random.default_rng(0)
    arrays = {
        "weight": random.normal(size=(3, 3, 3, 3)),
        "scale": np.full(3, 1.5),
        "shift": np.full(3, 0.5),
        "mean": np.full(3, 0.1),
        "variance": np.full(3, 2.0),
    }
    nodes = [
        helper.make_node("Conv", ["pixel_values", "weight"], ["convolved"], "first"),
        helper.make_node("BatchNormalization", ["convolved", "scale", "shift", "mean", "variance"], ["normed"], "norm"),
        helper.make_node("Relu", ["normed"], ["active"], "relu"),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["scores"], "flat"),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    foreign = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(foreign, {"owner": "someone", "eyerace_parity.source": "sha256:0"})
    onnx.save(foreign, image_bundle / "build" / "tiny.fp32.onnx")
    model, facts = quantised(image_bundle, f'kind = "quantize_static"\n{CALIBRATION}')
    assert "ai.onnx::BatchNormalization" not in facts.operators
    assert facts.macs == facts.macs_integer > 0
    assert (facts.ir_version, facts.unused_domains) == (8, ())
    assert facts.metadata["owner"] == "someone"
    assert facts.metadata["eyerace_parity.source"] != "sha256:0"
    feeds = {"pixel_values": random.uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)}
    (wanted,) = onnxruntime.InferenceSession(foreign.SerializeToString()).run(None, feeds)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    # Eight bits, pooled: a gap of the size of the shift would be ten times as large.
    assert np.abs(wanted - found).max() < 0.1 * np.abs(wanted).max()


def test_names_of_nodes_survive(image_bundle: Path) -> None:
    """Who excludes nodes by name reads them from the fp32 file: the quantised one has them still."""
    model, _ = quantised(image_bundle, f'kind = "quantize_static"\n{CALIBRATION}')
    names = [node.name for node in model.graph.node]
    assert any(fnmatchcase(name, "/stem/*Conv*") for name in names)
