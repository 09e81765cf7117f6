"""What is written last: clean, stamped and valid."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.core.errors import RecipeError
from eyerace_parity.recipes.onnx_file import opset_of, seal


def model(
    *, ir_version: int = 10, domains: tuple[str, ...] = (), weight: onnx.TensorProto | None = None
) -> onnx.ModelProto:
    """A model with everything that a tool might leave behind."""
    node = helper.make_node("Identity", ["x"], ["y"], "same", doc_string="/home/someone/model.py:12")
    entry = node.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", "/home/someone/model.py:12"
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [weight] if weight is not None else [],
        doc_string="made on a Monday",
    )
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=imports, ir_version=ir_version, doc_string="by someone")
    helper.set_model_props(
        made, {"owner": "someone", "onnx.infer": "onnxruntime.quant", "eyerace_parity.source": "old"}
    )
    return made


def sealed(made: onnx.ModelProto, **stamp: str) -> onnx.ModelProto:
    """What is read back of a sealed model."""
    return onnx.load_model_from_string(seal(made, stamp))


def domains_of(made: onnx.ModelProto) -> set[str]:
    """Domains that a model imports."""
    return {entry.domain for entry in made.opset_import}


def test_traces_of_the_maker_are_taken_off() -> None:
    """Neither comments nor stack traces nor what tools leave for each other; the user's own properties stay."""
    content = seal(model(), {"source": "new"})
    assert b"/home/someone" not in content
    assert b"Monday" not in content
    made = onnx.load_model_from_string(content)
    assert {prop.key: prop.value for prop in made.metadata_props} == {
        "owner": "someone",
        "eyerace_parity.source": "new",
    }
    assert made.producer_name == "eyerace-parity"


def test_imports_that_nothing_uses_are_taken_off() -> None:
    """``ai.onnx.ml`` 5 alone makes ONNX Runtime 1.17 and older refuse a file."""
    assert domains_of(sealed(model(domains=("ai.onnx.ml", "com.microsoft")))) == {""}


def test_imports_that_a_branch_uses_stay() -> None:
    """A node inside a subgraph is a user too."""
    made = model(domains=("com.microsoft",))
    out = [helper.make_tensor_value_info("g", TensorProto.FLOAT, None)]
    branch = helper.make_graph([helper.make_node("Gelu", ["x"], ["g"], domain="com.microsoft")], "branch", [], out)
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    made.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch))
    assert domains_of(sealed(made)) == {"", "com.microsoft"}


def test_the_lowest_ir_version_is_written() -> None:
    """Opset 17 needs IR 8, which ONNX Runtime has read since 1.12."""
    assert sealed(model(ir_version=10)).ir_version == 8
    assert sealed(model(ir_version=7)).ir_version == 7


def test_a_type_that_needs_a_newer_ir_version_keeps_it() -> None:
    """Four-bit integers came with IR 10."""
    weight = helper.make_tensor("w", TensorProto.INT4, [2], [1, 2])
    assert sealed(model(weight=weight)).ir_version == 10


def test_sealing_twice_changes_nothing() -> None:
    """The content decides, and the order of a stamp does not."""
    first = seal(model(), {"source": "a", "recipe": "b"})
    again = seal(onnx.load_model_from_string(first), {"recipe": "b", "source": "a"})
    assert first == again


def test_an_invalid_model_is_refused() -> None:
    """Better here, with a reason, than on a phone."""
    made = model()
    made.graph.node[0].input[0] = "ghost"
    with pytest.raises(RecipeError, match=r"not a valid ONNX model.*ghost"):
        seal(made, {})


def test_the_opset_is_read() -> None:
    """Of the default domain, by either of its names."""
    made = model()
    assert opset_of(made) == 17
    made.opset_import[0].domain = "ai.onnx"
    assert opset_of(made) == 17
    del made.opset_import[:]
    assert opset_of(made) == 0
