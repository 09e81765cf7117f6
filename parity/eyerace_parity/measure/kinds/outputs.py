"""Measures a variant's outputs for the golden set: preprocessing and inference of every sample.

``jobs`` threads share one session with one intra-op thread; each decodes, preprocesses and infers batches. Decoding and
inference release the GIL, so threads scale. With one thread for each inference the outputs do not depend on the number
of cores. At most ``jobs`` batches are in memory at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from itertools import count
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.measure.batching import batch_of, rows_at_once, rows_of
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.registry import open_runner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.runners.base import Runner


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
    total = len(context.golden())
    if not total:
        raise MeasurementError("the golden set is empty", next_step="add samples to it: nothing can hold on none")
    with open_runner(context.contract, need.variant, threads=1) as runner:
        gathering = _Gathering(context, need.variant, runner, total)
        with context.progress.task(f"{need.variant}: golden set", total) as task:
            gathering.run(task.advance)
    return Outputs(source, gathering.arrays(), total)


class _Gathering:
    """The batches of one evaluation, handed out to threads, and their answers, put where they belong."""

    def __init__(self, context: MeasurementContext, variant: str, runner: Runner, total: int) -> None:
        self._bench = context
        self._variant = variant
        self._runner = runner
        self._total = total
        self._golden = context.golden()
        self._size = rows_at_once(context.contract)
        self._next = count(0, self._size)  # taking the next one is a single step of the interpreter
        self._stop = Event()
        self._lock = Lock()
        self._arrays: dict[str, Array] = {}
        self._done = 0

    def run(self, advance: Any) -> None:
        """Evaluate all batches; ``advance`` is told of samples done, in the calling thread."""
        jobs = min(self._bench.jobs, -(-self._total // self._size))
        if jobs <= 1:
            while (rows := self._step()) is not None:
                advance(rows)
            return
        told = 0
        with ThreadPoolExecutor(jobs, thread_name_prefix="golden") as pool:
            pending = {pool.submit(self._work) for _ in range(jobs)}
            try:
                while pending:
                    # A wait without a timeout cannot be interrupted by Ctrl-C on Windows.
                    finished, pending = wait(pending, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED")
                    advance(self._done - told)
                    told = self._done
                    for future in finished:
                        future.result()
            finally:
                self._stop.set()  # an error or Ctrl-C: the others end with the batch that they are in

    def arrays(self) -> Mapping[str, Array]:
        """Every output, samples on the first axis, in the interface's order."""
        if self._done != self._total:
            message = f"{self._variant}: {self._done} of {self._total} samples were answered"
            raise MeasurementError(message)
        return {port.name: self._arrays[port.name] for port in self._bench.contract.interface.outputs}

    def _work(self) -> None:
        try:
            while not self._stop.is_set() and self._step() is not None:
                pass
        except BaseException:
            self._stop.set()
            raise

    def _step(self) -> int | None:
        """Evaluate the next batch; return how many samples it had, or ``None`` after the last."""
        start = next(self._next)
        if start >= self._total:
            return None
        samples = range(start, min(start + self._size, self._total))
        contract = self._bench.contract
        answer = self._runner.infer(batch_of(contract, self._variant, self._golden, samples))
        rows = rows_of(contract, self._variant, answer, len(samples))
        with self._lock:
            self._put(samples, rows)
            self._done += len(samples)
        return len(samples)

    def _put(self, samples: range, rows: Mapping[str, Array]) -> None:
        for name, value in rows.items():
            place = self._arrays.get(name)
            if place is None:
                place = self._arrays[name] = np.empty((self._total, *value.shape[1:]), value.dtype)
            if value.shape[1:] != place.shape[1:] or value.dtype != place.dtype:
                raise MeasurementError(
                    f"{self._variant}: output {name!r} is {value.dtype}{list(value.shape[1:])} for sample "
                    f"{samples.start} but {place.dtype}{list(place.shape[1:])} for another",
                    next_step="an output whose shape depends on the sample cannot be compared: give it a fixed shape",
                )
            place[samples.start : samples.stop] = value


OUTPUTS: Final = Measurer(provenance, measure)
