"""Counts the instructions of a variant on an emulated processor: to load, for the first run, and for a later run.

Counts do not depend on the load of the machine: steady runs repeat within 0.1 %, so a few repeats are enough. They do
not predict time on a phone, because caches, clock and heat are invisible. A worker that serves other needs can count as
well: while the plugin does not count, it slows nothing down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.errors import ArtefactError, GoldenError, MeasurementError, WorkerDied
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.measure.batching import batch_of
from eyerace_parity.measure.kinds.execution import THREADS, died, prepare
from eyerace_parity.measure.measurer import TargetFailure, TargetMeasurer
from eyerace_parity.measure.sample_selection import NO_SAMPLES, SampleSelection
from eyerace_parity.preprocess.apply import profile_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eyerace_parity.contract.variants import Session
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.isolation.runtime_worker import RuntimeWorker
    from eyerace_parity.measure.context import MeasurementContext

REPEATS: Final = 2
"""Sessions that are created; the creation, the first run and the later runs of each are counted."""

STEADY: Final = 1
"""Later runs of each session."""


IDENTITY: Final = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""An ONNX file whose output ``y`` is its input ``x``, one float. It is loaded first, so that the runtime's setup for a
process is not counted for the file under test: it takes 9 M instructions."""

_WARMING: Final = 9
"""Runs of that file: Python 3.11 specialises bytecode after about eight runs, which then takes fewer instructions."""

_SESSION: Final = "counted"


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What was counted, session after session.

    Attributes:
        load: Creating the session.
        first: Its first run.
        steady: Its later runs.
    """

    load: tuple[int, ...]
    first: tuple[int, ...]
    steady: tuple[int, ...]


def provenance(
    context: MeasurementContext, need: Need[InstructionCounts], _selection: SampleSelection, identity: Mapping[str, str]
) -> Provenance:
    """Make the provenance of a count, without counting.

    The input is named by its own digest, not by that of the golden set: a sample that joins the set changes no count.

    Args:
        context: The measurement context.
        need: The need.
        identity: All of the target that could change a number.

    Raises:
        MeasurementError: Something that belongs to it cannot be read.
    """
    settings = context.session_settings(need.variant, threads=THREADS) | {
        "repeats": f"{REPEATS} sessions, {STEADY} later runs each",
        "input": _first_sample(context, need.variant),
    }
    found = context.provenance(need.variant, target=need.target, settings=settings | dict(identity))
    return found.model_copy(update={"machine": ""})  # an emulated processor is the same on every machine


def measure(
    context: MeasurementContext,
    worker: RuntimeWorker,
    need: Need[InstructionCounts],
    source: Provenance,
    _selection: SampleSelection = NO_SAMPLES,
    _done: Callable[[], None] = lambda: None,
) -> InstructionCounts:
    """Count in an open worker. A file that is refused, or of which the worker dies, is a finding.

    Args:
        context: The measurement context.
        worker: A worker on the target, started with the plugin that counts. It is dead afterwards where the evidence
            names a ``signal``.
        need: The need.
        source: Provenance of the evidence.

    Raises:
        GoldenError: The first sample cannot be read.
        MeasurementError: The attempt failed for a reason that is no finding.
    """
    if not worker.counts:
        return unavailable(source, f"{worker.name} runs in no emulator that counts instructions")
    feeds = _feeds(context, need.variant)
    prepared = prepare(context, need.variant)
    if isinstance(prepared.model, ArtefactError):
        return _failed(source, NO_SAMPLES, TargetFailure(prepared.model.reason, next_step=prepared.model.next_step))
    try:
        counts = count(worker, prepared.model, prepared.session, feeds)
    except ArtefactError as error:
        if error.transient:
            raise
        return _failed(
            source,
            NO_SAMPLES,
            TargetFailure(f"the runtime refuses the file: {error.reason}", next_step=error.next_step),
        )
    except WorkerDied as error:
        return _failed(source, NO_SAMPLES, died(error))
    return InstructionCounts(provenance=source, load=counts.load, first=counts.first, steady=counts.steady)


def count(worker: RuntimeWorker, model: bytes | Path, settings: Session, feeds: Mapping[str, Array]) -> RunCounts:
    """Count the instructions of a model in an open worker.

    Args:
        worker: A worker whose :attr:`~eyerace_parity.isolation.runtime_worker.RuntimeWorker.counts` is true.
        model: The file's bytes, or its path where it keeps weights beside itself.
        settings: Settings of its sessions; one thread, for a second one cannot be counted.
        feeds: One input by name.

    Raises:
        ArtefactError: The runtime refused the model.
        MeasurementError: The runtime refused the inputs, or other threads ran.
        WorkerDied: The worker died of it.
    """
    worker.load(_SESSION, IDENTITY, settings)
    worker.count(_SESSION, {"x": np.ones(1, np.float32)}, _WARMING)
    worker.drop(_SESSION)
    load: list[int] = []
    first: list[int] = []
    steady: list[int] = []
    for _ in range(REPEATS):
        load.append(worker.load(_SESSION, model, settings, count=True).instructions or 0)
        # In one go: to begin and to end counting costs more than a small model's run.
        runs = worker.count(_SESSION, feeds, 1 + STEADY)
        first += runs[:1]
        steady += runs[1:]
        worker.drop(_SESSION)
    if not all((*load, *first, *steady)) or (len(first), len(steady)) != (REPEATS, REPEATS * STEADY):
        raise MeasurementError(f"{worker.name} did not count every run", next_step="run again")
    return RunCounts(tuple(load), tuple(first), tuple(steady))


def unavailable(source: Provenance, reason: str, next_step: str = "") -> InstructionCounts:
    """Evidence that nothing can be counted there. It is not to be kept: tomorrow there may be a compiler."""
    return InstructionCounts(provenance=source, unavailable=reason, next_step=next_step)


def _failed(source: Provenance, _selection: SampleSelection, failed: TargetFailure) -> InstructionCounts:
    return InstructionCounts(
        provenance=source, failure=failed.failure, signal=failed.signal, next_step=failed.next_step
    )


def _feeds(context: MeasurementContext, variant: str) -> dict[str, Array]:
    golden = context.golden()
    if not len(golden):
        raise GoldenError("the golden set is empty", next_step="add samples to it: nothing can hold on none")
    return batch_of(context.contract, variant, golden, (0,))


def _first_sample(context: MeasurementContext, variant: str) -> str:
    """Digest of the first sample and of what prepares it; nothing is decoded for it."""
    if not len(context.golden()):
        raise GoldenError("the golden set is empty", next_step="add samples to it: nothing can hold on none")
    profile = context.contract.preprocess_of(variant)
    prepared = "" if profile is None else profile_digest(profile)
    return json_digest({"sample": context.golden().identity(0), "profile": prepared, "by": context.decoding_settings()})


INSTRUCTIONS: Final = TargetMeasurer(
    provenance,
    steps=lambda _selection: REPEATS * (2 + STEADY),  # sessions made, first runs and later ones
    execute=measure,
    failed=_failed,
    uncountable=unavailable,
)
