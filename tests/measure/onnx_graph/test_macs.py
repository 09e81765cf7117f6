"""Weights and multiply-accumulates against numbers counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.measure.onnx_graph.macs import Work, count_work

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOAT = np.float32


def tensor(name: str, shape: Sequence[int], dtype: Any = FLOAT) -> onnx.TensorProto:
    """A stored tensor of ones."""
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def work(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto],
    shape: Sequence[int | str],
    *,
    dtype: int = TensorProto.FLOAT,
) -> Work:
    """Count the work of nodes from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return count_work(helper.make_model(graph, opset_imports=imports, ir_version=8))


def contrib(op_type: str, inputs: Sequence[str], outputs: Sequence[str] = ("y",), **attributes: Any) -> onnx.NodeProto:
    """A node of ONNX Runtime's own domain."""
    return helper.make_node(op_type, inputs, outputs, domain="com.microsoft", **attributes)


def test_a_convolution() -> None:
    """6 outputs of 4x4, each over 3 channels of 3x3; the batch counts once, the bias not at all."""
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])]
    found = work(nodes, [tensor("w", (6, 3, 3, 3)), tensor("b", (6,))], ["batch", 3, 8, 8])
    assert found == Work(weights=162, macs=6 * 4 * 4 * 27)


def test_a_grouped_convolution() -> None:
    """Depthwise: each output sees its own channel only."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], group=6)]
    assert work(nodes, [tensor("w", (6, 1, 3, 3))], ["batch", 6, 5, 5]) == Work(weights=54, macs=6 * 3 * 3 * 9)


def test_a_transposed_convolution() -> None:
    """Each of 4x5x5 inputs is spread over 2 channels of 3x3."""
    nodes = [helper.make_node("ConvTranspose", ["x", "w"], ["y"])]
    assert work(nodes, [tensor("w", (4, 2, 3, 3))], ["batch", 4, 5, 5]) == Work(weights=72, macs=100 * 18)


def test_matrix_products() -> None:
    """Gemm with a transposed weight, and a product of two activations, which has no weights."""
    gemm = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    assert work(gemm, [tensor("w", (7, 5)), tensor("b", (7,))], ["batch", 5]) == Work(weights=35, macs=35)
    attention = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    assert work(attention, [], ["batch", 6, 5]) == Work(macs=6 * 6 * 5)


def test_a_recurrent_cell() -> None:
    """Each of 9 steps meets both matrices."""
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)]
    found = work(nodes, [tensor("w", (1, 16, 3)), tensor("r", (1, 16, 4))], [9, "batch", 3])
    assert found == Work(weights=48 + 64, macs=9 * (48 + 64))


def test_a_weight_that_is_used_twice_is_stored_once() -> None:
    """Its work counts each time."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    assert work(nodes, [tensor("w", (5, 5))], ["batch", 5]) == Work(weights=25, macs=50)


