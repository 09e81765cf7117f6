"""What a file needs of a runtime: its operators with the types around them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from eyerace_parity.measure.onnx_graph.signatures import signatures
from tests.compatibility.files import dynamic, half, model, qoperator, with_function


def test_types_are_inferred_from_stored_weights_on() -> None:
    """The pair of types by which a dynamic int8 file is refused by old runtimes."""
    found = {s.operator: (s.inputs, s.outputs) for s in signatures(dynamic(np.int8))}
    assert found["ai.onnx::ConvInteger"] == (("uint8", "int8", "uint8", "int8"), ("int32",))
    assert found["ai.onnx::Mul"] == (("float32", "float32"), ("float32",))


def test_what_onnx_does_not_know_is_inferred_from_its_schema() -> None:
    """Operators of ``com.microsoft``, and all that is computed from them."""
    found = {s.operator: (s.opset, s.outputs) for s in signatures(qoperator())}
    assert found["com.microsoft::QLinearAdd"] == (1, ("uint8",))
    assert found["ai.onnx::DequantizeLinear"] == (17, ("float32",))
    assert found["ai.onnx::Relu"] == (17, ("float32",))


def test_a_stand_in_does_not_lend_its_type() -> None:
    """``MatMulIntegerToFloat`` answers in float32, the product that stands in for it in integers."""
    nodes = [
        helper.make_node("MatMulIntegerToFloat", ["x", "w", "s", "s"], ["f"], domain="com.microsoft"),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    tensors = {"w": np.ones((4, 4), np.uint8), "s": np.ones((), np.float32)}
    made = model(nodes, tensors, imports={"com.microsoft": 1}, shape=(4, 4), dtype=TensorProto.UINT8)
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    found = {s.operator: s for s in signatures(made)}
    assert found["ai.onnx::Relu"].inputs == ("float32",)


def test_a_fused_product_answers_by_its_zero_point() -> None:
    """``QGemm`` answers in the type of its last input, or in float32 without one."""
    for further, wanted in ((["s", "z"], "uint8"), ([], "float32")):
        names = ["x", "s", "z", "w", "s", "z", "", *further]
        node = helper.make_node("QGemm", names, ["a"], domain="com.microsoft")
        tensors = {"w": np.ones((4, 4), np.uint8), "s": np.ones((), np.float32), "z": np.zeros((), np.uint8)}
        nodes = [node, helper.make_node("Identity", ["a"], ["y"])]
        made = model(nodes, tensors, imports={"com.microsoft": 1}, shape=(4, 4), dtype=TensorProto.UINT8)
        found = {s.operator: s.outputs for s in signatures(made)}
        assert found["com.microsoft::QGemm"] == (wanted,)


def test_functions_are_looked_into() -> None:
    """Written out, with their own opset and the types of their callers; the call itself needs no kernel."""
    for opset in (13, 17, 21):
        (only,) = signatures(with_function(opset))
        assert (only.operator, only.opset, only.inputs, only.outputs) == (
            "ai.onnx::Relu",
            opset,
            ("float32",),
            ("float32",),
        )


def test_equal_nodes_are_counted() -> None:
    """Once for each combination of types; what is left out is empty."""
    nodes = [
        helper.make_node("Clip", ["x", "", "top"], ["a"]),
        helper.make_node("Clip", ["a", "", "top"], ["y"]),
    ]
    (only,) = signatures(model(nodes, {"top": np.ones((), np.float32)}))
    assert (only.count, only.inputs) == (2, ("float32", "", "float32"))


def test_float16_is_itself() -> None:
    """It is the runtime that widens it, not the file."""
    (only,) = signatures(half())
    assert only.inputs == ("float16",)


def test_branches_are_walked() -> None:
    """What lies in a branch needs kernels as well."""
    out = [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    branch = helper.make_graph([helper.make_node("Elu", ["x"], ["b"])], "branch", [], out)
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    assert "ai.onnx::Elu" in {s.operator for s in signatures(model([node], {"yes": np.array(True)}))}


def test_unknown_operators_answer_unknown_types() -> None:
    """Nothing is guessed of an operator that no table knows, nor of what follows from it."""
    nodes = [helper.make_node("Odd", ["x"], ["a"], domain="example"), helper.make_node("Relu", ["a"], ["b"])]
    nodes.append(helper.make_node("Relu", ["b"], ["y"]))
    found = [s.inputs for s in signatures(model(nodes, imports={"example": 1})) if s.operator == "ai.onnx::Relu"]
    assert found == [("?",), ("?",)]
