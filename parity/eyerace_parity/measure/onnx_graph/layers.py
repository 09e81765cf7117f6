"""Attributes a file's size to layers: every stored tensor counts for the operator that uses it.

A quantised graph keeps the names of its operators and adds others around them, so a weight is followed through
operators that only change its form. So two variants of one network can be compared layer by layer.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.evidence.artefacts import LayerSize
from eyerace_parity.measure.onnx_graph.macs import SAME_VALUES
from eyerace_parity.measure.onnx_graph.shapes import element_type, graphs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

MOST: Final = 40
"""Layers that are listed; the others are summed up."""

_LONGEST: Final = 200
"""Characters of a name that are kept: a file may contain names of any length."""

_BITS: Final = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128,
                16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}  # fmt: skip
"""Bits of an element by the number that onnx.proto gives its type; a number is never given twice."""


def weigh_layers(model: onnx.ModelProto) -> tuple[tuple[LayerSize, ...], int]:
    """Compute the size of a model's stored tensors, layer by layer.

    Args:
        model: The model; external data count by their declared extents, and are not opened.

    Returns:
        The largest layers, largest first, and the bytes of all others together.
    """
    users = _Users(model)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    largest: dict[tuple[str, str], tuple[int, int]] = {}
    for name, tensor, holder in _stored(model):
        node = holder or users.of(name)
        layer = (_named(node) or name, node.op_type) if node is not None else (name, "")
        size = _bytes(tensor)
        sizes[layer] += size
        largest[layer] = max(largest.get(layer, (0, 0)), (size, tensor.data_type))
    order = sorted((layer for layer in sizes if sizes[layer]), key=lambda layer: (-sizes[layer], layer))
    listed = tuple(
        LayerSize(
            name=name[:_LONGEST],
            operator=operator[:_LONGEST],
            bytes=sizes[name, operator],
            dtype=element_type(largest[name, operator][1]),
        )
        for name, operator in order[:MOST]
    )
    return listed, sum(sizes[layer] for layer in order[MOST:])


class _Users:
    """Who uses a value in the end, once its form no longer changes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._first: dict[str, Any] = {}
        self._found: dict[str, Any] = {}
        for graph in graphs(model.graph, *model.functions):
            for node in graph.node:
                for name in node.input:
                    self._first.setdefault(name, node)

    def of(self, name: str) -> Any:
        """The operator that a value serves, ``None`` where it serves none."""
        path: dict[str, None] = {}
        while name not in self._found and name not in path:
            path[name] = None
            node = self._first.get(name)
            if node is None or node.op_type not in SAME_VALUES or not node.output:
                self._found[name] = node
                break
            name = node.output[0]
        found = self._found.get(name)
        self._found |= dict.fromkeys(path, found)
        return found


def _stored(model: onnx.ModelProto) -> Iterator[tuple[str, Any, Any]]:
    """Yield every stored tensor with its name, and the node that holds it unless that is a constant."""
    for graph in graphs(model.graph, *model.functions):
        for tensor in getattr(graph, "initializer", ()):
            yield tensor.name, tensor, None
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield sparse.values.name, sparse.values, None
            yield sparse.values.name, sparse.indices, None
        for node in graph.node:
            for attribute in node.attribute:
                for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
                    constant = node.op_type == "Constant" and node.output
                    yield (node.output[0] if constant else tensor.name), tensor, None if constant else node


def _named(node: Any) -> str:
    return str(node.name or next((output for output in node.output if output), ""))


def _bytes(tensor: onnx.TensorProto) -> int:
    if tensor.string_data:
        return sum(len(text) for text in tensor.string_data)
    elements = prod(tensor.dims) if all(extent >= 0 for extent in tensor.dims) else 0
    return (elements * _BITS.get(tensor.data_type, 0) + 7) // 8
