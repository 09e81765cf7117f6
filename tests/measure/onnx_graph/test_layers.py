"""What each layer takes of a file, against sizes reckoned by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eyerace_parity.evidence.artefacts import LayerSize
from eyerace_parity.measure.onnx_graph.layers import MOST, weigh_layers
from eyerace_parity.measure.onnx_graph.shapes import element_type

if TYPE_CHECKING:
    from collections.abc import Sequence


def stored(name: str, shape: Sequence[int], dtype: Any = np.float32) -> onnx.TensorProto:
    """A stored tensor of ones."""
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def model(nodes: Sequence[onnx.NodeProto], tensors: Sequence[onnx.TensorProto]) -> onnx.ModelProto:
    """A model from ``x`` to ``y``."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    return helper.make_model(helper.make_graph(nodes, "graph", ports[:1], ports[1:], tensors))


def test_a_layer_is_its_weight_and_its_bias() -> None:
    """The largest comes first, under the name of its node."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], name="/first"),
        helper.make_node("Conv", ["h", "v"], ["y"], name="/second"),
    ]
    tensors = [stored("w", (2, 3, 1, 1)), stored("b", (2,)), stored("v", (5, 2, 1, 1))]
    layers, rest = weigh_layers(model(nodes, tensors))
    assert layers == (
        LayerSize(name="/second", operator="Conv", bytes=40, dtype="float32"),
        LayerSize(name="/first", operator="Conv", bytes=32, dtype="float32"),
    )
    assert rest == 0


def test_a_quantised_weight_belongs_to_the_layer_behind_its_dequantisation() -> None:
    """Scale and zero point with it, through whatever else changes its form only."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]),
        helper.make_node("Transpose", ["d"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"], name="/last"),
    ]
    tensors = [stored("w", (10, 4), np.int8), stored("s", (4,)), stored("z", (4,), np.int8)]
    layers, _ = weigh_layers(model(nodes, tensors))
    assert layers == (LayerSize(name="/last", operator="MatMul", bytes=40 + 16 + 4, dtype="int8"),)


def test_constants_and_branches_count() -> None:
    """A constant belongs to its user, also where both lie inside a branch; a node without a name has its output's."""
    constant = helper.make_node("Constant", [], ["c"], value=stored("", (8,)))
    inner = helper.make_graph([constant, helper.make_node("Add", ["x", "c"], ["i"])], "then", [], [])
    nodes = [helper.make_node("If", ["x"], ["y"], then_branch=inner)]
    layers, _ = weigh_layers(model(nodes, []))
    assert layers == (LayerSize(name="i", operator="Add", bytes=32, dtype="float32"),)


def test_what_nobody_uses_counts_too() -> None:
    """Dead weight is weight."""
    layers, _ = weigh_layers(model([helper.make_node("Identity", ["x"], ["y"])], [stored("w", (4,))]))
    assert layers == (LayerSize(name="w", operator="", bytes=16, dtype="float32"),)


def test_only_the_largest_are_told_apart() -> None:
    """The rest are a sum, so that a file of thousands of layers does not fill the record."""
    names = [f"n{number}" for number in range(MOST + 3)]
    nodes = [helper.make_node("Add", ["x", name], [f"{name}_out"], name=name) for name in names]
    layers, rest = weigh_layers(model(nodes, [stored(name, (number + 1,)) for number, name in enumerate(names)]))
    assert len(layers) == MOST
    assert layers[0].bytes == 4 * (MOST + 3)
    assert rest == 4 * (1 + 2 + 3)


def test_a_circle_ends() -> None:
    """A hostile graph in which values change their form for ever."""
    nodes = [helper.make_node("Identity", ["a"], ["b"]), helper.make_node("Identity", ["b"], ["a"])]
    layers, _ = weigh_layers(model(nodes, [stored("a", (2,))]))
    assert layers[0].bytes == 8


@pytest.mark.parametrize(
    ("dtype", "dims", "size"),
    [(TensorProto.INT4, (3,), 2), (TensorProto.FLOAT, (-1, 4), 0), (999, (4,), 0), (TensorProto.BFLOAT16, (3,), 6)],
)
def test_sizes_come_from_extents(dtype: int, dims: tuple[int, ...], size: int) -> None:
    """Half a byte an element, extents that are none, and types that nobody knows."""
    tensor = onnx.TensorProto(name="w", data_type=dtype, dims=dims)
    layers, _ = weigh_layers(model([helper.make_node("Add", ["x", "w"], ["y"], name="n")], [tensor]))
    assert sum(layer.bytes for layer in layers) == size


def test_element_types_are_spelt_as_numpy_spells_them() -> None:
    """And one that is not known by its number."""
    assert [element_type(number) for number in (1, 3, 16, 999)] == ["float32", "int8", "bfloat16", "type 999"]
