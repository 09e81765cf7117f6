"""What is read of an ONNX file, from good ones, foreign ones and hostile ones, without running any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.evidence.artefacts import PortFact
from eyerace_parity.measure.onnx_graph.reader import read_graph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.artefacts import Graph

CONTRACT = """
schema = 1
name = "graph"
[interface]
inputs = [{ name = "x", shape = ["batch", 4] }]
outputs = [{ name = "y", shape = ["batch", 4] }]
[golden]
kind = "tensors"
files = ["*.npz"]
[variants.model]
kind = "onnx"
path = "build/model.onnx"
[variants.small]
kind = "ort"
path = "build/model.ort"
"""


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    """A contract of one ONNX file that is yet to be written."""
    (tmp_path / "build").mkdir()
    (tmp_path / "contract.toml").write_text(CONTRACT, encoding="utf-8")
    return open_contract(tmp_path / "contract.toml")


def model_of(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto] = (),
    *,
    shape: Sequence[int | str | None] | None = ("batch", 4),
    opset: int = 17,
    **more: Any,
) -> onnx.ModelProto:
    """Wrap nodes from ``x`` to ``y`` into a model."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
        tensors,
    )
    imports = [helper.make_opsetid("", opset), *more.pop("imports", ())]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **more)


def read(contract: Contract, content: onnx.ModelProto | bytes) -> Graph:
    """Write the contract's file and read it."""
    path = contract.path(contract.variants["model"].path)
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return read_graph(contract, "model")


def doubled() -> onnx.NodeProto:
    """The smallest node from ``x`` to ``y``."""
    return helper.make_node("Add", ["x", "x"], ["y"], "double")


def test_a_plain_model_is_described(contract: Contract) -> None:
    """Versions, operators, ports and properties, as the file states them."""
    model = model_of([doubled()])
    helper.set_model_props(model, {"owner": "someone"})
    graph = read(contract, model)
    assert (graph.failure, graph.checker, graph.ir_version) == ("", "", 8)
    assert graph.opsets == {"ai.onnx": 17}
    assert graph.operators == {"ai.onnx::Add": 1}
    assert graph.unused_domains == ()
    assert graph.inputs == (PortFact(name="x", dtype="float32", shape=("batch", 4)),)
    assert graph.outputs == (PortFact(name="y", dtype="float32", shape=("?", 4)),)
    assert graph.metadata == {"owner": "someone"}
    assert graph.provenance.artefact.startswith("sha256:")


@pytest.mark.parametrize(
    ("type_", "dtype"),
    [
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.INT64, "int64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.STRING, "string"),
    ],
)
def test_types_are_spelled_as_numpy_does(contract: Contract, type_: int, dtype: str) -> None:
    """The contract's spelling, so that both can be compared."""
    model = model_of([doubled()])
    model.graph.input[0].type.tensor_type.elem_type = type_
    assert read(contract, model).inputs[0].dtype == dtype


def test_unnamed_axes_and_stored_inputs(contract: Contract) -> None:
    """An axis without name or extent is ``?``; an input that the file stores itself is none of the app's."""
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = model_of([node], [numpy_helper.from_array(np.ones(4, np.float32), "w")], shape=[None, 4])
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4]))
    assert read(contract, model).inputs == (PortFact(name="x", dtype="float32", shape=("?", 4)),)


def test_unused_imports_are_told(contract: Contract) -> None:
    """``quantize_static`` imports ``ai.onnx.ml`` for nothing, and older runtimes refuse the file for it."""
    imports = [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("com.microsoft", 1)]
    nodes = [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]
    graph = read(contract, model_of(nodes, imports=imports))
    assert graph.unused_domains == ("ai.onnx", "ai.onnx.ml")
    assert graph.opsets == {"ai.onnx": 17, "ai.onnx.ml": 5, "com.microsoft": 1}


def branching(then: onnx.NodeProto) -> onnx.ModelProto:
    """A model whose node ``If`` holds a node in one branch."""
    made = helper.make_tensor_value_info(then.output[0], TensorProto.FLOAT, None)
    branch = helper.make_graph([then], "then", [], [made])
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["other"])],
        "else",
        [],
        [helper.make_tensor_value_info("other", TensorProto.FLOAT, None)],
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    imports = [helper.make_opsetid("com.microsoft", 1)]
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=other)
    return model_of([node], [yes], imports=imports)


def test_subgraphs_count(contract: Contract) -> None:
    """An operator, and a domain, that only a branch uses is used."""
    graph = read(contract, branching(helper.make_node("Gelu", ["x"], ["gelu"], domain="com.microsoft")))
    assert graph.operators == {"ai.onnx::Identity": 1, "ai.onnx::If": 1, "com.microsoft::Gelu": 1}
    assert graph.unused_domains == ()


