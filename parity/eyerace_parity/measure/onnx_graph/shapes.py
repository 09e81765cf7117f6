"""Infers shapes and element types inside an ONNX graph, without its weights.

``onnx.shape_inference`` knows only the standard operators. On an internal copy, ONNX Runtime's own operators are
replaced by standard ones whose outputs have the same shape. Weights are not copied, only their shapes, so a model of
any size costs a copy of its nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import onnx


@dataclass(frozen=True, slots=True)
class KnownShapes:
    """What is known of a tensor.

    Attributes:
        shape: Its extents, dynamic ones as 1; ``None`` if unknown.
        type: Its element type, as ``TensorProto`` numbers them; 0 if unknown.
        stored: Whether the file holds its values.
    """

    shape: tuple[int, ...] | None
    type: int = 0
    stored: bool = False

    @property
    def elements(self) -> int:
        """Its number of elements, 0 if unknown."""
        return 0 if self.shape is None else prod(self.shape)

    @property
    def integer(self) -> bool | None:
        """Whether it holds integers; ``None`` if that is unknown."""
        return None if self.type == 0 else self.type in _INTEGERS

    @property
    def small(self) -> bool:
        """Whether it holds integers of eight bits or fewer."""
        return self.type in _SMALL


DEFAULT_DOMAIN: Final = "ai.onnx"
"""How the default operator set is called here; files also write it as an empty text."""

# As onnx.proto numbers them; a number is never given twice.
_SMALL: Final = frozenset({2, 3, 21, 22, 25, 26})
"""UINT8, INT8, UINT4, INT4, UINT2, INT2."""

_INTEGERS: Final = _SMALL | {4, 5, 6, 7, 12, 13}
"""Those, and UINT16, INT16, INT32, INT64, UINT32, UINT64."""

_SHAPE_VALUES: Final = 1024
"""Elements up to which a stored tensor is kept, because it may say how something is reshaped."""

_STAND_INS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearWhere": ("Where", (0, 1, 4)),
    "QLinearConv": ("QLinearConv", tuple(range(9))),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearReduceMean": ("ReduceMean", (0,)),
    "QGemm": ("Gemm", (0, 3)),
    "FusedConv": ("Conv", (0, 1)),
    "FusedGemm": ("Gemm", (0, 1)),
    "FusedMatMul": ("MatMul", (0, 1)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
    "MatMulInteger16": ("MatMul", (0, 1)),
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
    "Gelu": ("Identity", (0,)),
    "FastGelu": ("Identity", (0,)),
    "QuickGelu": ("Identity", (0,)),
    "BiasGelu": ("Identity", (0,)),
    "SkipLayerNormalization": ("Identity", (0,)),
    "SimplifiedLayerNormalization": ("Identity", (0,)),
}
"""Operators of ``com.microsoft``, each with one of ``ai.onnx`` whose answer has the same extents, and its inputs."""

_CONTRIB: Final = "com.microsoft"


def inferred(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, KnownShapes]]:
    """Copy a model without its weights, functions written out, and infer what can be known of its tensors.

    Args:
        model: The model; it is left as it is.

    Returns:
        The copy, with its own operators, and what is known by name. A name in a subgraph that shadows another one has
        the outermost one's facts.
    """
    lean = _inlined(_lean(model))
    known = dict(_stored(model))
    for name, stored in _stored(lean):
        known.setdefault(name, stored)
    shaped = _shaped(lean)
    for graph in graphs(shaped.graph):
        for info in (*graph.input, *graph.value_info, *graph.output):
            found = _of(info)
            before = known.get(info.name)
            if found is not None and (before is None or (before.shape is None and not before.stored)):
                known[info.name] = found
    return lean, known


def _lean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model, its large weights turned into inputs and every dynamic extent into 1."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    lean = onnx.ModelProto(ir_version=model.ir_version)
    lean.opset_import.extend(model.opset_import)
    lean.functions.extend(model.functions)
    graph = lean.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    for info in model.graph.input:
        fixed = graph.input.add()
        fixed.CopyFrom(info)
        for dim in fixed.type.tensor_type.shape.dim:
            if dim.dim_value <= 0:
                dim.dim_value = 1
    for info in model.graph.output:
        loose = graph.output.add()
        loose.CopyFrom(info)
        if loose.type.HasField("tensor_type"):
            loose.type.tensor_type.ClearField("shape")
    declared = {info.name for info in model.graph.input}
    for tensor in model.graph.initializer:
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        if prod(tensor.dims) <= _SHAPE_VALUES and not outside:
            graph.initializer.add().CopyFrom(tensor)
        elif tensor.name not in declared:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return lean


def _inlined(lean: onnx.ModelProto) -> onnx.ModelProto:
    """Write the model's own functions out, so that what they do counts where they are called."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    if not lean.functions:
        return lean
    try:
        import onnx.inliner  # noqa: PLC0415

        return onnx.inliner.inline_local_functions(lean)
    except Exception:  # noqa: BLE001 - functions that call each other in circles: what they do stays unknown
        return lean


