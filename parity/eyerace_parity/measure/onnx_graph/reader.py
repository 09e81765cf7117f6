"""Reads the facts of an ONNX file, without running it and without trusting its content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import ArtefactError, is_transient
from eyerace_parity.core.files import display_path
from eyerace_parity.evidence.artefacts import Graph, PortFact
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.measure.onnx_graph.layers import weigh_layers
from eyerace_parity.measure.onnx_graph.macs import count_work
from eyerace_parity.measure.onnx_graph.shapes import DEFAULT_DOMAIN, domain_of, element_type, graphs, opsets_of
from eyerace_parity.measure.onnx_graph.signatures import signatures
from eyerace_parity.runners.artefact_files import artefact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.context import MeasurementContext

_LARGEST: Final = (1 << 31) - 1
"""Bytes of the largest message that protobuf reads."""

_TRAINING_DOMAINS: Final = frozenset({"ai.onnx.training", "ai.onnx.preview.training"})
_BATCH_NORM_HAS_MODE: Final = 14
"""Opset since which ``BatchNormalization`` says by an attribute that it trains; before, further outputs said so."""


def read_graph(contract: Contract, variant: str) -> Graph:
    """Read the facts of a variant's file.

    A file that is torn, foreign or malformed gives a :class:`Graph` whose ``failure`` says why. External data are
    listed, never read; the file is never executed.

    Raises:
        ArtefactError: The file is missing or cannot be read.
    """
    path, bundle = contract.path(contract.variants[variant].path), contract.root
    if contract.variants[variant].kind != "onnx":
        failure = f"{display_path(path)} is no ONNX file, so its graph cannot be seen"
        return Graph(provenance=Provenance(variant=variant), failure=failure)
    content, failure = _contents(path)
    provenance = Provenance(variant=variant, artefact=bytes_digest(content))
    if failure:
        return Graph(provenance=provenance, failure=failure)
    try:
        model = _parsed(content)
        return _facts(model, provenance, path, bundle)
    except _Unreadable as error:
        return Graph(provenance=provenance, failure=str(error))
    except Exception as error:
        if is_transient(error):
            raise  # but not what this machine was short of
        return Graph(provenance=provenance, failure=f"its graph makes no sense: {type(error).__name__}: {error}")


class _Unreadable(Exception):  # noqa: N818 - a finding, not a fault
    """Why a file's bytes are no model."""


def _contents(path: Path) -> tuple[bytes, str]:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            return b"", f"it has {size} bytes, and an ONNX file can have {_LARGEST} at most"
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(
            f"{display_path(path)} cannot be read: {error.strerror}", next_step="build it: eyerace-parity export"
        ) from error
    return content, "" if content else "the file is empty"


def _parsed(content: bytes) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - costs more than most runs

    try:
        model: onnx.ModelProto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises a class of its own
        if is_transient(error):
            raise
        raise _Unreadable("the file is torn, or no ONNX model at all") from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise _Unreadable("the file holds no graph: it is torn, or no ONNX model at all")
    return model


def _facts(model: onnx.ModelProto, provenance: Provenance, path: Path, bundle: Path) -> Graph:
    survey = _surveyed(model)
    opsets = opsets_of(model)
    used = {name.partition("::")[0] for name in survey.operators}
    external = tuple(dict.fromkeys(survey.external))
    outside = tuple(location for location in external if not _inside(path, location, bundle))
    work = count_work(model)
    layers, layers_rest = weigh_layers(model)
    given = {tensor.name for tensor in model.graph.initializer}
    given |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return Graph(
        provenance=provenance,
        checker=_checked(model, path, external, outside),
        ir_version=model.ir_version,
        opsets=opsets,
        operators=dict(sorted(survey.operators.items())),
        signatures=signatures(model),
        function_opsets={f"{domain_of(one.domain)}::{one.name}": opsets_of(one) for one in model.functions},
        unused_domains=tuple(sorted(opsets.keys() - used)),
        inputs=tuple(_port(info) for info in model.graph.input if info.name not in given),
        outputs=tuple(_port(info) for info in model.graph.output),
        external=external,
        external_outside=outside,
        training_nodes=tuple(survey.training),
        weights=work.weights,
        weights_integer=work.weights_integer,
        macs=work.macs,
        macs_integer=work.macs_integer,
        layers=layers,
        layers_rest=layers_rest,
        metadata={prop.key: prop.value for prop in model.metadata_props},
    )