def with_function(*, used: bool = True) -> onnx.ModelProto:
    """A model with a function of its own, which multiplies by a matrix."""
    body = [
        helper.make_node("MatMul", ["given", "matrix"], ["product"]),
        helper.make_node("Gelu", ["product"], ["made"], domain="com.microsoft"),
    ]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    function = helper.make_function("local", "Mix", ["given", "matrix"], ["made"], body, imports)
    node = helper.make_node("Mix", ["x", "w"], ["y"], domain="local") if used else doubled()
    return model_of(
        [node],
        [numpy_helper.from_array(np.ones((4, 5), np.float32), "w")],
        imports=[helper.make_opsetid("local", 1), helper.make_opsetid("com.microsoft", 1)],
        functions=[function],
    )


def test_functions_count(contract: Contract) -> None:
    """What a model's own function does counts: its operators, its domains, its work."""
    graph = read(contract, with_function())
    assert (graph.failure, graph.checker) == ("", "")
    assert graph.operators == {"ai.onnx::MatMul": 1, "com.microsoft::Gelu": 1, "local::Mix": 1}
    assert graph.unused_domains == ()
    assert (graph.weights, graph.macs) == (20, 20)


def dropout(mode: onnx.TensorProto | None, *, constant: bool = False) -> onnx.ModelProto:
    """A model that drops out, with a ``training_mode`` that is stored, made by a node, or not given."""
    inputs = ["x", "", "mode"] if mode is not None else ["x"]
    nodes = [helper.make_node("Dropout", inputs, ["y"], "drop")]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["mode"], value=mode))
        return model_of(nodes)
    return model_of(nodes, [mode] if mode is not None else [])


def normalisation(opset: int, outputs: Sequence[str] = ("y",), **attributes: Any) -> onnx.ModelProto:
    """A model that normalises."""
    tensors = [numpy_helper.from_array(np.ones(4, np.float32), name) for name in "smbv"]
    nodes = [helper.make_node("BatchNormalization", ["x", *"smbv"], outputs, "norm", **attributes)]
    return model_of(nodes, tensors, opset=opset)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (dropout(None), ()),
        (dropout(numpy_helper.from_array(np.array(False), "mode")), ()),
        (dropout(numpy_helper.from_array(np.array(False), "mode"), constant=True), ()),
        (dropout(numpy_helper.from_array(np.array(True), "mode")), ("drop",)),
        (dropout(numpy_helper.from_array(np.array(True), "mode"), constant=True), ("drop",)),
        (dropout(helper.make_tensor("mode", TensorProto.BOOL, [], [1])), ("drop",)),
        (normalisation(17), ()),
        (normalisation(17, training_mode=0), ()),
        (normalisation(17, ("y", "mean", "var"), training_mode=1), ("norm",)),
        (normalisation(9, ("y", "mean", "var", "saved", "more")), ("norm",)),
        (normalisation(9), ()),
    ],
)
def test_training_mode_is_seen(contract: Contract, model: onnx.ModelProto, names: tuple[str, ...]) -> None:
    """Dropout by its third input, normalisation by its attribute or, in old opsets, its further outputs."""
    assert read(contract, model).training_nodes == names


def test_training_mode_is_seen_in_branches(contract: Contract) -> None:
    """A nameless node is told by what it makes."""
    node = helper.make_node("Dropout", ["x", "", "yes"], ["dropped"])
    assert read(contract, branching(node)).training_nodes == ("Dropout → dropped",)


def with_external(location: str, tmp_path: Path) -> onnx.ModelProto:
    """A model whose matrix lies in another file."""
    tensor = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    raw = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value=str(len(raw)))
    if (tmp_path / "build").is_dir():
        (tmp_path / "build" / location).write_bytes(raw)
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor])


def test_external_data_are_listed(contract: Contract, tmp_path: Path) -> None:
    """Inside the bundle they are fine; the work is counted without reading them."""
    graph = read(contract, with_external("weights.bin", tmp_path))
    assert (graph.external, graph.external_outside, graph.checker) == (("weights.bin",), (), "")
    assert (graph.weights, graph.macs) == (16, 16)


def test_missing_external_data_are_the_checkers(contract: Contract, tmp_path: Path) -> None:
    """A file that was copied without its data is not valid."""
    model = with_external("weights.bin", tmp_path)
    (tmp_path / "build" / "weights.bin").unlink()
    assert "weights.bin" in read(contract, model).checker


@pytest.mark.parametrize("location", ["../../secret.bin", "/etc/hostname", "build/../../../secret", "a\x00b"])
def test_external_data_outside_are_never_opened(contract: Contract, tmp_path: Path, location: str) -> None:
    """Paths that lead away are named, and the checker is not let near them."""
    graph = read(contract, with_external(location, tmp_path / "nowhere"))
    assert graph.external == graph.external_outside == (location,)
    assert "were not opened" in graph.checker


@pytest.mark.parametrize("location", ["..", "", "x" * 5000])
def test_external_data_that_are_no_file_are_the_checkers(contract: Contract, tmp_path: Path, location: str) -> None:
    """The bundle itself, nothing at all, a name that no system has: inside, but no data."""
    graph = read(contract, with_external(location, tmp_path / "nowhere"))
    assert (graph.failure, graph.external, graph.external_outside) == ("", (location,), ())
    assert graph.checker


