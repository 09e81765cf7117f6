"""How each kind of evidence is measured, where it comes from, and whether it may be kept: one table for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from eyerace_parity.core.digests import json_digest
from eyerace_parity.evidence.answers import Execution, Golden, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.costs import Footprint, Instructions, PeerTiming, Preflight, Soak, Timing
from eyerace_parity.evidence.diagnostics import Sensitivity, Trials, Weights
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.measure.cache import SCHEMA
from eyerace_parity.measure.context import MeasurementContext, code_digest
from eyerace_parity.measure.kinds import (
    execution,
    files,
    flips,
    footprint,
    instructions,
    known_flips,
    outputs,
    peer_timing,
    preparation_trials,
    repeats,
    sensitivity,
    soak,
    timing,
    weights,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.core.errors import WorkerDied
    from eyerace_parity.evidence.base import Need, Provenance

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Measurer(Generic[E]):
    """How one kind of evidence is obtained.

    Attributes:
        provenance: Says where it will come from, without measuring.
        measure: Measures it.
        code: Files of this package whose change makes earlier measurements worthless.
        kept: Whether the store may answer instead; never for times.
        survival: Whether an ONNX variant must have survived in a worker first.
        apart: Whether an assistant measures it, where there is one; else a torch variant must have survived with it.
        alone: Whether nothing else may be measured on this machine meanwhile.
        died: Makes evidence of the death of the process that measured; ``None`` where a death is no evidence.
    """

    provenance: Callable[[MeasurementContext, Need[E]], Provenance]
    measure: Callable[[MeasurementContext, Need[E], Provenance], E]
    code: tuple[str, ...] = ()
    kept: bool = True
    survival: bool = False
    apart: bool = False
    alone: bool = False
    died: Callable[[Provenance, WorkerDied], E | None] = lambda _source, _error: None


def is_timed(kind: type[Any]) -> bool:
    """Whether measurements of a kind speak of one machine at one time, and so of no other."""
    return kind in TABLE and TABLE[kind].alone


def is_kept(kind: type[Any]) -> bool:
    """Whether measurements of a kind depend on content alone: then they mean the same on another day."""
    return kind in TABLE and TABLE[kind].kept


GRAPH_CODE = (
    "measure/onnx_graph/reader.py",
    "measure/onnx_graph/layers.py",
    "measure/onnx_graph/macs.py",
    "measure/onnx_graph/shapes.py",
    "measure/onnx_graph/signatures.py",
    "compatibility/kernels.py",
    "compatibility/table.py",
    "compatibility/runtimes.json",
)


def _graph_provenance(bench: MeasurementContext, need: Need[Graph]) -> Provenance:
    from importlib.metadata import version  # noqa: PLC0415

    return bench.provenance(need.variant, target=need.target, runtime="", settings={"onnx": version("onnx")})


def _read_graph(bench: MeasurementContext, need: Need[Graph], source: Provenance) -> Graph:
    from eyerace_parity.measure.onnx_graph.reader import graph_of  # noqa: PLC0415 - only where nothing is known of the file

    return graph_of(bench.contract, need.variant).model_copy(update={"provenance": source})


def _killed_its_reader(source: Provenance, error: WorkerDied) -> Graph:
    return Graph(provenance=source, failure=error.reason)


def _lineage_provenance(bench: MeasurementContext, need: Need[Lineage]) -> Provenance:
    return bench.provenance(need.variant, target=need.target, runtime="")


def _read_lineage(bench: MeasurementContext, need: Need[Lineage], source: Provenance) -> Lineage:
    from eyerace_parity.measure.kinds.lineage import read_lineage  # noqa: PLC0415

    return read_lineage(bench.contract, need.variant).model_copy(update={"provenance": source})


def _by_the_lane(_bench: MeasurementContext, need: Need[Any], *_source: Provenance) -> NoReturn:
    message = f"{need} is executed by the lane, together with all else that is expected"
    raise LookupError(message)


TABLE: dict[type[Any], Measurer[Any]] = {
    Execution: Measurer(_by_the_lane, _by_the_lane, execution.CODE),
    Instructions: Measurer(_by_the_lane, _by_the_lane, instructions.CODE),
    Outputs: Measurer(outputs.provenance, outputs.measure, outputs.CODE, survival=True, apart=True),
    Repeats: Measurer(repeats.provenance, repeats.measure, repeats.CODE, survival=True, apart=True),
    Graph: Measurer(_graph_provenance, _read_graph, GRAPH_CODE, apart=True, died=_killed_its_reader),
    Files: Measurer(files.provenance, files.measure, files.CODE),
    Preflight: Measurer(footprint.preflight_provenance, footprint.measure_preflight, footprint.CODE, apart=True),
    Footprint: Measurer(
        footprint.footprint_provenance, footprint.measure_footprint, footprint.CODE, kept=False, apart=True, alone=True
    ),
    Soak: Measurer(soak.provenance, soak.measure, soak.CODE, kept=False, survival=True, apart=True, alone=True),
    Timing: Measurer(timing.provenance, timing.measure, timing.CODE, kept=False, survival=True, apart=True, alone=True),
    PeerTiming: Measurer(
        peer_timing.provenance, peer_timing.measure, peer_timing.CODE, kept=False, survival=True, apart=True, alone=True
    ),
    KnownFlips: Measurer(known_flips.provenance, known_flips.measure, known_flips.CODE, kept=False),
    Trials: Measurer(
        preparation_trials.provenance, preparation_trials.measure, preparation_trials.CODE, survival=True, apart=True
    ),
    Weights: Measurer(weights.provenance, weights.measure, weights.CODE, survival=True, apart=True),
    Sensitivity: Measurer(sensitivity.provenance, sensitivity.measure, sensitivity.CODE, survival=True, apart=True),
    Lineage: Measurer(_lineage_provenance, _read_lineage, ("measure/kinds/lineage.py",), kept=False),
}


def measurer_of(kind: type[E]) -> Measurer[E]:
    """Say how a kind is measured.

    Raises:
        LookupError: Nobody knows.
    """
    if kind not in TABLE:
        message = f"the laboratory does not know how to measure {kind.__name__}"
        raise LookupError(message)
    return TABLE[kind]


# ---- keys ------------------------------------------------------------------------------------------------------------


def content_key(kind: type[Any], source: Provenance) -> str:
    """Key of a measurement: the digest of all that could have changed it, our own code included."""
    stated = source.model_dump(mode="json", exclude={"cached"})
    code = code_digest(*(flips.CODE if kind is FlipLedger else measurer_of(kind).code))
    return json_digest({"schema": SCHEMA, "kind": kind.__name__, "code": code, "source": stated})


def golden_key(digest: str) -> str:
    """Key of a golden set's own facts."""
    return json_digest({"schema": SCHEMA, "kind": Golden.__name__, "golden": digest})
