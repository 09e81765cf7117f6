"""Measures a variant's outputs on a target: a worker there loads and runs the shipped file.

The host runs the same worker with the same settings, so that the results differ only by the processor. A file that the
runtime refuses or that kills the worker is a finding, not a failed measurement.
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
"""Threads of one inference; with one thread the outputs do not depend on the number of cores."""


@dataclass(frozen=True, slots=True)
class LoadableModel:
    """A file to execute.

    Attributes:
        variant: Name of the variant.
        model: Bytes of the file; its path if it has external data; or the error if it is not of the expected format.
        session: Session settings.
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
    """Make the provenance of an execution.

    Args:
        context: The measurement context.
        need: The need.
        selection: The samples.
        identity: Everything about the target that could change a number.
    """
    chosen = {"near": selection.near, "drawn": selection.drawn}
    settings = (
        context.session_settings(need.variant, threads=THREADS)
        | context.decoding_settings()
        | {"samples": f"{len(selection.samples)}, {json_digest(chosen)}"}
        | dict(identity)
    )
    found = context.provenance(need.variant, target=need.target, golden=True, settings=settings)
    # On the host this machine's processor executes; an emulated processor is equal on all machines.
    return found if need.target == HOST else found.model_copy(update={"machine": ""})


def prepare(context: MeasurementContext, variant: str) -> LoadableModel:
    """Read a variant's file. A file of the wrong format is a finding; a missing file is an error.

    Raises:
        MeasurementError: The file is missing or cannot be read.
    """
    session = session_of(context.contract, variant, threads=THREADS)
    if not context.contract.path(context.contract.variants[variant].path).is_file():
        model_of(context.contract, variant)  # raises the error that names the missing file
    try:
        return LoadableModel(variant, model_of(context.contract, variant), session)
    except ArtefactError as error:
        if error.transient:
            raise
        return LoadableModel(variant, error, session)


def load(worker: RuntimeWorker, prepared: LoadableModel) -> None:
    """Load the file in a worker, under the variant's name.

    Raises:
        TargetFailure: The runtime refused the file, or the worker died of it.
        MeasurementError: The attempt failed for another reason.
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
    """Load a file in a worker and run it on the selected samples, one at a time. A failure there is a finding.

    Args:
        context: The measurement context.
        worker: The worker; it is dead afterwards if the evidence has a ``signal``.
        need: The need.
        source: Provenance of the evidence.
        selection: The samples.
        done: Called after each sample.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: The file is missing, or the attempt failed for a reason that is no finding.
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
    """Make the evidence of a file that could not be loaded or run."""
    return Execution(source, selection.near, selection.drawn, {}, failed.failure, failed.signal, failed.next_step)


def died(error: WorkerDied) -> TargetFailure:
    """Turn the death of a worker into a finding about the file.

    Raises:
        WorkerDied: The death says nothing about the file: the worker hung, exited, or was killed from outside.
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
    """Run the samples.

    Returns:
        All outputs by name, samples on the first axis.

    Raises:
        TargetFailure: The runtime failed, an output differs from the interface, or the worker died of the file.
        MeasurementError: The attempt failed for another reason.
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
    """Whether the runtime itself refused a run: the worker survives a refusal, but not a torn frame."""
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
