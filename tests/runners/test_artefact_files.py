"""External data are found in the file itself, without the onnx package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from eyerace_parity.runners.artefact_files import external_locations, locations_in
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path


def elsewhere(location: str) -> onnx.TensorProto:
    """A tensor whose values lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)
    return tensor


def model_of(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> bytes:
    """A model with these nodes and weights, as bytes."""
    model = helper.make_model(helper.make_graph(list(nodes), "g", [], [], list(weights)))
    return bytes(model.SerializeToString())


def test_a_single_file_has_none(tmp_path: Path) -> None:
    """A model that holds its weights itself keeps nothing elsewhere."""
    assert external_locations(write_linear(tmp_path / "m.onnx")) == ()


def test_what_onnx_writes_is_found(tmp_path: Path) -> None:
    """The file that onnx.save names is the one that is found."""
    assert external_locations(write_linear(tmp_path / "m.onnx", external="m.data.bin")) == ("m.data.bin",)


def test_every_place_of_a_tensor_is_searched() -> None:
    """Initialisers, constants, subgraphs and sparse tensors; each location once, in order."""
    inner = helper.make_graph([], "inner", [], [], [elsewhere("in-subgraph")])
    sparse = onnx.SparseTensorProto(values=elsewhere("in-sparse"), dims=[9])
    content = model_of(
        helper.make_node("Constant", [], ["a"], value=elsewhere("in-constant")),
        helper.make_node("If", ["a"], ["b"], then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["c"], sparse_value=sparse),
        weights=(elsewhere("../outside"), elsewhere("in-constant")),
    )
    assert set(locations_in(content)) == {"in-constant", "in-subgraph", "in-sparse", "../outside"}
    assert len(locations_in(content)) == 4


def test_a_mere_text_is_no_location() -> None:
    """A node called ``location`` does not make external data."""
    assert locations_in(model_of(helper.make_node("Relu", ["x"], ["location"], name="location"))) == ()


def test_functions_are_searched() -> None:
    """A constant inside a local function counts."""
    node = helper.make_node("Constant", [], ["y"], value=elsewhere("in-function"))
    function = helper.make_function("local", "f", [], ["y"], [node], [helper.make_opsetid("", 17)])
    model = helper.make_model(helper.make_graph([], "g", [], []), functions=[function])
    assert locations_in(model.SerializeToString()) == ("in-function",)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_foreign_bytes_do_no_harm(noise: bytes, cut: int) -> None:
    """Whatever the bytes, the search ends without an error; the runtime says what is wrong with them."""
    whole = model_of(weights=(elsewhere("somewhere"),))
    locations_in(noise + b"location")
    locations_in(whole[:cut] + noise)


def test_weights_are_stepped_over(tmp_path: Path) -> None:
    """A weight whose bytes spell a location is data, not a field."""
    trap = np.frombuffer(b"location" * 4, np.float32)
    path = tmp_path / "m.onnx"
    tensor = onnx.numpy_helper.from_array(trap, "w")
    path.write_bytes(model_of(weights=(tensor,)))
    assert external_locations(path) == ()