def _shaped(lean: onnx.ModelProto) -> onnx.ModelProto:
    """Infer extents on a copy whose operators are all standard ones."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    standard = onnx.ModelProto()
    standard.CopyFrom(lean)
    for graph in graphs(standard.graph):
        for node in graph.node:
            if node.domain == _CONTRIB:
                _stand_in(node, standard)
    try:
        return onnx.shape_inference.infer_shapes(standard, check_type=False, strict_mode=False, data_prop=True)
    except Exception:  # noqa: BLE001 - a graph that contradicts itself: its extents stay unknown
        return standard


def _stand_in(node: Any, model: onnx.ModelProto) -> None:
    """Turn one of ONNX Runtime's operators into a standard one of the same extents."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    inputs: list[str]
    if node.op_type == "QLinearConcat":
        stand_in, inputs = "Concat", list(node.input[2::3])
    elif node.op_type == "MatMulNBits":
        sizes = {attribute.name: int(attribute.i) for attribute in node.attribute}
        name = f"{node.output[0]}::unpacked"
        extents = (max(sizes.get("K", 1), 1), max(sizes.get("N", 1), 1))
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, extents))
        stand_in, inputs = "MatMul", [node.input[0], name]
        node.ClearField("attribute")
    elif node.op_type in _STAND_INS:
        stand_in, places = _STAND_INS[node.op_type]
        inputs = [node.input[place] for place in places if place < len(node.input)]
    else:
        return
    if stand_in == "GlobalAveragePool" and any(a.name == "channels_last" and a.i for a in node.attribute):
        return  # another order of axes than the standard operator's
    del node.input[:]
    node.input.extend(inputs)
    node.domain, node.op_type = "", stand_in


def domain_of(domain: str) -> str:
    """Spell a domain, the default one by its name."""
    return domain or DEFAULT_DOMAIN


def opsets_of(holder: Any) -> dict[str, int]:
    """Version by imported domain, of a model or a function."""
    return {domain_of(entry.domain): entry.version for entry in holder.opset_import}


def element_type(number: int) -> str:
    """Name an element type as numpy does; ``type N`` for one that this ONNX does not know."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    try:
        spelled: str = onnx.TensorProto.DataType.Name(number)
    except ValueError:
        return f"type {number}"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(spelled, spelled.lower())


def subgraphs(attribute: onnx.AttributeProto) -> tuple[onnx.GraphProto, ...]:
    """Graphs that an attribute holds: a branch, the body of a loop."""
    return (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs)


def graphs(*roots: Any) -> Iterator[Any]:
    """Yield graphs and functions, each followed by all graphs inside it."""
    waiting = [*reversed(roots)]
    while waiting:  # a list, not recursion: a hostile file may nest graphs deeply
        one = waiting.pop()
        yield one
        for node in one.node:
            for attribute in node.attribute:
                waiting += subgraphs(attribute)


def _stored(model: onnx.ModelProto) -> Iterator[tuple[str, KnownShapes]]:
    """Yield what the file stores: initialisers and constants, of all graphs."""
    for graph in graphs(model.graph):
        for tensor in graph.initializer:
            yield tensor.name, _known(tensor.dims, tensor)
        for sparse in graph.sparse_initializer:
            yield sparse.values.name, _known(sparse.dims, sparse.values)
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.name == "value":
                        yield node.output[0], _known(attribute.t.dims, attribute.t)


def _known(dims: Iterable[int], tensor: onnx.TensorProto) -> KnownShapes:
    """Describe a stored tensor; extents that are none leave its shape unknown."""
    shape = tuple(dims)
    return KnownShapes(None if any(extent < 0 for extent in shape) else shape, tensor.data_type, stored=True)


def _of(info: onnx.ValueInfoProto) -> KnownShapes | None:
    if not info.type.HasField("tensor_type"):
        return None
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape") and all(dim.dim_value > 0 for dim in tensor.shape.dim):
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    return KnownShapes(shape, tensor.elem_type)