def test_a_constant_is_a_weight() -> None:
    """However the file stores it, and whatever changes its form on the way."""
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor("c", (7, 5))),
        helper.make_node("Transpose", ["c"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    assert work(nodes, [], ["batch", 5]) == Work(weights=35, macs=35)


def quantise(name: str, stored: str = "") -> list[onnx.NodeProto]:
    """Q and DQ around an activation, or DQ behind a stored tensor; the result is ``NAME_dq``."""
    nodes = [] if stored else [helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"])]
    zero = "zw" if stored else "z"
    return [*nodes, helper.make_node("DequantizeLinear", [stored or f"{name}_q", "s", zero], [f"{name}_dq"])]


SCALES = [tensor("s", ()), tensor("z", (), np.uint8), tensor("zw", (), np.int8)]


def test_both_operands_make_a_product_one_of_integers() -> None:
    """A stored int8 weight behind DQ, an activation between Q and DQ."""
    nodes = [*quantise("x"), *quantise("w", "w8"), helper.make_node("MatMul", ["x_dq", "w_dq"], ["y"])]
    found = work(nodes, [tensor("w8", (5, 7), np.int8), *SCALES], ["batch", 5])
    assert found == Work(weights=35, weights_integer=35, macs=35, macs_integer=35)


def test_a_weight_alone_does_not() -> None:
    """Stored in 8 bits but multiplied in float: small, not fast."""
    nodes = [*quantise("w", "w8"), helper.make_node("MatMul", ["x", "w_dq"], ["y"])]
    found = work(nodes, [tensor("w8", (5, 7), np.int8), *SCALES], ["batch", 5])
    assert found == Work(weights=35, weights_integer=35, macs=35)


def test_a_float_weight_behind_q_and_dq_is_stored_in_float() -> None:
    """The work is one of integers once the runtime has folded it; the file is as large as before."""
    nodes = [*quantise("x"), *quantise("w"), helper.make_node("MatMul", ["x_dq", "w_dq"], ["y"])]
    assert work(nodes, [tensor("w", (5, 7)), *SCALES], ["batch", 5]) == Work(weights=35, macs=35, macs_integer=35)


def test_something_between_dq_and_its_user_keeps_it_in_float() -> None:
    """ONNX Runtime fuses a DQ that stands right before the operator, and no other."""
    nodes = [
        *quantise("x"),
        *quantise("w", "w8"),
        helper.make_node("Transpose", ["w_dq"], ["t"]),
        helper.make_node("MatMul", ["x_dq", "t"], ["y"]),
    ]
    found = work(nodes, [tensor("w8", (7, 5), np.int8), *SCALES], ["batch", 5])
    assert found == Work(weights=35, weights_integer=35, macs=35)


def test_an_integer_operator() -> None:
    """ConvInteger behind DynamicQuantizeLinear, as ``quantize_dynamic`` writes it."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("ConvInteger", ["q", "w8", "zero"], ["i"]),
        helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
    ]
    found = work(nodes, [tensor("w8", (6, 3, 3, 3), np.uint8)], ["batch", 3, 8, 8])
    assert found == Work(weights=162, weights_integer=162, macs=6 * 36 * 27, macs_integer=6 * 36 * 27)


def test_shapes_are_known_behind_the_runtimes_own_operators() -> None:
    """QLinearAdd, QLinearMul, QLinearSigmoid, QLinearConcat and QLinearGlobalAveragePool between two convolutions."""
    conv = ["s", "z", "w1", "s", "zw", "s", "z"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", *conv], ["a"], pads=[1, 1, 1, 1]),
        contrib("QLinearSigmoid", ["a", "s", "z", "s", "z"], ["b"]),
        contrib("QLinearMul", ["a", "s", "z", "b", "s", "z", "s", "z"], ["c"]),
        contrib("QLinearAdd", ["c", "s", "z", "a", "s", "z", "s", "z"], ["d"]),
        contrib("QLinearConcat", ["s", "z", "d", "s", "z", "c", "s", "z"], ["e"], axis=1),
        contrib("QLinearGlobalAveragePool", ["e", "s", "z", "s", "z"], ["f"]),
        helper.make_node("QLinearConv", ["f", "s", "z", "w2", "s", "zw", "s", "z"], ["g"]),
        helper.make_node("Flatten", ["g"], ["h"]),
        contrib("QGemm", ["h", "s", "z", "w3", "s", "zw", "", "s", "z"], ["i"], transB=1),
        helper.make_node("DequantizeLinear", ["i", "s", "z"], ["y"]),
    ]
    tensors = [
        tensor("w1", (4, 3, 3, 3), np.int8),
        tensor("w2", (5, 8, 1, 1), np.int8),
        tensor("w3", (2, 5), np.int8),
        *SCALES,
    ]
    macs = 4 * 36 * 27 + 5 * 8 + 2 * 5
    found = work(nodes, tensors, ["batch", 3, 6, 6])
    assert found == Work(weights=158, weights_integer=158, macs=macs, macs_integer=macs)


@pytest.mark.parametrize(("accuracy", "integer"), [(0, 0), (4, 32 * 6)])
def test_weights_packed_several_to_a_byte(accuracy: int, integer: int) -> None:
    """MatMulNBits: 32x6 weights of four bits in 96 bytes; whether it computes on integers is an attribute."""
    node = contrib("MatMulNBits", ["x", "w", "s"], K=32, N=6, bits=4, block_size=32, accuracy_level=accuracy)
    found = work([node], [tensor("w", (6, 1, 16), np.uint8), tensor("s", (6,))], ["batch", 32])
    assert found == Work(weights=192, weights_integer=192, macs=192, macs_integer=integer)


def test_work_inside_branches_and_loops_counts_once() -> None:
    """A branch sees the weights of the graph around it."""

    def branch(name: str, weight: str) -> onnx.GraphProto:
        node = helper.make_node("MatMul", ["x", weight], [name])
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch("a", "w"), else_branch=branch("b", "v"))]
    tensors = [tensor("c", (), np.bool_), tensor("w", (5, 7)), tensor("v", (5, 3))]
    assert work(nodes, tensors, ["batch", 5]) == Work(weights=50, macs=50)


def test_an_operator_of_the_same_name_in_another_domain_is_another() -> None:
    """``Attention`` of ai.onnx takes three activations and has no weights."""
    nodes = [helper.make_node("Attention", ["x", "w"], ["y"])]
    assert work(nodes, [tensor("w", (5, 5))], ["batch", 4, 5]) == Work()


def test_unknown_extents_count_as_nothing() -> None:
    """Behind an operator that nobody knows the weights are seen, the work is not."""
    nodes = [
        helper.make_node("Riddle", ["x"], ["h"], domain="somewhere"),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    assert work(nodes, [tensor("w", (5, 7))], ["batch", 5]) == Work(weights=35)
