"""Quantisation faults: something went wrong between float and integer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.data import Preprocess
from eyerace_parity.contract.variants import QuantiseDynamicRecipe
from eyerace_parity.extensions.selftest.edits import constant, initialiser, stored, write
from eyerace_parity.extensions.selftest.model import FaultFamily, on
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx
    from PIL import Image

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_NOISE_SIDE = 256
_OFF = 24
_FOUR_BITS = 16
AVX2 = "x86/avx2"
"""The target without integer dot products, where products of eight-bit weights and activations saturate."""

FAULTS = FaultFamily("quantisation")


def noise_images(count: int, seed: int = 0) -> Iterator[Image.Image]:
    """Draw images of faint noise, which no camera takes: a calibration must not observe them.

    Args:
        count: Number of images.
        seed: Seed of the noise.

    Yields:
        RGB images of 256 x 256 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - only where it is called

    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield Image.fromarray(generator.integers(112, 144, (_NOISE_SIDE, _NOISE_SIDE, 3), np.uint8))


def _activation(model: onnx.ModelProto) -> onnx.NodeProto:
    """The first QuantizeLinear with a stored scale and zero point."""
    tensors = {tensor.name for tensor in model.graph.initializer}
    found = [
        node for node in model.graph.node if node.op_type == "QuantizeLinear" and {node.input[1]} <= tensors
        and len(node.input) > 2  # noqa: PLR2004 - with a zero point
    ]  # fmt: skip
    if not found:
        raise FaultNotApplicable("the file has no QuantizeLinear with a stored scale and zero point")
    chosen: onnx.NodeProto = found[0]
    return chosen


# On EyeRace one scale a tensor costs 4 dB: 23.3 dB instead of 27.4 dB (docs/causes.md).
@FAULTS.plant(
    Role.DEVICE,
    "per-tensor",
    "weights share one scale a tensor instead of one a channel",
    r"per.tensor|per.channel|one scale",
)
def _per_tensor(workshop: Workshop) -> Contract:
    if not workshop.static_recipe(Role.DEVICE).per_channel:
        raise FaultNotApplicable("the recipe quantises per tensor")
    return workshop.remade(Role.DEVICE, per_channel=False)


@FAULTS.edit(Role.DEVICE, "zero-point", "a tensor is read back with another zero point", r"zero point")
def _zero_point(model: onnx.ModelProto) -> None:
    """Read one tensor back with another zero point than it was written with."""
    quantise = _activation(model)
    made = quantise.output[0]
    from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

    good = np.array(numpy_helper.to_array(initialiser(model, quantise.input[2])))
    bad = constant(model, "/selftest/zero-point", ((good.astype(np.int64) + _OFF) % 256).astype(good.dtype))
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] == made:
            node.input[2] = bad


@FAULTS.plant(Role.DEVICE, "on-noise", "the calibration observed noise", r"calibrat|\brange")
def _on_noise(workshop: Workshop) -> Contract:
    calibration = workshop.static_recipe(Role.DEVICE).calibration
    if calibration.images is None:
        raise FaultNotApplicable("the calibration reads tensors, not images")
    drawn = calibration.model_copy(update={"images": f"{__name__}:{noise_images.__name__}"})
    return workshop.remade(Role.DEVICE, calibration=drawn)


@FAULTS.plant(Role.DEVICE, "unnormalised", "the calibration images were not normalised", r"calibrat|\brange|normalis")
def _unnormalised(workshop: Workshop) -> Contract:
    recipe, spec = workshop.static_recipe(Role.DEVICE), workshop.images()
    if recipe.calibration.images is None:
        raise FaultNotApplicable("the calibration reads tensors, which are already prepared")
    good = workshop.contract.preprocess[spec.preprocess]
    bare = Preprocess.model_validate(good.model_dump() | {"mean": (0.0,), "std": (1.0,)})
    if bare == good:
        raise FaultNotApplicable("the profile does not normalise")
    profiles = {**workshop.contract.preprocess, spec.preprocess: bare}
    return workshop.made(Role.DEVICE, recipe, workshop.with_contract(preprocess=profiles))


