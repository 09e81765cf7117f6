"""Loads an artefact and runs one golden sample in a fresh process: preflight, cold start and memory.

A model file can crash the native code that runs it. So an ONNX variant must first pass the
:class:`~eyerace_parity.evidence.costs.Preflight` in a separate process. The same trial, repeated in several processes
with times and memory, is the :class:`~eyerace_parity.evidence.costs.Footprint`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.evidence.costs import Footprint, Preflight
from eyerace_parity.isolation.failures import FILE, death
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.batching import batch_of
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.artefact_files import artefact
from eyerace_parity.runners.onnxruntime import model_of, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.isolation.runtime_worker import Loaded, Ran
    from eyerace_parity.measure.context import MeasurementContext

PROCESSES: Final = 3
"""Fresh processes of a footprint: cold starts do not repeat within one process."""


_SESSION: Final = "model"


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """Result of one process.

    Attributes:
        loaded: The session; ``None`` if it could not be created.
        ran: Its first run; ``None`` if it failed.
        failure: Why there is none, as one sentence.
        signal: Signal that ended the process; ``None`` if none did.
    """

    loaded: Loaded | None = None
    ran: Ran | None = None
    failure: str = ""
    signal: int | None = None


def preflight_provenance(context: MeasurementContext, need: Need[Preflight]) -> Provenance:
    """Make the provenance of a preflight."""
    settings = context.session_settings(need.variant) | context.decoding_settings()
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def footprint_provenance(context: MeasurementContext, need: Need[Footprint]) -> Provenance:
    """Make the provenance of a footprint."""
    settings = context.session_settings(need.variant) | {"processes": str(PROCESSES)}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure_preflight(context: MeasurementContext, need: Need[Preflight], source: Provenance) -> Preflight:
    """Load and run the artefact once in a fresh process.

    Raises:
        ArtefactError: The file is missing.
        GoldenError: The first sample cannot be read.
        MeasurementError: No process can be started.
    """
    model, feeds = _prepare(context, need.variant)
    trial = _try(context, need.variant, model, feeds)
    inputs, outputs = (trial.loaded.inputs, trial.loaded.outputs) if trial.loaded else ((), ())
    return Preflight(provenance=source, failure=trial.failure, signal=trial.signal, inputs=inputs, outputs=outputs)


def measure_footprint(context: MeasurementContext, need: Need[Footprint], source: Provenance) -> Footprint:
    """Load and run the artefact in several fresh processes, one after the other, and read times and memory.

    Raises:
        ArtefactError: The file is missing.
        GoldenError: The first sample cannot be read.
        MeasurementError: No process can be started, or the system does not report memory.
    """
    model, feeds = _prepare(context, need.variant)
    create, first, peak = [], [], []
    trial = ProcessRun()
    with context.progress.task(f"{need.variant}: cold starts", PROCESSES) as task:
        for _ in range(PROCESSES):
            trial = _try(context, need.variant, model, feeds)
            task.advance()
            if trial.loaded is None or trial.ran is None:
                break
            create.append(trial.loaded.wall_ns / 1e6)
            first.append(trial.ran.wall_ns / 1e6)
            if trial.loaded.baseline is not None:
                peak.append(max(0, trial.ran.peak - trial.loaded.baseline))
    return Footprint(
        provenance=source,
        failure=trial.failure,
        signal=trial.signal,
        create_ms=tuple(create),
        first_ms=tuple(first),
        peak_bytes=tuple(peak),
        inputs=trial.loaded.inputs if trial.loaded else (),
        outputs=trial.loaded.outputs if trial.loaded else (),
    )


def require_preflight(context: MeasurementContext, preflight: Preflight) -> None:
    """Require that a variant has passed its preflight.

    Raises:
        WorkerDied: The variant killed its process.
        ArtefactError: The runtime refused the file.
    """
    if not preflight.failure:
        return
    variant = preflight.provenance.variant
    if preflight.signal is not None:
        raise death(f"{variant}: {preflight.failure}", preflight.signal, FILE)
    model_of(context.contract, variant)  # raises a better message if the file itself is the reason
    raise refusal(context.contract, variant, preflight.failure)


def model_to_load(context: MeasurementContext, variant: str) -> bytes | Path:
    """Read the model that a worker process is to load.

    Raises:
        MeasurementError: ONNX Runtime does not run the variant.
        ArtefactError: The file is missing or cannot be read.
    """
    stated = context.contract.variants[variant]
    if not stated.in_onnxruntime:
        raise MeasurementError(
            f"{variant} is a {stated.kind} variant; loading, cold start and memory are measured of ONNX Runtime"
            " variants only",
            next_step="state these limits for the ONNX variants",
        )
    return model_of(context.contract, variant)


def first_feeds(context: MeasurementContext, variant: str, most: int) -> list[dict[str, Array]]:
    """Prepare the first golden samples, each as the inputs of one inference.

    Raises:
        GoldenError: A sample cannot be read.
    """
    golden = context.golden()
    return [batch_of(context.contract, variant, golden, (place,)) for place in range(min(most, len(golden)))]


def _prepare(context: MeasurementContext, variant: str) -> tuple[bytes | Path | ArtefactError, dict[str, Array]]:
    """Read the model and the first golden sample. A file that is there but cannot be read is evidence, not an error."""
    feeds = first_feeds(context, variant, 1)
    try:
        model: bytes | Path | ArtefactError = model_to_load(context, variant)
    except ArtefactError as error:
        if error.transient:
            raise
        artefact(context.contract, variant)  # raises if the file is missing: that is an error and no evidence
        model = error
    return model, feeds[0]


def _try(
    context: MeasurementContext, variant: str, model: bytes | Path | ArtefactError, feeds: dict[str, Array]
) -> ProcessRun:
    if isinstance(model, ArtefactError):
        return ProcessRun(failure=model.reason)
    worker = RuntimeWorker(local_command(), name=f"the process that tried {variant}")
    worker.start()
    loaded = None
    try:
        loaded = worker.load(_SESSION, model, context.contract.session_of(variant))
        ran = worker.run(_SESSION, feeds)
    except MeasurementError as error:
        if error.transient:
            raise  # it says nothing about the file and must not be cached as evidence
        signal = error.signal if isinstance(error, WorkerDied) else None
        return ProcessRun(loaded, failure=error.reason, signal=signal)
    finally:
        worker.close()
    return ProcessRun(loaded, ran)


PREFLIGHT: Final = Measurer(preflight_provenance, measure_preflight, require=require_preflight)

FOOTPRINT: Final = Measurer(footprint_provenance, measure_footprint)
