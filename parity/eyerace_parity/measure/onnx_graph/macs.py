"""Measures how much of a model is quantised: weights by their storage type, multiply-accumulates by their operands.

Weights are the constant operands of matrix operators (convolutions, matrix products, recurrent cells), biases left
out. A multiply-accumulate is done on integers if its operator takes integers, or if both operands come straight from
``DequantizeLinear``, which ONNX Runtime fuses into an integer operator. Every dynamic axis counts as 1, so the numbers
are those of one sample; a branch or the body of a loop counts once.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.measure.onnx_graph.shapes import KnownShapes, inferred, subgraphs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx


@dataclass(frozen=True, slots=True)
class Work:
    """What a model does, and how much of it on integers; see :class:`eyerace_parity.evidence.artefacts.Graph`."""

    weights: int = 0
    weights_integer: int = 0
    macs: int = 0
    macs_integer: int = 0


@dataclass(frozen=True, slots=True)
class _Operator:
    """A matrix operator.

    Attributes:
        rule: How its multiply-accumulates are counted.
        operands: Places of its two operands among the inputs: data and weight.
        integer: Whether it computes on integers by itself.
        weights: Places of further weights.
    """

    rule: str
    operands: tuple[int, int] = (0, 1)
    integer: bool = False
    weights: tuple[int, ...] = ()


_OPERATORS: Final = {
    "Conv": _Operator("conv"),
    "FusedConv": _Operator("conv"),
    "NhwcFusedConv": _Operator("conv"),
    "ConvInteger": _Operator("conv", integer=True),
    "QLinearConv": _Operator("conv", (0, 3), integer=True),
    "ConvTranspose": _Operator("transposed"),
    "Gemm": _Operator("matmul"),
    "FusedGemm": _Operator("matmul"),
    "QGemm": _Operator("matmul", (0, 3), integer=True),
    "MatMul": _Operator("matmul"),
    "FusedMatMul": _Operator("matmul"),
    "MatMulInteger": _Operator("matmul", integer=True),
    "MatMulInteger16": _Operator("matmul", integer=True),
    "MatMulIntegerToFloat": _Operator("matmul", integer=True),
    "DynamicQuantizeMatMul": _Operator("matmul", integer=True),
    "QLinearMatMul": _Operator("matmul", (0, 3), integer=True),
    "MatMulNBits": _Operator("packed"),
    "Attention": _Operator("rows"),
    "QAttention": _Operator("rows", integer=True),
    "LSTM": _Operator("rows", weights=(2,)),
    "GRU": _Operator("rows", weights=(2,)),
    "RNN": _Operator("rows", weights=(2,)),
    "DynamicQuantizeLSTM": _Operator("rows", integer=True, weights=(2,)),
}

SAME_VALUES: Final = frozenset(
    {
        "DequantizeLinear",
        "QuantizeLinear",
        "Transpose",
        "Reshape",
        "Identity",
        "Cast",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
    }
)
"""Operators between a stored weight and its user that change its form, not what is stored."""

_CONTRIB_ONLY: Final = frozenset({"Attention"})
"""Names that mean another operator in the default domain."""

_COMPUTES_IN_INT8: Final = 4
"""``accuracy_level`` at which ``MatMulNBits`` computes on integers."""


def count_work(model: onnx.ModelProto) -> Work:
    """Count a model's weights and multiply-accumulates; what cannot be known counts as nothing."""
    lean, known = inferred(model)
    counter = _MacCounter()
    scopes: list[tuple[Any, _Scope]] = [(lean.graph, _Scope().inside(lean.graph, known))]
    while scopes:
        graph, scope = scopes.pop()
        for node in graph.node:
            operator = _OPERATORS.get(node.op_type)
            if operator is not None and not (node.op_type in _CONTRIB_ONLY and not node.domain.startswith("com.")):
                counter.count(node, operator, scope)
            for attribute in node.attribute:
                scopes += [(inner, scope.inside(inner, known)) for inner in subgraphs(attribute)]
    return counter.work()


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a node sees: the producer of every name, in its own graph and in those around it.

    Attributes:
        producers: Node that makes a name.
        known: What is known of a tensor, by name.
    """

    producers: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, KnownShapes] = field(default_factory=dict)

    def inside(self, graph: Any, known: Mapping[str, KnownShapes]) -> _Scope:
        """Return the scope of a graph within this one."""
        own = {output: node for node in graph.node for output in node.output if output}
        return _Scope(ChainMap(own, self.producers), known)  # type: ignore[arg-type]

    def stored(self, name: str) -> str | None:
        """Follow an operand back to the stored tensor that it is made from, if it is made from one."""
        seen = set()
        while name not in seen:
            seen.add(name)
            node = self.producers.get(name)
            if node is None or node.op_type == "Constant":
                found = self.known.get(name)
                return name if found is not None and found.stored else None
            if node.op_type not in SAME_VALUES or not node.input:
                return None
            name = node.input[0]
        return None

    def dequantised(self, name: str) -> bool:
        """Whether an operand comes straight from ``DequantizeLinear`` of integers."""
        node = self.producers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or not node.input:
            return False
        found = self.known.get(node.input[0])
        return found is None or found.integer is not False


@dataclass(slots=True)
class _MacCounter:
    """Adds up, each stored tensor once however often it is used."""

    weights: dict[str, tuple[int, bool]] = field(default_factory=dict)
    macs: int = 0
    macs_integer: int = 0

    def count(self, node: Any, operator: _Operator, scope: _Scope) -> None:
        """Add one matrix operator."""
        if len(node.input) <= max(*operator.operands, *operator.weights, 0):
            return
        names = [node.input[place] for place in (*operator.operands, *operator.weights)]
        for name in names:
            stored = scope.stored(name)
            if stored is not None:
                found = scope.known[stored]
                elements = _packed(node) if operator.rule == "packed" and name == names[1] else found.elements
                self.weights[stored] = (elements, found.small)
        data, weight = (scope.known.get(name) for name in names[:2])
        answer = scope.known.get(node.output[0]) if node.output else None
        macs = _macs(node, operator.rule, data, weight, answer)
        for name in names[2:]:
            further = scope.known.get(name)
            macs += _macs(node, operator.rule, data, further, answer)
        integer = operator.integer or (
            _attribute(node, "accuracy_level", 0) == _COMPUTES_IN_INT8
            if operator.rule == "packed"
            else all(scope.dequantised(name) for name in names)
        )
        self.macs += macs
        self.macs_integer += macs if integer else 0

    def work(self) -> Work:
        """Return the sums."""
        return Work(
            weights=sum(elements for elements, _ in self.weights.values()),
            weights_integer=sum(elements for elements, small in self.weights.values() if small),
            macs=self.macs,
            macs_integer=self.macs_integer,
        )


def _macs(
    node: Any, rule: str, data: KnownShapes | None, weight: KnownShapes | None, answer: KnownShapes | None
) -> int:
    """Multiply-accumulates of one operator, 0 where the extents that decide are unknown.

    ``conv``: each output element sums over its group's channels and the kernel. ``transposed``: each input element is
    spread over its group's channels and the kernel. ``matmul``: each output element sums over the inner axis. ``rows``:
    each row of the data meets every weight. ``packed``: a matrix product whose sizes are attributes.
    """
    taken = data.shape if data else None
    matrix = weight.shape if weight else None
    given = answer.shape if answer else None
    if rule == "conv" and given is not None and matrix:
        return prod(given) * prod(matrix[1:])
    if rule == "transposed" and taken is not None and matrix:
        return prod(taken) * prod(matrix[1:])
    if rule == "matmul" and given is not None and taken:
        inner = taken[0] if _attribute(node, "transA", 0) and len(taken) > 1 else taken[-1]
        return prod(given) * inner
    if rule == "rows" and taken and matrix:
        return prod(taken[:-1]) * prod(matrix)
    if rule == "packed" and taken:
        return prod(taken[:-1]) * _packed(node)
    return 0


def _packed(node: Any) -> int:
    """Elements of a weight that is stored several to a byte."""
    return max(_attribute(node, "K", 0), 0) * max(_attribute(node, "N", 0), 0)


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)
