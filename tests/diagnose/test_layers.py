"""What layers show of a cause, on a small network whose weights are changed for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.contract.variants import OnnxVariant
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.diagnose import layers
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import Weights
from eyerace_parity.recipes.build import build_variant
from tests.bundles import make_image_bundle
from tests.laboratories import laboratory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path_factory.mktemp("layers") / "bundle", build=True)


def causes_of(bundle: Path, variant: str, change: Callable[[onnx.ModelProto], None] | None) -> str:
    """Change a copy of a variant's file in its place, and ask what its layers show."""
    contract = laboratory(bundle).contract
    path = contract.path(contract.variants[variant].path)
    good = path.read_bytes()
    try:
        if change is not None:
            model = onnx.load_from_string(good)
            change(model)
            path.write_bytes(model.SerializeToString())
        reference = contract.variants[variant].reference or ""
        compared = laboratory(bundle).obtain(Need(Weights, variant, versus=reference))
        return "; ".join([*layers.causes(contract, variant, compared), compared.failure])
    finally:
        path.write_bytes(good)


def stored(model: onnx.ModelProto, place: int, operand: int = 1) -> onnx.TensorProto:
    """The stored weights of the layer at a place."""
    products = [node for node in model.graph.node if node.op_type in {"Conv", "Gemm"}]
    name = products[place].input[operand]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    found: onnx.TensorProto = tensors[name] if name in tensors else tensors[makers[name].input[0]]
    return found


def changed(place: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[onnx.ModelProto], None]:
    """Change the weights of one layer."""

    def edit(model: onnx.ModelProto) -> None:
        tensor = stored(model, place)
        array = np.array(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(change(array).astype(array.dtype), tensor.name))

    return edit


def without_channel(array: np.ndarray) -> np.ndarray:
    """Lose the first channel."""
    array[0] = 0
    return array


def one_channel_off(array: np.ndarray) -> np.ndarray:
    """Scale one channel, as a fold that went wrong would."""
    array[2] *= 1.5
    return array


def with_nan(array: np.ndarray) -> np.ndarray:
    """Lose one number."""
    array.reshape(-1)[3] = np.nan
    return array


def with_bit(array: np.ndarray) -> np.ndarray:
    """Flip the highest bit of an exponent."""
    array.reshape(-1)[3] = 2e37
    return array


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_good_file_shows_no_cause(bundle: Path, variant: str) -> None:
    """Not even a quantised one, in which every layer differs a little."""
    assert not causes_of(bundle, variant, None)


def test_a_dynamically_quantised_file_shows_no_cause(tmp_path: Path) -> None:
    """Its integers are multiplied out elsewhere, and no wrong scale is read into them."""
    bundle = make_image_bundle(tmp_path / "bundle")
    text = (bundle / "contract.toml").read_text(encoding="utf-8")
    static = text[text.index("[variants.int8.recipe]") : text.index("[variants.int8.limits.closeness]")]
    dynamic = '[variants.int8.recipe]\nkind = "quantize_dynamic"\nsource = "fp32"\nweight_type = "int8"\n\n'
    (bundle / "contract.toml").write_text(text.replace(static, dynamic), encoding="utf-8")
    contract = laboratory(bundle).contract
    build_variant(contract, "int8", SilentProgress())
    compared = laboratory(bundle).obtain(Need(Weights, "int8", versus="fp32"))
    assert len(compared.layers) >= 2
    assert max(layer.error for layer in compared.layers) < 0.1
    assert layers.causes(contract, "int8", compared) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed(1, lambda array: array * 1.5), "are 1.5 times those of"),
        (changed(1, without_channel), "the weights of channel 0 of"),
        (changed(1, one_channel_off), "channel 2 of /body/body.0/Conv has nearly all"),
        (changed(1, with_nan), "1 weight of"),
        (changed(1, with_bit), "as if a bit had flipped"),
        (changed(1, lambda array: array[::-1].copy()), "another order"),
        (changed(1, np.abs), "lost their sign"),
        (changed(1, lambda array: array + np.eye(16)[:, :, None, None] * 0.3), "differ by"),
    ],
    ids=["scaled", "channel", "one", "nan", "bit", "order", "sign", "other"],
)
def test_what_was_done_to_a_layer_is_named(bundle: Path, change: Callable[[onnx.ModelProto], None], told: str) -> None:
    """And which layer it was."""
    assert told in causes_of(bundle, "fp32", change)
    assert "/body/body.0/Conv" in causes_of(bundle, "fp32", change)


