"""Cost faults: the model gives the same answers and costs more."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.variants import Session
from eyerace_parity.extensions.selftest.edits import after_output, before_input, constant, node
from eyerace_parity.extensions.selftest.faults.quantisation import in_place_of_static
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role
from eyerace_parity.isolation.worker import create_session, infer

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_SEED = 17
_WIDTH = 64
_MEGABYTE = 1 << 20
_SAMPLES = 8
_SIDE_OF_PRODUCTS = 512
# Constant folding multiplies them when the session is created, so the runs themselves stay fast.
_PRODUCTS = 3000
# A 16-megapixel photograph, as a phone's sensor gives.
_SIDE = 4000
_MAX_RUNS = 1024
LEAK = 128 * 1024
"""Bytes that each run of a leaking file takes more than the previous one."""

FAULTS = FaultFamily("cost")


def _identity(outputs: int, inputs: int, side: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    kernel = np.zeros((outputs, inputs, side, side), np.float32)
    for channel in range(min(outputs, inputs)):
        kernel[channel, channel, side // 2, side // 2] = 1.0
    return kernel


def _planes(model: onnx.ModelProto) -> int:
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    channels_first = 4
    if len(shape) != channels_first or not shape[1]:
        raise FaultNotApplicable("the input is no [batch, channels, height, width]")
    return int(shape[1])


def _turn_counter(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes that make ``/selftest/turn``: the number of runs of the session.

    A graph has no state between runs except its random numbers, and with a seed they are the same in each session. The
    runtime's numbers are recorded in advance, and each run looks its number up.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - only where a model is edited

    one = np.ones(1, np.float32)
    draw = node("RandomUniformLike", ["/selftest/one"], ["/selftest/drawn"], seed=float(_SEED))
    drawn = helper.make_tensor_value_info("/selftest/drawn", TensorProto.FLOAT, [1])
    alone = helper.make_model(
        helper.make_graph([draw], "draws", [], [drawn], [numpy_helper.from_array(one, "/selftest/one")]),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    session = create_session(alone.SerializeToString(), Session().model_dump(mode="json"))
    draws = [infer(session, {})["/selftest/drawn"] for _ in range(_MAX_RUNS)]
    constant(model, "/selftest/one", one)
    constant(model, "/selftest/draws", np.concatenate(draws))
    return [
        draw,
        node("Sub", ["/selftest/draws", "/selftest/drawn"], ["/selftest/apart"]),
        node("Abs", ["/selftest/apart"], ["/selftest/distance"]),
        node("ArgMin", ["/selftest/distance"], ["/selftest/turn"], axis=0, keepdims=1),
    ]


@FAULTS.edit(Role.DEVICE, "further-layer", "one more layer, which changes no answer", r"times|ratio", "latency_ratio")
def _further_layer(model: onnx.ModelProto) -> None:
    """Insert convolutions that change nothing before all others."""
    planes = _planes(model)
    constant(model, "/selftest/widen", _identity(_WIDTH, planes, 1))
    constant(model, "/selftest/same", _identity(_WIDTH, _WIDTH))
    constant(model, "/selftest/narrow", _identity(planes, _WIDTH, 1))

    def nodes(given: str, inner: str) -> list[onnx.NodeProto]:
        wide, same = f"{inner}/wide", f"{inner}/same"
        return [
            node("Conv", [given, "/selftest/widen"], [wide]),
            node("Conv", [wide, "/selftest/same"], [same], pads=[1, 1, 1, 1]),
            node("Conv", [same, "/selftest/narrow"], [inner]),
        ]

    before_input(model, nodes)


# quantize_dynamic with QInt8 took 83 ms an inference, fp32 8.6 ms, the static recipe 6.5 ms (onnxruntime 1.32,
# x86-64, two threads, measured on EfficientNet-B0).
FAULTS.plant(Role.DEVICE, "slower-recipe", "the recipe has no fast kernels", r"times|ratio", "latency_ratio")(
    in_place_of_static
)


@FAULTS.edit(
    Role.DEVICE,
    "bigger-file",
    "the file contains 16 MB of unused data",
    r"MB",
    "file_size",
    "download_size",
    "size_ratio",
)
def _ballast(model: onnx.ModelProto) -> None:
    random = np.random.default_rng(_SEED).integers(0, 256, 16 * _MEGABYTE, np.uint8)
    constant(model, "/selftest/ballast", random)


@FAULTS.edit(Role.DEVICE, "slow-start", "creating a session takes seconds", r"ms|session", "cold_start_ms")
def _slow_start(model: onnx.ModelProto) -> None:
    """Make the runtime multiply constants 3,000 times whenever it creates a session."""
    constant(model, "/selftest/product0", np.zeros((_SIDE_OF_PRODUCTS, _SIDE_OF_PRODUCTS), np.float32))
    names = [f"/selftest/product{number}" for number in range(_PRODUCTS + 1)]
    nodes = [node("MatMul", [before, before], [after]) for before, after in pairwise(names)]
    nodes.append(node("ReduceMax", [names[-1]], ["/selftest/most"], keepdims=0))
    for place, each in enumerate(nodes):
        model.graph.node.insert(place, each)
    after_output(model, lambda good, given: [node("Add", [good, "/selftest/most"], [given])])


@FAULTS.edit(Role.DEVICE, "memory", "an inference uses half a gigabyte", r"memory", "peak_memory")
def _memory(model: onnx.ModelProto) -> None:
    """Hold a tensor of half a gigabyte while the model runs."""
    planes = _planes(model)
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    many = max(1, (_MEGABYTE * 128) // (planes * shape[2] * shape[3]))
    constant(model, "/selftest/tiles", np.array([1, many, 1, 1], np.int64))
    constant(model, "/selftest/nothing", np.zeros((), np.float32))

    def nodes(given: str, inner: str) -> list[onnx.NodeProto]:
        tiled, mean, none = (f"{inner}/{what}" for what in ("tiled", "mean", "none"))
        return [
            node("Tile", [given, "/selftest/tiles"], [tiled]),
            node("ReduceMax", [tiled], [mean], keepdims=1),
            node("Mul", [mean, "/selftest/nothing"], [none]),
            node("Add", [given, none], [inner]),
        ]

    before_input(model, nodes)


# See docs/memory.md for how a graph without state can leak.
@FAULTS.edit(
    Role.DEVICE,
    "leak",
    "each inference takes more memory than the one before",
    r"more memory after .* a run",
    "memory_leak",
)
def leak(model: onnx.ModelProto) -> None:
    """Take 128 KiB more in each run than in the previous one; the runtime's arena never gives it back."""
    counter = _turn_counter(model)
    constant(model, "/selftest/first", np.ones(1, np.int64))
    constant(model, "/selftest/floats", np.array([LEAK // 4], np.int64))

    def nodes(good: str, given: str) -> list[onnx.NodeProto]:
        return [
            *counter,
            node("Add", ["/selftest/turn", "/selftest/first"], ["/selftest/turns"]),
            node("Mul", ["/selftest/turns", "/selftest/floats"], ["/selftest/size"]),
            node("ConstantOfShape", ["/selftest/size"], ["/selftest/kept"]),
            node("ReduceMax", ["/selftest/kept"], ["/selftest/zero"], keepdims=0),
            node("Add", [good, "/selftest/zero"], [given]),
        ]

    after_output(model, nodes)


@FAULTS.plant(Role.DEVICE, "preprocessing", "photographs have the full size of the sensor", r"ms", "preprocess_p95")
def _large_photographs(workshop: Workshop) -> Contract:
    """Use photographs of the sensor's size, on a few samples, because only their cost matters."""
    from PIL import Image  # noqa: PLC0415 - only here

    def enlarge(source: Path, target: Path) -> None:
        with Image.open(source) as image:
            image.convert("RGB").resize((_SIDE, _SIDE)).save(target)

    return workshop.few_images(workshop.label_rows()[:_SAMPLES], enlarge)
