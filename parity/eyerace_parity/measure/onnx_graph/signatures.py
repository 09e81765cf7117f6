"""Lists the kernels that a runtime needs: every operator of a file with its opset, input types and output types.

``onnx.shape_inference`` gives the types of the standard operators. The output types of ONNX Runtime's own operators
come from their schemas in the table of runtimes, and so do the types of everything computed from them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.compatibility.kernels import ABSENT, UNKNOWN, bound
from eyerace_parity.compatibility.table import table
from eyerace_parity.evidence.artefacts import OperatorSignature
from eyerace_parity.measure.onnx_graph.shapes import (
    DEFAULT_DOMAIN,
    domain_of,
    element_type,
    graphs,
    inferred,
    opsets_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import onnx

    from eyerace_parity.compatibility.table import Form

_TYPE_ATTRIBUTES: Final = frozenset({"to", "dtype", "output_dtype"})
"""Attributes that state the element type of an operator's output."""

_GEMM: Final = ("com.microsoft", "QGemm")
_GEMM_ANSWERS_LIKE: Final = 8
"""Place of the zero point whose type it answers; without one it answers in float32."""


def signatures(model: onnx.ModelProto) -> tuple[OperatorSignature, ...]:
    """List the operators of a model, functions written out, each once for the types around it."""
    lean, known = inferred(model)
    opsets = opsets_of(model)
    for function in model.functions:
        # What was written out is of the function's opset; the model's own word goes first.
        opsets = opsets_of(function) | opsets
    types = {name: _spelled(found.type) for name, found in known.items()}
    types |= _corrected(lean, opsets, types, _declared(model))
    found = Counter(_signatures(lean.graph, opsets, types))
    for function in lean.functions:
        # Left are those that could not be written out, because they are of another opset than the model.
        own_opsets = opsets | opsets_of(function)
        for inputs in _calls(lean, function, types):
            inside = dict(zip(function.input, inputs, strict=False))
            found.update(_signatures(function, own_opsets, inside | _answers(function, own_opsets, inside)))
    own = {f"{domain_of(function.domain)}::{function.name}" for function in lean.functions}
    return tuple(
        OperatorSignature(operator=operator, opset=opset, inputs=inputs, outputs=outputs, count=count)
        for (operator, opset, inputs, outputs), count in sorted(found.items())
        if operator not in own
    )


def _spelled(number: int) -> str:
    """Spell an element type of ``TensorProto``, ``?`` where there is none."""
    return element_type(number) if number else UNKNOWN


def _declared(model: onnx.ModelProto) -> dict[str, str]:
    """Return the types that the file states for values of the outermost graph."""
    stated = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    types = {info.name: _spelled(info.type.tensor_type.elem_type) for info in stated}
    return {name: type_ for name, type_ in types.items() if type_ != UNKNOWN}


_Key = tuple[str, int, tuple[str, ...], tuple[str, ...]]


def _signatures(graph: Any, opsets: Mapping[str, int], types: Mapping[str, str]) -> Iterator[_Key]:
    for node in _nodes(graph):
        domain = domain_of(node.domain)
        yield (
            f"{domain}::{node.op_type}",
            opsets.get(domain, 0),
            _typed(node.input, types),
            _typed(node.output, types),
        )


def _typed(names: Sequence[str], types: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(types.get(name, UNKNOWN) if name else ABSENT for name in names)


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of all graphs inside it, the outer ones first."""
    return (node for one in graphs(graph) for node in one.node)


def _corrected(
    lean: onnx.ModelProto, opsets: Mapping[str, int], guessed: Mapping[str, str], declared: Mapping[str, str]
) -> dict[str, str]:
    """Return the output types of operators of other domains, and of everything computed from them.

    Shapes are inferred with stand-ins whose answers have the right extents, not always the right type.
    """
    types: dict[str, str] = {}
    for node in _nodes(lean.graph):
        if domain_of(node.domain) != DEFAULT_DOMAIN or any(name in types for name in node.input):
            answers = _answered(node, opsets, _typed(node.input, {**guessed, **types}))
            types |= {name: declared.get(name, type_) for name, type_ in zip(node.output, answers, strict=True)}
    return types


def _only_answer(form: Form, variable: str) -> str:
    """Return the output type that all kernels share, if the inputs do not determine it."""
    answers = {type_ for kernel in form.kernels for type_ in kernel.types.get(variable, (UNKNOWN, ABSENT))}
    return answers.pop() if len(answers) == 1 else UNKNOWN


def _calls(lean: onnx.ModelProto, function: onnx.FunctionProto, types: Mapping[str, str]) -> set[tuple[str, ...]]:
    """Return the types with which a function is called; unknown ones if only another function calls it."""
    calls = {
        _typed(node.input, types)
        for node in _nodes(lean.graph)
        if (node.domain, node.op_type) == (function.domain, function.name)
    }
    return calls or {tuple(UNKNOWN for _ in function.input)}


def _answers(function: onnx.FunctionProto, opsets: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    """Return the types of everything that a function computes from its inputs."""
    types: dict[str, str] = {}
    for node in _nodes(function):
        types |= dict(zip(node.output, _answered(node, opsets, _typed(node.input, {**given, **types})), strict=True))
    return types


def _answered(node: Any, opsets: Mapping[str, int], inputs: tuple[str, ...]) -> list[str]:
    """Return an operator's output types by its schema."""
    stated = next((a.i for a in node.attribute if a.name in _TYPE_ATTRIBUTES and a.i), 0) or next(
        (a.t.data_type for a in node.attribute if a.name == "value"), 0
    )
    unknown = [UNKNOWN] * len(node.output)
    domain, known = domain_of(node.domain), table()
    if (domain, node.op_type) == _GEMM:
        return [next((type_ for type_ in inputs[_GEMM_ANSWERS_LIKE:] if type_), "float32")]
    form = known.form(f"{domain}::{node.op_type}", opsets.get(domain, 0), known.last)
    if form is None:
        return unknown
    variables = bound(form, OperatorSignature(operator=form.operator, opset=0, inputs=inputs, outputs=(), count=1))
    answers = []
    for place in range(len(node.output)):
        port = form.outputs[min(place, len(form.outputs) - 1)] if form.outputs else None
        type_ = UNKNOWN if port is None or not port.alike else variables.get(port.variable, UNKNOWN)
        if type_ == UNKNOWN and stated:
            type_ = element_type(stated)
        elif type_ == UNKNOWN and port is not None:
            type_ = port.only or _only_answer(form, port.variable)
        answers.append(type_)
    return answers