def test_what_was_done_to_all_layers_is_named_once(bundle: Path) -> None:
    """Rounded to float16; weights with unused bits."""

    def halves(model: onnx.ModelProto) -> None:
        for place in range(3):
            changed(place, lambda array: array.astype(np.float16).astype(np.float32))(model)

    def coarse(model: onnx.ModelProto) -> None:
        for place in range(3):
            changed(place, lambda array: np.round(array / 16.0) * 16)(model)

    assert "rounded to float16" in causes_of(bundle, "fp32", halves)
    assert "multiples of 16" in causes_of(bundle, "int8", coarse)


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -0.5])
def test_a_scale_of_activations_that_is_none_is_named(bundle: Path, scale: float) -> None:
    """The weights are whole, so only the scale itself can be named."""

    def edit(model: onnx.ModelProto) -> None:
        writer = [node for node in model.graph.node if node.op_type == "QuantizeLinear"][1]
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == writer.input[1])
        tensor.CopyFrom(numpy_helper.from_array(np.array(scale, np.float32), tensor.name))

    told = causes_of(bundle, "int8", edit)
    assert f"has the scale {scale:.6g}" in told
    assert told.count("has the scale") == 1


def test_ranges_and_zero_points_of_activations_are_named(bundle: Path) -> None:
    """Scales that clip, and a tensor that is read back otherwise than it was written."""

    def clipped(model: onnx.ModelProto) -> None:
        names = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
        for tensor in model.graph.initializer:
            if tensor.name in names:
                array = np.array(numpy_helper.to_array(tensor)) / np.float32(8)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    def misread(model: onnx.ModelProto) -> None:
        quantise = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
        model.graph.initializer.append(numpy_helper.from_array(np.array(3, np.uint8), "other"))
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] == quantise.output[0]:
                node.input[2] = "other"

    assert "do not fit the golden samples" in causes_of(bundle, "int8", clipped)
    assert "read back with 3" in causes_of(bundle, "int8", misread)


@pytest.mark.parametrize(("pattern", "told"), [("*/Gemm", "/head/Gemm is quantised"), ("*/Conv", ""), ("nothing*", "")])
def test_a_layer_that_the_recipe_excludes(bundle: Path, pattern: str, told: str) -> None:
    """Only what the recipe leaves in float, and only where the file stores it in integers."""
    lab = laboratory(bundle)
    stated = lab.contract.variants["int8"]
    assert isinstance(stated, OnnxVariant)
    assert stated.recipe is not None
    recipe = stated.recipe.model_copy(update={"exclude": (pattern,)})
    variants = {**lab.contract.variants, "int8": stated.model_copy(update={"recipe": recipe})}
    contract = lab.contract.model_copy(update={"variants": variants})
    compared = lab.obtain(Need(Weights, "int8", versus="fp32"))
    in_float = tuple(
        layer.model_copy(update={"scales": 0}) if "Conv" in layer.name else layer for layer in compared.layers
    )
    found = layers.causes(contract, "int8", compared.model_copy(update={"layers": in_float}))
    assert [cause for cause in found if "excludes" in cause] == (
        [f"{told}, although the recipe excludes it: it should be in float"] if told else []
    )


@pytest.mark.parametrize(("error", "scales", "told"), [(0.19, 16, 0), (0.21, 16, 1), (0.19, 0, 1)])
def test_integers_that_are_merely_coarse_are_no_cause(bundle: Path, error: float, scales: int, told: int) -> None:
    """What they cost is tried out; weights in float that differ so much were changed."""
    lab = laboratory(bundle)
    compared = lab.obtain(Need(Weights, "int8", versus="fp32"))
    odd = {"error": error, "residual": error, "by_channel": error, "scales": scales, "off": (), "reordered": False}
    found = (compared.layers[0], compared.layers[1].model_copy(update=odd), *compared.layers[2:])
    causes = layers.causes(lab.contract, "int8", compared.model_copy(update={"layers": found}))
    assert any("differ by" in cause for cause in causes) == told
