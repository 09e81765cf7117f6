"""Tiny models to load in runtimes: limits of versions, and operators in every form.

The operators come from ONNX's own examples of one to three nodes, rewritten at every opset that changed the operator,
and with other element types instead of float32. Only models that ``onnx.checker`` accepts are used.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST_OPSET: Final = 7
"""ONNX Runtime promises support from opset 7 on."""

_INSTEAD_OF_FLOAT: Final = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16, TensorProto.INT8,
                            TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8)  # fmt: skip
_MAX_BYTES: Final = 100_000
"""Largest example that is kept, in bytes."""

_QUANTISED: Final = (
    TensorProto.UINT8,
    TensorProto.INT8,
    TensorProto.UINT16,
    TensorProto.INT16,
    TensorProto.UINT4,
    TensorProto.INT4,
    TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E5M2,
)


def identity(*, opset: int = 17, ir_version: int = 8, domain: str = "", version: int = 1) -> onnx.ModelProto:
    """A small model with chosen versions, which imports a domain that it does not use."""
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, version))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "identity", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def operators() -> Iterator[onnx.ModelProto]:
    """Yield operators in every form, without duplicates."""
    seen: set[str] = set()
    for model in _candidates():
        digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
        if digest not in seen and model.ByteSize() <= _MAX_BYTES and _valid(model):
            seen.add(digest)
            yield model


def _candidates() -> Iterator[onnx.ModelProto]:
    yield from _quantised()
    for model in _examples():
        for opset in _opsets(model):
            yield (older := _at(model, opset))
            for type_ in _INSTEAD_OF_FLOAT:
                if (other := _retyped(older, type_)) is not None:
                    yield other


def _examples() -> Iterator[onnx.ModelProto]:
    from onnx.backend.test.case.node import collect_testcases  # noqa: PLC0415 - the import runs every example

    for case in collect_testcases(None):
        if case.model is not None and len(case.model.graph.node) <= 3:  # noqa: PLR2004 - larger models test no single operator
            yield case.model


def _opsets(model: onnx.ModelProto) -> set[int]:
    """The stated opset, and those that changed an operator of the model."""
    stated = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    kinds = {node.op_type for node in model.graph.node if not node.domain}
    forms = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if not s.domain and s.name in kinds}
    return {stated} | {version for version in forms if OLDEST_OPSET <= version <= stated}


def _at(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    older = onnx.ModelProto()
    older.CopyFrom(model)
    for entry in older.opset_import:
        if not entry.domain:
            entry.version = opset
    older.ir_version = helper.find_min_ir_version_for(older.opset_import)
    return older


def _retyped(model: onnx.ModelProto, type_: int) -> onnx.ModelProto | None:
    """The model with another element type instead of float32; ``None`` if nothing changes."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    changed = False
    for info in (*other.graph.input, *other.graph.output, *other.graph.value_info):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = type_
            changed = True
    return other if changed else None


def _valid(model: onnx.ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:  # noqa: BLE001 - an invalid model tests nothing
        return False
    return True


def _quantised() -> Iterator[onnx.ModelProto]:
    """Yield integer operators with every pair of element types."""
    for first in _QUANTISED:
        for opset in (10, 13, 19, 21, 23, 24, 25):
            for domain in ("", "com.microsoft"):
                yield _round_trip(first, opset, domain)
        for second in _QUANTISED[:4]:
            yield _model(
                [helper.make_node("MatMulInteger", ["a", "b"], ["y"])], {"a": first, "b": second}, TensorProto.INT32
            )
            yield _model(
                [helper.make_node("ConvInteger", ["a", "b"], ["y"])],
                {"a": first, "b": second},
                TensorProto.INT32,
                rank=4,
            )
            yield _linear("QLinearMatMul", first, second, 10, 2)
            yield _linear("QLinearMatMul", first, second, 21, 2)
            yield _linear("QLinearConv", first, second, 10, 4)


def _round_trip(type_: int, opset: int, domain: str) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain=domain),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], domain=domain),
    ]
    zero = _zero("z", type_)
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    return _model(nodes, {"x": TensorProto.FLOAT}, TensorProto.FLOAT, opset=opset, tensors=[scale, zero], domain=domain)


def _linear(kind: str, first: int, second: int, opset: int, rank: int) -> onnx.ModelProto:
    names = ["a", "s", "za", "b", "s", "zb", "s", "zy"]
    zeros = [_zero(name, type_) for name, type_ in (("za", first), ("zb", second), ("zy", first))]
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    node = helper.make_node(kind, names, ["y"])
    return _model([node], {"a": first, "b": second}, first, rank=rank, opset=opset, tensors=[scale, *zeros])


def _zero(name: str, type_: int) -> onnx.TensorProto:
    wide = type_ in {TensorProto.UINT16, TensorProto.INT16}
    return helper.make_tensor(name, type_, [], bytes(2 if wide else 1), raw=True)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, int],
    output: int,
    *,
    rank: int = 2,
    opset: int = 10,
    tensors: Sequence[onnx.TensorProto] = (),
    domain: str = "",
) -> onnx.ModelProto:
    shape = [1] * rank
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info(name, type_, shape) for name, type_ in inputs.items()],
        [helper.make_tensor_value_info("y", output, shape)],
        tensors,
    )
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    oldest_ir = helper.find_min_ir_version_for(imports, ignore_unknown=True)
    return helper.make_model(graph, opset_imports=imports, ir_version=oldest_ir)
