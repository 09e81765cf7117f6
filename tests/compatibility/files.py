"""ONNX files at the edges of what runtimes take, made by hand and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.onnx_graph.signatures import signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def model(
    nodes: Sequence[onnx.NodeProto],
    tensors: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    ir_version: int = 8,
    imports: Mapping[str, int] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
    shape: Sequence[int] = (1, 2, 4, 4),
    dtype: int = TensorProto.FLOAT,
    answer: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Wrap nodes from ``x`` to ``y`` into a model."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", answer, None)],
        [numpy_helper.from_array(array, name) for name, array in (tensors or {}).items()],
    )
    domains = {"": opset, **(imports or {})}
    entries = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return helper.make_model(graph, opset_imports=entries, ir_version=ir_version, functions=functions)


def relu(**versions: Any) -> onnx.ModelProto:
    """One operator that every runtime has, in a file of these versions."""
    return model([helper.make_node("Relu", ["x"], ["y"])], **versions)


def dynamic(weights: type[np.integer]) -> onnx.ModelProto:
    """A convolution as ``quantize_dynamic`` writes it."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("ConvInteger", ["q", "w", "zero", "w_zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["float_sum"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float_sum", "scale"], ["y"]),
    ]
    return model(nodes, {"w": np.ones((3, 2, 3, 3), weights), "w_zero": np.zeros((), weights)})


def qoperator() -> onnx.ModelProto:
    """A convolution and an addition as ``quantize_static`` writes them with fused operators."""
    names = ["q", "s", "z", "w", "s", "z_w", "s", "z"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", names, ["c"]),
        helper.make_node("QLinearAdd", ["c", "s", "z", "c", "s", "z", "s", "z"], ["a"], domain="com.microsoft"),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["f"]),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    zero, one = np.zeros((), np.uint8), np.ones((), np.float32)
    tensors = {"s": one, "z": zero, "z_w": np.zeros((), np.int8), "w": np.ones((3, 2, 3, 3), np.int8)}
    return model(nodes, tensors, imports={"com.microsoft": 1})


def with_function(opset: int) -> onnx.ModelProto:
    """A function of the model's own whose body is of another opset."""
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("local", "Mix", ["a"], ["b"], body, [helper.make_opsetid("", opset)])
    node = helper.make_node("Mix", ["x"], ["y"], domain="local")
    return model([node], imports={"local": 1}, functions=[function])


def half() -> onnx.ModelProto:
    """An operator that no CPU has for float16, which the runtime runs in float32."""
    nodes = [helper.make_node("Elu", ["x"], ["y"])]
    return model(nodes, dtype=TensorProto.FLOAT16, answer=TensorProto.FLOAT16)


FILES: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": relu,
    "ir 10": lambda: relu(ir_version=10),
    "ir 14": lambda: relu(ir_version=14),
    "unused ai.onnx.ml 5": lambda: relu(imports={"ai.onnx.ml": 5}),
    "unused com.microsoft 2": lambda: relu(imports={"com.microsoft": 2}),
    "unused unknown domain": lambda: relu(imports={"example.unknown": 7}),
    "opset 21": lambda: relu(opset=21, ir_version=9),
    "opset 28": lambda: relu(opset=28, ir_version=9),
    "dynamic int8": lambda: dynamic(np.int8),
    "dynamic uint8": lambda: dynamic(np.uint8),
    "qoperator": qoperator,
    "function of opset 13": lambda: with_function(13),
    "function of opset 21": lambda: with_function(21),
    "float16": half,
}
"""Every file, by what is peculiar about it."""


def facts(of: onnx.ModelProto) -> Graph:
    """What a file says of itself, as far as prediction needs it."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in of.opset_import}
    used = {node.domain or "ai.onnx" for node in of.graph.node}
    return Graph(
        provenance=Provenance(variant="file"),
        ir_version=of.ir_version,
        opsets=opsets,
        unused_domains=tuple(sorted(opsets.keys() - used)),
        signatures=signatures(of),
        function_opsets={
            f"{one.domain}::{one.name}": {e.domain or "ai.onnx": e.version for e in one.opset_import}
            for one in of.functions
        },
    )