# u8 x s8 products saturate without VNNI. The same QDQ file reaches 45.2 dB on VNNI and 25.8 dB on AVX2 against fp32;
# with reduce_range 47.2 dB on both (onnxruntime 1.22, measured).
@FAULTS.plant(
    Role.DEVICE,
    "saturating",
    "eight-bit weights saturate on processors without integer dot products",
    r"noise|saturat",
    expected=on(Role.DEVICE, "sqnr_db", target=AVX2),
)
def _saturating(workshop: Workshop) -> Contract:
    recipe = workshop.static_recipe(Role.DEVICE)
    if not recipe.reduce_range or (recipe.activation_type, recipe.weight_type) != ("uint8", "int8"):
        raise FaultNotApplicable("the recipe does not reduce the range of signed weights beside unsigned activations")
    return workshop.remade(Role.DEVICE, reduce_range=False)


@FAULTS.plant(
    Role.DEVICE,
    "nothing",
    "nothing is quantised although the name says so",
    r"0 % of the weights|0 % of the multiply",
    "integer_weights",
    "integer_macs",
)
def _nothing_quantised(workshop: Workshop) -> Contract:
    return workshop.with_model(Role.DEVICE, workshop.model(Role.FLOAT))


@FAULTS.plant(
    Role.DEVICE, "sensitive-included", "layers that must stay in float are quantised, too", r"\bfloat\b|exclude"
)
def _sensitive_included(workshop: Workshop) -> Contract:
    if not workshop.static_recipe(Role.DEVICE).exclude:
        raise FaultNotApplicable("the recipe keeps no layer in float")
    return workshop.remade(Role.DEVICE, exclude=())


# ConvInteger with signed weights does not load on onnxruntime 1.15 to 1.23, which today's Flutter packages
# bundle (measured).
@FAULTS.plant(
    Role.DEVICE,
    "dynamic",
    "the dynamic recipe was used instead of the static one",
    r"ConvInteger|MatMulInteger|DynamicQuantize",
    "oldest_runtime",
    "flutter_runtime",
)
def in_place_of_static(workshop: Workshop) -> Contract:
    """Quantise dynamically instead of with the static recipe."""
    recipe = QuantiseDynamicRecipe(kind="quantize_dynamic", source=workshop.quantised_source(Role.DEVICE))
    return workshop.made(Role.DEVICE, recipe)


@FAULTS.edit(
    Role.DEVICE, "clipped", "activations are clipped to a quarter of their range", r"\brange|calibrat|activation|clip"
)
def _clipped(model: onnx.ModelProto) -> None:
    """Reduce the range of every activation to a quarter."""
    from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

    names = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    _activation(model)
    for name in names:
        tensor = initialiser(model, name)
        write(tensor, np.array(numpy_helper.to_array(tensor)) / np.float32(4))


# The file size does not change, so only answers and weights show it.
@FAULTS.edit(Role.DEVICE, "four-bits", "weights use only four of their eight bits", r"\bbits\b|multiples of|levels")
def _four_bits(model: onnx.ModelProto) -> None:
    for weight in stored(model):
        array = weight.array
        if array.dtype.kind not in "iu" or array.dtype.itemsize != 1:
            raise FaultNotApplicable("the weights are not stored in eight bits")
        coarse = np.round(array.astype(np.float64) / _FOUR_BITS) * _FOUR_BITS
        weight.put(np.clip(coarse, np.iinfo(array.dtype).min, np.iinfo(array.dtype).max))


@FAULTS.edit(Role.DEVICE, "weight-scale", "one layer's scales are four times too large", r"\b[34](\.\d+)? times")
def _scale_of_weights(model: onnx.ModelProto) -> None:
    """Multiply the scales of one layer's weights by four."""
    from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

    weights = [weight for weight in stored(model) if weight.scale]
    if not weights:
        raise FaultNotApplicable("the weights have no stored scale")
    tensor = initialiser(model, weights[len(weights) // 3].scale)
    write(tensor, np.array(numpy_helper.to_array(tensor)) * np.float32(4))
