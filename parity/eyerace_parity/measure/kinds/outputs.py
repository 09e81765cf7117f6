"""Measures a variant's outputs for the golden set: preprocessing and inference of every sample.

``jobs`` threads share one session with one intra-op thread; each decodes, preprocesses and infers batches. Decoding and
inference release the GIL, so threads scale. With one thread for each inference the outputs do not depend on the number
of cores. At most ``jobs`` batches of inputs are in memory at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.measure.batching import batch_of, rows_at_once, rows_of
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.registry import open_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext


_POLL_SECONDS = 0.1


def provenance(context: MeasurementContext, need: Need[Outputs]) -> Provenance:
    """Make the provenance of the outputs."""
    settings = context.session_settings(need.variant, threads=1) | {"batch": str(rows_at_once(context.contract))}
    return context.provenance(
        need.variant, target=need.target, golden=True, settings=settings | context.decoding_settings()
    )


def measure(context: MeasurementContext, need: Need[Outputs], source: Provenance) -> Outputs:
    """Run a variant on the whole golden set.

    Raises:
        GoldenError: A sample cannot be read.
        ArtefactError: The variant cannot be loaded.
        MeasurementError: An inference failed, or its answer is not what the interface promises.
    """
    contract, golden, variant = context.contract, context.golden(), need.variant
    total, size = len(golden), rows_at_once(contract)
    arrays: dict[str, Array] = {}
    with (
        open_runner(contract, variant, threads=1) as runner,
        context.progress.task(f"{variant}: golden set", total) as task,
    ):

        def answer(samples: range) -> dict[str, Array]:
            return rows_of(contract, variant, runner.infer(batch_of(contract, variant, golden, samples)), len(samples))

        def take(samples: range, rows: Mapping[str, Array]) -> None:
            _put(variant, arrays, samples, rows, total)
            task.advance(len(samples))

        batches = [range(start, min(start + size, total)) for start in range(0, total, size)]
        _evaluate(batches, min(context.jobs, len(batches)), answer, take)
    return Outputs(source, {port.name: arrays[port.name] for port in contract.interface.outputs}, total)


def _evaluate(
    batches: Sequence[range],
    jobs: int,
    answer: Callable[[range], dict[str, Array]],
    take: Callable[[range, dict[str, Array]], None],
) -> None:
    """Answer every batch in ``jobs`` threads, and take its rows in the calling thread."""
    if jobs <= 1:
        for samples in batches:
            take(samples, answer(samples))
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="golden") as pool:
        pending = {pool.submit(answer, samples): samples for samples in batches}
        try:
            while pending:
                # A wait without a timeout cannot be interrupted by Ctrl-C on Windows.
                for done in wait(pending, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED").done:
                    take(pending.pop(done), done.result())
        finally:
            # An error or Ctrl-C: the threads end with the batch that they are in.
            pool.shutdown(wait=False, cancel_futures=True)


def _put(variant: str, arrays: dict[str, Array], samples: range, rows: Mapping[str, Array], total: int) -> None:
    """Put the rows of a batch in their places.

    Raises:
        MeasurementError: Their type or shape is not that of the rows before.
    """
    for name, value in rows.items():
        if name not in arrays:
            arrays[name] = np.empty((total, *value.shape[1:]), value.dtype)
        place = arrays[name]
        if value.shape[1:] != place.shape[1:] or value.dtype != place.dtype:
            raise MeasurementError(
                f"{variant}: output {name!r} is {value.dtype}{list(value.shape[1:])} for sample "
                f"{samples.start} but {place.dtype}{list(place.shape[1:])} for another",
                next_step="an output whose shape depends on the sample cannot be compared: give it a fixed shape",
            )
        place[samples.start : samples.stop] = value


OUTPUTS: Final = Measurer(provenance, measure)
