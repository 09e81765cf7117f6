"""Weight faults: the weights changed between the checkpoint and the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.extensions.selftest.edits import Weight, biases, middle, stored
from eyerace_parity.extensions.selftest.model import PlantedFault, answers_of, on
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_SEED = 13
_FLOAT = answers_of(Role.FLOAT)
_DEVICE = answers_of(Role.DEVICE)
_EXPONENT = 1 << 30
"""The highest bit of a float32's exponent."""


def _one(role: Role, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Workshop], Contract]:
    """Change one layer in the middle of the network."""

    def edit(model: onnx.ModelProto) -> None:
        weights = stored(model)
        # On the phone the first layer: elsewhere the noise of quantisation hides a change in one of many branches.
        weight = weights[0] if role is Role.DEVICE else middle(weights)
        weight.put(change(weight.array))

    return lambda workshop: workshop.edited(role, edit)


def _in_float(weight: Weight) -> NDArray[Any]:
    array = weight.array
    if weight.scale or array.dtype != np.float32:
        raise FaultNotApplicable("the weights are not stored in float32")
    return array


def _without_channel(array: NDArray[Any]) -> NDArray[Any]:
    strongest = int(np.abs(array.reshape(len(array), -1).astype(np.float64)).sum(axis=1).argmax())
    array[strongest] = 0
    return array


def _bit_flipped(model: onnx.ModelProto) -> None:
    weight = middle(stored(model))
    array = np.ascontiguousarray(_in_float(weight))
    bits = array.reshape(-1).view(np.uint32)
    flat = np.abs(array.reshape(-1))
    place = int(np.where(flat < 1, flat, 0).argmax())  # for values from 1 on the flipped bit would give an infinity
    bits[place] ^= np.uint32(_EXPONENT)
    weight.put(array)


def _integer_bit_flipped(model: onnx.ModelProto) -> None:
    """Flip the sign bit of every stored integer of one channel, as a damaged page of flash memory would."""
    weight = stored(model)[0]
    array = weight.array
    if array.dtype.kind not in "iu" or array.dtype.itemsize != 1:
        raise FaultNotApplicable("the weights are not stored in eight bits")
    strongest = int(np.abs(array.reshape(len(array), -1).astype(np.int64)).sum(axis=1).argmax())
    array.view(np.uint8).reshape(len(array), -1)[strongest] ^= np.uint8(0x80)
    weight.put(array)


def _halves(model: onnx.ModelProto) -> None:
    for weight in stored(model):
        weight.put(_in_float(weight).astype(np.float16).astype(np.float32))


def _shuffled(array: NDArray[Any]) -> NDArray[Any]:
    return array[np.random.default_rng(_SEED).permutation(len(array))]


def _not_a_number(model: onnx.ModelProto) -> None:
    weight = middle(stored(model))
    array = _in_float(weight)
    array.reshape(-1)[0] = np.nan
    weight.put(array)


def _biases_lost(model: onnx.ModelProto) -> None:
    for bias in biases(model):
        bias.put(np.zeros_like(bias.array))


def _noisy(model: onnx.ModelProto) -> None:
    generator = np.random.default_rng(_SEED)
    for weight in stored(model):
        array = _in_float(weight)
        weight.put(array + np.float32(0.01) * array.std() * generator.standard_normal(array.shape, np.float32))


FAULTS = (
    PlantedFault(
        "weights-layer-scaled",
        "one layer's weights are 1 % too large",
        _one(Role.FLOAT, lambda array: array * np.float32(1.01)),
        (),
        r"1\.01",
        _FLOAT,
    ),
    PlantedFault(
        "weights-layer-halved",
        "one layer's weights on the phone are half as large",
        _one(Role.DEVICE, lambda array: array // 2 if array.dtype.kind in "iu" else array / 2),
        (),
        r"0\.(5|4[89])\d* times",
        _DEVICE,
    ),
    PlantedFault(
        "weights-channel-zeroed",
        "one channel's weights are zero",
        _one(Role.FLOAT, _without_channel),
        (),
        r"channel.*zero|zero.*channel",
        _FLOAT,
    ),
    PlantedFault(
        "weights-device-channel-zeroed",
        "one channel's weights on the phone are zero",
        _one(Role.DEVICE, _without_channel),
        (),
        r"channel.*zero|zero.*channel",
        _DEVICE,
    ),
    PlantedFault(
        "weights-bit-flipped",
        "one bit of one weight is flipped",
        lambda workshop: workshop.edited(Role.FLOAT, _bit_flipped),
        (),
        r"\bbit\b|became",
        _FLOAT,
    ),
    PlantedFault(
        "weights-device-bits-flipped",
        "the highest bits of one channel are flipped on the phone",
        lambda workshop: workshop.edited(Role.DEVICE, _integer_bit_flipped),
        (),
        r"\bbits?\b|channel",
        _DEVICE,
    ),
    PlantedFault(
        "weights-halves",
        "all weights were rounded to float16",
        lambda workshop: workshop.edited(Role.FLOAT, _halves),
        (),
        r"float16",
        _FLOAT,
    ),
    PlantedFault(
        "weights-layer-shuffled",
        "the channels of one layer are shuffled",
        _one(Role.FLOAT, _shuffled),
        (),
        r"permut|shuffled|order of the channels|other order",
        _FLOAT,
    ),
    PlantedFault(
        "weights-sign",
        "the sign of one layer's weights is lost",
        _one(Role.FLOAT, np.abs),
        (),
        r"sign|weights of",
        _FLOAT,
    ),
    PlantedFault(
        "weights-nan",
        "one weight is not a number",
        lambda workshop: workshop.edited(Role.FLOAT, _not_a_number),
        on(Role.FLOAT, "finite"),
        r"nan",
    ),
    PlantedFault(
        "weights-biases-lost",
        "all biases are zero",
        lambda workshop: workshop.edited(Role.FLOAT, _biases_lost),
        (),
        r"bias",
        _FLOAT,
    ),
    PlantedFault(
        "weights-noise",
        "every weight has 1 % of noise",
        lambda workshop: workshop.edited(Role.FLOAT, _noisy),
        (),
        r"layers differ|another checkpoint|all \d+|weights of",
        _FLOAT,
    ),
)
"""Faults of this family."""
