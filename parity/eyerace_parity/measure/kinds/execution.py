"""What a variant answers on a target: the shipped file, loaded and run by the worker wherever the target is.

The same is done on the host, by the same worker with the same settings, so that the two differ in the processor alone.
A file that is refused or that kills its process is no failed measurement: it is what was to be found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Execution
from eyerace_parity.measure.batching import batch_of, rows_of
from eyerace_parity.measure.measurer import TargetFailure, TargetMeasurer
from eyerace_parity.runners.onnxruntime import model_of, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eyerace_parity.contract.variants import Session
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.isolation.runtime_worker import RuntimeWorker
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.measure.sample_selection import SampleSelection


THREADS: Final = 1
"""One thread an inference: the numbers then do not depend on how many cores there are."""


@dataclass(frozen=True, slots=True)
class LoadableModel:
    """A file that is to be executed.

    Attributes:
        variant: Its variant.
        model: Its bytes; its path where it keeps weights beside itself; or why it cannot be read as what it should be.
        session: Settings of its session.
    """

    variant: str
    model: bytes | Path | ArtefactError
    session: Session


def provenance(
    context: MeasurementContext,
    need: Need[Execution],
    selection: SampleSelection,
    identity: Mapping[str, str],
) -> Provenance:
    """Say where an execution comes from.

    Args:
        context: What is measured.
        need: What is wanted.
        selection: The samples.
        identity: All of the target that could change a number.
    """
    chosen = {"near": selection.near, "drawn": selection.drawn}
    settings = (
        context.session_settings(need.variant, threads=THREADS)
        | context.decoding_settings()
        | {"samples": f"{len(selection.samples)}, {json_digest(chosen)}"}
        | dict(identity)
    )
    found = context.provenance(need.variant, target=need.target, golden=True, settings=settings)
    # On the host this machine's own processor executes, elsewhere an emulated one.
    return found if need.target == HOST else found.model_copy(update={"machine": ""})


def prepare(context: MeasurementContext, variant: str) -> LoadableModel:
    """Read a file. One that is there but is not what it should be is a finding; one that is missing is an error.

    Raises:
        MeasurementError: There is no file, or it cannot be read.
    """
    session = session_of(context.contract, variant, threads=THREADS)
    if not context.contract.path(context.contract.variants[variant].path).is_file():
        model_of(context.contract, variant)  # says what is missing
    try:
        return LoadableModel(variant, model_of(context.contract, variant), session)
    except ArtefactError as error:
        if error.transient:
            raise
        return LoadableModel(variant, error, session)


def load(worker: RuntimeWorker, prepared: LoadableModel) -> None:
    """Load the file in a worker, under the variant's name.

    Raises:
        Failed: The runtime refused it, or the worker died of it.
        MeasurementError: It could not be found out.
    """
    if isinstance(prepared.model, ArtefactError):
        raise TargetFailure(prepared.model.reason, next_step=prepared.model.next_step)
    try:
        worker.load(prepared.variant, prepared.model, prepared.session)
    except ArtefactError as error:
        if error.transient:
            raise
        raise TargetFailure(f"the runtime refuses the file: {error.reason}", next_step=error.next_step) from error
    except WorkerDied as error:
        raise died(error) from error


def execute(  # noqa: PLR0917 - what the target executor calls every measurer with
    context: MeasurementContext,
    worker: RuntimeWorker,
    need: Need[Execution],
    source: Provenance,
    selection: SampleSelection,
    done: Callable[[], None],
) -> Execution:
    """Load a file in a worker and run it on the chosen samples, one at a time. What fails there is a finding.

    Args:
        context: What is measured.
        worker: Where; it is dead afterwards where the evidence names a ``signal``.
        need: What is wanted.
        source: Where the evidence will come from.
        selection: The samples.
        done: Called after each sample.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: There is no file, or it could not be found out.
    """
    prepared = prepare(context, need.variant)
    try:
        load(worker, prepared)
        arrays = _answers(context, worker, need.variant, selection, done)
    except TargetFailure as failed:
        return failure(source, selection, failed)
    worker.drop(need.variant)
    return Execution(source, selection.near, selection.drawn, arrays)


def failure(source: Provenance, selection: SampleSelection, failed: TargetFailure) -> Execution:
    """Evidence of a file that could not be loaded or run."""
    return Execution(source, selection.near, selection.drawn, {}, failed.failure, failed.signal, failed.next_step)


def died(error: WorkerDied) -> TargetFailure:
    """Tell the death of a worker as a finding about the file.

    Raises:
        WorkerDied: It says nothing about the file: the worker hung, left, or was ended from outside.
    """
    if error.transient:
        raise error
    return TargetFailure(error.reason, signal=error.signal, next_step=error.next_step)


def _answers(
    context: MeasurementContext,
    worker: RuntimeWorker,
    variant: str,
    selection: SampleSelection,
    done: Callable[[], None],
) -> dict[str, Array]:
    """Run the samples; every output, samples on the first axis.

    Raises:
        Failed: The runtime failed to run one, an answer is not what the interface promises, or the worker died of it.
        MeasurementError: It could not be found out.
    """
    contract = context.contract
    rows: dict[str, list[Array]] = {port.name: [] for port in contract.interface.outputs}
    for sample in selection.samples:
        feeds = batch_of(contract, variant, context.golden(), (sample,))
        for name, row in _answer(context, worker, variant, feeds).items():
            rows[name].append(row)
        done()
    try:
        return {name: np.concatenate(found) for name, found in rows.items() if found}
    except ValueError as error:
        reason = f"an output changes its shape from sample to sample: {error}"
        raise TargetFailure(reason, next_step="give every output a fixed shape") from error


def _answer(
    context: MeasurementContext, worker: RuntimeWorker, variant: str, feeds: Mapping[str, Array]
) -> dict[str, Array]:
    try:
        outputs = worker.run(variant, feeds).outputs
    except WorkerDied as error:
        raise died(error) from error
    except MeasurementError as error:
        if error.transient or not _refused(worker, variant, error):
            raise
        raise TargetFailure(f"the runtime loads the file but fails to run it: {error.reason}") from error
    try:
        return rows_of(context.contract, variant, outputs, 1)
    except MeasurementError as error:
        raise TargetFailure(error.reason, next_step=error.next_step) from error


def _refused(worker: RuntimeWorker, variant: str, error: MeasurementError) -> bool:
    """Whether the runtime itself refused a run, which a worker outlives; torn frames and the like it does not."""
    if error.reason.startswith(worker.name):
        return False
    try:
        worker.drop(variant)
    except MeasurementError:
        return False
    return True


EXECUTION: Final = TargetMeasurer(
    provenance, steps=lambda selection: len(selection.samples), execute=execute, failed=failure, selects=True
)
