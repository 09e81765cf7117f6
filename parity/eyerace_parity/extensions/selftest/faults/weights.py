"""Weight faults: the weights changed between the checkpoint and the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.extensions.selftest.edits import Weight, biases, middle, stored
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    Change = Callable[[NDArray[Any]], NDArray[Any]]

_SEED = 13
_EXPONENT = 1 << 30
"""The highest bit of a float32's exponent."""

FAULTS = FaultFamily("weights")


def _layer(role: Role, what: str, summary: str, cause: str) -> Callable[[Change], Change]:
    """Add a fault that the decorated function makes in one layer's weights."""

    def add(change: Change) -> Change:
        @FAULTS.edit(role, what, summary, cause)
        def edit(model: onnx.ModelProto) -> None:
            weights = stored(model)
            # On the phone the first layer: elsewhere the noise of quantisation hides a change in one of many branches.
            weight = weights[0] if role is Role.DEVICE else middle(weights)
            weight.put(change(weight.array))

        return change

    return add


def _in_float(weight: Weight) -> NDArray[Any]:
    array = weight.array
    if weight.scale or array.dtype != np.float32:
        raise FaultNotApplicable("the weights are not stored in float32")
    return array


_layer(Role.FLOAT, "layer-scaled", "one layer's weights are 1 % too large", r"1\.01")(
    lambda array: array * np.float32(1.01)
)


_layer(Role.DEVICE, "layer-halved", "one layer's weights on the phone are half as large", r"0\.(5|4[89])\d* times")(
    lambda array: array // 2 if array.dtype.kind in "iu" else array / 2
)


@_layer(Role.FLOAT, "channel-zeroed", "one channel's weights are zero", r"channel.*zero|zero.*channel")
def _without_channel(array: NDArray[Any]) -> NDArray[Any]:
    strongest = int(np.abs(array.reshape(len(array), -1).astype(np.float64)).sum(axis=1).argmax())
    array[strongest] = 0
    return array


_layer(
    Role.DEVICE, "device-channel-zeroed", "one channel's weights on the phone are zero", r"channel.*zero|zero.*channel"
)(_without_channel)


@FAULTS.edit(Role.FLOAT, "bit-flipped", "one bit of one weight is flipped", r"\bbit\b|became")
def _bit_flipped(model: onnx.ModelProto) -> None:
    weight = middle(stored(model))
    array = np.ascontiguousarray(_in_float(weight))
    bits = array.reshape(-1).view(np.uint32)
    flat = np.abs(array.reshape(-1))
    place = int(np.where(flat < 1, flat, 0).argmax())  # for values from 1 on the flipped bit would give an infinity
    bits[place] ^= np.uint32(_EXPONENT)
    weight.put(array)


@FAULTS.edit(
    Role.DEVICE, "device-bits-flipped", "the highest bits of one channel are flipped on the phone", r"\bbits?\b|channel"
)
def _integer_bit_flipped(model: onnx.ModelProto) -> None:
    """Flip the sign bit of every stored integer of one channel, as a damaged page of flash memory would."""
    weight = stored(model)[0]
    array = weight.array
    if array.dtype.kind not in "iu" or array.dtype.itemsize != 1:
        raise FaultNotApplicable("the weights are not stored in eight bits")
    strongest = int(np.abs(array.reshape(len(array), -1).astype(np.int64)).sum(axis=1).argmax())
    array.view(np.uint8).reshape(len(array), -1)[strongest] ^= np.uint8(0x80)
    weight.put(array)


@FAULTS.edit(Role.FLOAT, "halves", "all weights were rounded to float16", r"float16")
def _halves(model: onnx.ModelProto) -> None:
    for weight in stored(model):
        weight.put(_in_float(weight).astype(np.float16).astype(np.float32))


@_layer(
    Role.FLOAT,
    "layer-shuffled",
    "the channels of one layer are shuffled",
    r"permut|shuffled|order of the channels|other order",
)
def _shuffled(array: NDArray[Any]) -> NDArray[Any]:
    return array[np.random.default_rng(_SEED).permutation(len(array))]


_layer(Role.FLOAT, "sign", "the sign of one layer's weights is lost", r"sign|weights of")(np.abs)


@FAULTS.edit(Role.FLOAT, "nan", "one weight is not a number", r"nan", "finite")
def _not_a_number(model: onnx.ModelProto) -> None:
    weight = middle(stored(model))
    array = _in_float(weight)
    array.reshape(-1)[0] = np.nan
    weight.put(array)


@FAULTS.edit(Role.FLOAT, "biases-lost", "all biases are zero", r"bias")
def _biases_lost(model: onnx.ModelProto) -> None:
    for bias in biases(model):
        bias.put(np.zeros_like(bias.array))


@FAULTS.edit(
    Role.FLOAT, "noise", "every weight has 1 % of noise", r"layers differ|another checkpoint|all \d+|weights of"
)
def _noisy(model: onnx.ModelProto) -> None:
    generator = np.random.default_rng(_SEED)
    for weight in stored(model):
        array = _in_float(weight)
        weight.put(array + np.float32(0.01) * array.std() * generator.standard_normal(array.shape, np.float32))
