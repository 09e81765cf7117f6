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
