"""ONNX files made by hand, for what no recipe would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path


def write_linear(
    path: Path,
    *,
    outputs: tuple[str, ...] = ("scores",),
    shape: tuple[int | str, ...] = ("batch", 3, 32, 32),
    external: str | None = None,
    bias: float = 0.0,
) -> Path:
    """Write a model that sums the image into three scores; further outputs repeat the first.

    Args:
        path: Where to.
        outputs: Names of the outputs.
        shape: Shape of the input ``pixel_values``.
        external: File beside it that holds the weights.
        bias: Added to every weight; NaN makes every score NaN.
    """
    weights = np.random.default_rng(0).normal(size=(int(np.prod([int(axis) for axis in shape[1:]])), 3))
    nodes = [
        helper.make_node("Flatten", ["pixel_values"], ["flat"]),
        *(helper.make_node("MatMul", ["flat", "weights"], [name]) for name in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], 3]) for name in outputs],
        [numpy_helper.from_array((weights + bias).astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    if external is None:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    return path


def write_convolutions(path: Path, *, layers: int = 12, names: str = "layer", channels: int = 8) -> Path:
    """Write a network of convolutions, so that one layer more or less is some percent of its work.

    Args:
        path: Where to.
        layers: Convolutions of 3 by 3, each with a rectifier behind it.
        names: What nodes and tensors are called, and in which order weights stand: another export, the same network.
        channels: Channels of each.
    """
    generator = np.random.default_rng(0)
    nodes, weights, value, width = [], [], "pixel_values", 3
    for layer in range(layers):
        kernel = (generator.normal(size=(channels, width, 3, 3)) / np.sqrt(9 * width)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"{names}.{layer}.weight"))
        inner, after = f"{names}.{layer}.sum", f"{names}.{layer}.out"
        inputs = [value, f"{names}.{layer}.weight"]
        nodes.append(helper.make_node("Conv", inputs, [inner], name=f"{names}_{layer}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [inner], [after], name=f"{names}_{layer}_relu"))
        value, width = after, channels
    nodes.append(helper.make_node("ReduceMean", [value], ["scores"], axes=[2, 3], keepdims=0))
    shape: list[int | str] = ["batch", 3, 32, 32]
    graph = helper.make_graph(
        nodes,
        names,
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", channels])],
        weights if names == "layer" else weights[::-1],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