def _checked(model: onnx.ModelProto, path: Path, external: tuple[str, ...], outside: tuple[str, ...]) -> str:
    """Return what onnx.checker finds wrong; it looks for external data, so it does not see a file that leads away."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    if outside:
        return f"external data outside the bundle were not opened: {', '.join(outside)}"
    try:
        # With external data the checker needs to know the folder; without, the content that was read is what counts.
        onnx.checker.check_model(str(path) if external else model)
    except Exception as error:  # the checker and protobuf raise classes of their own
        if is_transient(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0] if lines else type(error).__name__
    return ""


def _inside(path: Path, location: str, bundle: Path) -> bool:
    """Whether external data are in the bundle's folder; links are followed."""
    try:
        return (path.parent / location).resolve().is_relative_to(bundle.resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, links in a circle
        return False


def _port(info: onnx.ValueInfoProto) -> PortFact:
    if not info.type.HasField("tensor_type"):
        kind = info.type.WhichOneof("value") or "unknown"
        return PortFact(name=info.name, dtype=kind.removesuffix("_type"), shape=None)
    tensor = info.type.tensor_type
    shape = tuple(_axis(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return PortFact(name=info.name, dtype=element_type(tensor.elem_type), shape=shape)


def _axis(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    return dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"


@dataclass(slots=True)
class _Survey:
    """What a walk over all nodes and tensors collects.

    Attributes:
        operators: Number of nodes by ``domain::operator``.
        external: Locations of external data, in the order of the walk.
        training: Names of nodes left in training mode.
    """

    operators: Counter[str] = field(default_factory=Counter)
    external: list[str] = field(default_factory=list)
    training: list[str] = field(default_factory=list)


def _surveyed(model: onnx.ModelProto) -> _Survey:
    survey = _Survey()
    opset = opsets_of(model).get(DEFAULT_DOMAIN, 0)
    falsehoods: set[str] = set()
    for graph in graphs(model.graph, *model.functions):
        for tensor in getattr(graph, "initializer", ()):
            _note_tensor(tensor, survey, falsehoods)
        for sparse in getattr(graph, "sparse_initializer", ()):
            _note_tensor(sparse.values, survey, falsehoods)
            _note_tensor(sparse.indices, survey, falsehoods)
        for node in graph.node:
            survey.operators[f"{domain_of(node.domain)}::{node.op_type}"] += 1
            for attribute in node.attribute:
                for tensor in _tensors(attribute):
                    _note_tensor(tensor, survey, falsehoods, node.output)
            if _trains(node, opset, falsehoods):
                survey.training.append(node.name or f"{node.op_type} → {', '.join(node.output)}")
    return survey


def _tensors(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in (
        *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
        *attribute.sparse_tensors,
    ):
        yield sparse.values
        yield sparse.indices


def _note_tensor(tensor: onnx.TensorProto, survey: _Survey, falsehoods: set[str], outputs: Iterable[str] = ()) -> None:
    """Record where a tensor is stored, and whether it is a plain ``false``."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        survey.external += [entry.value for entry in tensor.external_data if entry.key == "location"] or [""]
    elif tensor.data_type == onnx.TensorProto.BOOL and not any(tensor.raw_data) and not any(tensor.int32_data):
        falsehoods.update((*outputs, tensor.name))


def _trains(node: onnx.NodeProto, opset: int, falsehoods: set[str]) -> bool:
    """Whether a node behaves as in training: normalises by the batch, drops at random, or computes gradients."""
    domain = domain_of(node.domain)
    if domain in _TRAINING_DOMAINS:
        return True
    if domain != DEFAULT_DOMAIN:
        return False
    if node.op_type == "BatchNormalization":
        mode = next((attribute.i for attribute in node.attribute if attribute.name == "training_mode"), 0)
        further = any(node.output[1:])
        return bool(mode) or (further and opset < _BATCH_NORM_HAS_MODE)
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:  # noqa: PLR2004 - training_mode is the third
        # Anything but a stored ``false`` may turn out true.
        return node.input[2] not in falsehoods
    return False


def graph_of(contract: Contract, variant: str) -> Graph:
    """Read the facts of a variant's file, which must be there.

    Raises:
        ArtefactError: The file is missing or cannot be read.
    """
    if contract.variants[variant].kind == "onnx":
        artefact(contract, variant)  # says what is missing, and how to build it
    return read_graph(contract, variant)


def provenance(context: MeasurementContext, need: Need[Graph]) -> Provenance:
    """Make the provenance of the facts: the file, and the library that parses it."""
    return context.provenance(need.variant, target=need.target, runtime="", settings={"onnx": version("onnx")})


def measure(context: MeasurementContext, need: Need[Graph], source: Provenance) -> Graph:
    """Read the facts of a variant's file; see :func:`graph_of`."""
    return graph_of(context.contract, need.variant).model_copy(update={"provenance": source})


# The death of the reader is a fact about the file.
GRAPH: Final = Measurer(provenance, measure, died=lambda source, error: Graph(provenance=source, failure=error.reason))