def test_a_link_that_leads_away_is_outside(contract: Contract, tmp_path: Path) -> None:
    """The name looks harmless; the file is not in the bundle."""
    model = with_external("weights.bin", tmp_path)
    (tmp_path / "build" / "weights.bin").unlink()
    (tmp_path / "build" / "weights.bin").symlink_to(tmp_path.parent / "elsewhere.bin")
    assert read(contract, model).external_outside == ("weights.bin",)


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "torn, or no ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "torn, or no ONNX model"),
        (b"\x08\x08", "holds no graph"),
        (b"\xff" * 99, "torn, or no ONNX model"),
    ],
)
def test_foreign_files_have_a_failure(contract: Contract, content: bytes, failure: str) -> None:
    """Empty, a web page, a pointer of git-lfs, half a header, noise: never a traceback."""
    graph = read(contract, content)
    assert failure in graph.failure
    assert graph.operators == {}


def test_a_missing_file_is_an_artefact_error(contract: Contract) -> None:
    """Nothing to read is another thing than something unreadable."""
    with pytest.raises(ArtefactError, match=r"model\.onnx cannot be read"):
        read_graph(contract, "model")


def test_an_ort_file_tells_nothing(contract: Contract) -> None:
    """Its graph cannot be seen, and that is said rather than left empty."""
    assert "is no ONNX file" in read_graph(contract, "small").failure


def test_an_invalid_graph_is_the_checkers(contract: Contract) -> None:
    """Readable, but its node reads a tensor that nobody makes."""
    graph = read(contract, model_of([helper.make_node("Add", ["x", "ghost"], ["y"])]))
    assert graph.failure == ""
    assert "ghost" in graph.checker


def matmul_in_circles() -> onnx.ModelProto:
    """Two nodes, each made from the other."""
    return model_of([helper.make_node("MatMul", ["x", "b"], ["y"]), helper.make_node("Transpose", ["y"], ["b"])])


def nested(depth: int) -> onnx.ModelProto:
    """Branches inside branches."""
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    plain = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "plain", [], out)
    node = helper.make_node("MatMul", ["x", "x"], ["y"])
    for _ in range(depth):
        inner = helper.make_graph([node], "inner", [], out)
        node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=plain)
    return model_of([node], [numpy_helper.from_array(np.array(True), "yes")])


def bottomless() -> bytes:
    """Graphs in attributes of nodes of graphs, deeper than protobuf reads, and so written by hand."""

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([number << 3 | 2, *length, size]) + content

    graph = b""
    for _ in range(60):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


def functions_in_circles() -> onnx.ModelProto:
    """A function that calls itself."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    body = [helper.make_node("Mix", ["a"], ["b"], domain="local")]
    function = helper.make_function("local", "Mix", ["a"], ["b"], body, imports)
    node = helper.make_node("Mix", ["x"], ["y"], domain="local")
    return model_of([node], imports=[helper.make_opsetid("local", 1)], functions=[function])


def absurd() -> onnx.ModelProto:
    """Operators without inputs, negative extents, unknown types."""
    tensor = TensorProto(name="w", data_type=999, dims=[-5, 1 << 40])
    nodes = [
        helper.make_node("Conv", [], []),
        helper.make_node("Gemm", ["x"], ["g"]),
        helper.make_node("QLinearConv", ["x", "w", "", "w"], ["q"]),
        helper.make_node("MatMulNBits", ["x", "w"], ["n"], domain="com.microsoft", K=-3, N=1 << 40),
        helper.make_node("QLinearConcat", [], ["c"], domain="com.microsoft"),
        helper.make_node("LSTM", ["x", "w", "w"], ["y"]),
    ]
    return model_of(nodes, [tensor], shape=[-1, 0])


HOSTILE = {
    "circle": (matmul_in_circles().SerializeToString(), "checker"),
    "nested": (nested(20).SerializeToString(), ""),
    "bottomless": (bottomless(), "failure"),
    "functions": (functions_in_circles().SerializeToString(), "checker"),
    "absurd": (absurd().SerializeToString(), "checker"),
}


@pytest.mark.parametrize(("content", "accuser"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_graphs_are_read_to_the_end(contract: Contract, content: bytes, accuser: str) -> None:
    """Circles, nests and nonsense neither raise, nor hang, nor count below nothing."""
    graph = read(contract, content)
    assert [name for name in ("failure", "checker") if getattr(graph, name)] == ([accuser] if accuser else [])
    assert 0 <= graph.macs_integer <= graph.macs
    assert 0 <= graph.weights_integer <= graph.weights


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_never_gives_a_traceback(contract: Contract, data: st.DataObject) -> None:
    """Cut anywhere, or with any byte changed: facts or a failure, and nothing else."""
    content = bytearray(with_function().SerializeToString())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    graph = read(contract, bytes(content))
    assert graph.weights_integer <= graph.weights
    assert graph.macs_integer <= graph.macs
