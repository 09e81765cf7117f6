"""The target executor: executes all requests of a run for targets together.

Each target gets one worker, which serves all requests for it; as many workers run at once as there are jobs. Starting a
worker takes 3-4 s under emulation, so it is not started for each request. A worker that dies of one file is started
again for the next, so a crash costs only the verdicts on that file and target. An error or Ctrl-C ends all workers with
their children.

Several processes of one run (xdist's workers) share the work without messages: each takes requests that no other
process has claimed.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.errors import MeasurementError, WorkerDied
from eyerace_parity.core.result import HOST
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.isolation.connection import START_SECONDS
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.measurer import TargetFailure, TargetMeasurer, target_measurer_of
from eyerace_parity.measure.sample_selection import NO_SAMPLES, SampleSelection
from eyerace_parity.runners import onnxruntime as onnx_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eyerace_parity.evidence.base import Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.measure.targets.equipment import TargetEquipment

_POLL_SECONDS: Final = 0.1

TargetResult = Any
"""Result of a request: the evidence, or the :class:`MeasurementError` that says why there is none."""


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """A request for one piece of evidence.

    Attributes:
        need: The need that it meets.
        source: Provenance that the evidence will have.
        key: Its content key.
        selection: The samples, for a kind that runs selected samples.
    """

    need: Need[Any]
    source: Provenance
    key: str
    selection: SampleSelection = NO_SAMPLES

    @property
    def measurer(self) -> TargetMeasurer[Any]:
        """What measures it."""
        return target_measurer_of(self.need.kind)

    @property
    def steps(self) -> int:
        """Inferences that it takes, for progress."""
        return self.measurer.steps(self.selection)


@dataclass(slots=True)
class TargetBatch:
    """The requests for one target.

    Attributes:
        target: The target.
        command: Command that starts a worker there.
        orders: The requests.
        processor: What executes there, in words.
    """

    target: str
    command: tuple[str, ...]
    orders: list[TargetRequest]
    processor: str = "processor"


@dataclass(slots=True)
class TargetExecutor:
    """Executes requests.

    Attributes:
        bench: The measurement context.
        equipment: Starts workers on targets; ``None`` if only the host is available.
        abandon: Called when the run ends early, so that no thread waits for a sample that never comes.
    """

    bench: MeasurementContext
    equipment: TargetEquipment | None
    abandon: Callable[[], None] = lambda: None
    _done: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _guests: set[RuntimeWorker] = field(default_factory=set, init=False)

    def identity(self, target: str) -> dict[str, str]:
        """Return everything about a target that could change a number; nothing for the host, which a provenance covers.

        Raises:
            MeasurementError: No worker can be started there.
        """
        return {} if target == HOST else dict(self._equipped(target).toolkit(target).identity)

    def run(self, requests: Sequence[TargetRequest]) -> dict[Need[Any], TargetResult]:
        """Execute requests, and cache their evidence.

        Returns:
            Result of each request, except those that another process executes at this moment.
        """
        found: dict[Need[Any], TargetResult] = {}
        batches = self._shifts(requests, found)
        # The host is much faster than an emulated target, so it comes last, while other targets are still busy.
        waiting = deque(sorted(batches, key=lambda batch: batch.target == HOST))
        steps = sum(request.steps for batch in batches for request in batch.orders)
        if not waiting:
            return found
        self._done = 0
        self._stop.clear()
        jobs = min(self.bench.jobs, len(waiting))
        with (
            self.bench.store.turn(),
            ThreadPoolExecutor(jobs, thread_name_prefix="lane") as pool,
            self.bench.progress.task(_label([batch.target for batch in batches]), steps) as task,
        ):
            pending = {pool.submit(self._work, waiting, found) for _ in range(jobs)}
            reported = 0
            try:
                while pending:
                    # A wait without a timeout cannot be interrupted by Ctrl-C on Windows.
                    finished, pending = wait(pending, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED")
                    task.advance(self._done - reported)
                    reported = self._done
                    for future in finished:
                        future.result()
            except BaseException:
                self.close()
                raise
        return found

    def _shifts(self, requests: Sequence[TargetRequest], found: dict[Need[Any], TargetResult]) -> list[TargetBatch]:
        """Group requests by target; a request for counts on a target that cannot count is answered at once."""
        batches: dict[str, TargetBatch] = {}
        for request in requests:
            target = request.need.target
            command, processor = local_command(), "processor"
            if target != HOST:
                toolkit = self._equipped(target).toolkit(target)
                command, processor = toolkit.command, toolkit.processor
                if request.measurer.uncountable is not None:
                    if not toolkit.counting_command:
                        found[request.need] = request.measurer.uncountable(request.source, toolkit.counting_refused)
                        continue
                    command = toolkit.counting_command
            batch = batches.setdefault(target, TargetBatch(target, command, [], processor))
            batch.orders.append(request)
            if request.measurer.uncountable is not None:
                # One worker serves all requests: while the plugin does not count, it slows nothing down.
                batch.command = command
        return list(batches.values())

    def close(self) -> None:
        """End all running workers, and everything that their threads wait for."""
        self._stop.set()
        self.abandon()
        with self._lock:
            workers = tuple(self._guests)
        for worker in workers:
            worker.close()

    # ---- one thread --------------------------------------------------------------------------------------------------

    def _work(self, waiting: deque[TargetBatch], found: dict[Need[Any], TargetResult]) -> None:
        while not self._stop.is_set():
            try:
                batch = waiting.popleft()
            except IndexError:
                return
            for request, result in self._take(batch):
                with self._lock:
                    found[request.need] = result

    def _take(self, batch: TargetBatch) -> Iterator[tuple[TargetRequest, TargetResult]]:
        """Execute the requests that no other process has executed or claimed."""
        store = self.bench.store
        with ExitStack() as claims:
            mine = []
            for request in sorted(batch.orders, key=lambda request: request.key):
                if not claims.enter_context(store.claim(request.key, wait=False)):
                    self._advance(request.steps)
                elif (kept := get(store, request.need.kind, request.key)) is not None:
                    self._advance(request.steps)
                    yield request, kept
                else:
                    mine.append(request)
            if mine:
                for request, result in self._serve(batch, mine):
                    if not isinstance(result, MeasurementError) and not getattr(result, "unavailable", ""):
                        put(store, request.key, result)
                    yield request, result

    def _serve(
        self, batch: TargetBatch, requests: Sequence[TargetRequest]
    ) -> Iterator[tuple[TargetRequest, TargetResult]]:
        """Execute requests in one worker; a dead worker is replaced."""
        worker: RuntimeWorker | None = None
        try:
            for number, request in enumerate(requests):
                if worker is None:
                    try:
                        worker = self._start(batch)
                    except MeasurementError as error:
                        # The start does not depend on the file: it would fail for the others too.
                        for rest in requests[number:]:
                            self._advance(rest.steps)
                            yield rest, _unstarted(rest, error)
                        return
                result, alive = self._execute(worker, request)
                if not alive:
                    self._end(worker)
                    worker = None
                yield request, result
        finally:
            if worker is not None:
                self._end(worker)

    def _execute(self, worker: RuntimeWorker, request: TargetRequest) -> tuple[TargetResult, bool]:
        """Execute one request; return its result, and whether the worker can serve another request."""
        left = request.steps

        def done() -> None:
            nonlocal left
            left -= 1
            self._advance(1)

        try:
            with self.bench.sealed(request.source):
                found = request.measurer.execute(
                    self.bench.narrowed(KINDS.of(request.need.kind).reads),
                    worker,
                    request.need,
                    request.source,
                    request.selection,
                    done,
                )
            if request.need.target != HOST:
                self._equipped(request.need.target).prove(request.need.target)
        except MeasurementError as error:
            return error, False
        except (OSError, MemoryError) as error:
            reason = f"the system refused to let {request.need} be measured: {error}"
            return MeasurementError(reason, next_step="free what is short, then run again", transient=True), False
        else:
            # A runtime that refuses one file can take the next; one that has died cannot.
            return found, getattr(found, "signal", None) is None
        finally:
            self._advance(left)

    def _start(self, batch: TargetBatch) -> RuntimeWorker:
        """Start a worker.

        Raises:
            MeasurementError: It cannot be started, or the run ends early.
        """
        seconds = self.bench.contract.targets.seconds
        worker = RuntimeWorker(
            batch.command,
            name="the worker on the host" if batch.target == HOST else f"the guest on {batch.target}",
            processor=batch.processor,
            start_seconds=max(seconds, START_SECONDS),
            answer_seconds=seconds,
        )
        with self._lock:
            self._guests.add(worker)
        try:
            if self._stop.is_set():
                raise MeasurementError("the run was ended early", next_step="run again")  # noqa: TRY301
            hello = worker.start()
            self._require_same_runtime(batch.target, hello.onnxruntime)
        except BaseException:
            self._end(worker)
            raise
        return worker

    def _require_same_runtime(self, target: str, found: str) -> None:
        """Require the run's own version of the runtime: a difference must come from the processor alone.

        Raises:
            MeasurementError: The worker has another version.
        """
        wanted = onnx_runtime.runtime().partition(" ")[2]
        if found != wanted:
            raise MeasurementError(
                f"the guest on {target} runs onnxruntime {found}, this run has {wanted}",
                next_step="give it wheels of the run's own version, or remove them and let them be fetched",
            )

    def _end(self, worker: RuntimeWorker) -> None:
        worker.close()
        with self._lock:
            self._guests.discard(worker)

    def _advance(self, images: int) -> None:
        with self._lock:
            self._done += images

    def _equipped(self, target: str) -> TargetEquipment:
        if self.equipment is None:
            raise MeasurementError(f"nothing here can measure on {target}", next_step="run the gate, which can")
        return self.equipment


def _unstarted(request: TargetRequest, error: MeasurementError) -> TargetResult:
    """Return the result of a request whose worker did not start.

    SIGILL is a finding: a runtime that executes an instruction which the processor lacks would die in the app as well,
    before it loads any file. ONNX Runtime 1.21.0 did so on Raspberry-Pi-4-class processors.
    """
    if isinstance(error, WorkerDied) and error.signal == getattr(signal, "SIGILL", None):
        said = f"onnxruntime itself cannot be imported there: {error.reason}"
        next_step = "ship another version of onnxruntime to these phones"
        failed = TargetFailure(said, signal=error.signal, next_step=next_step)
        return request.measurer.failed(request.source, request.selection, failed)
    return error


def _label(targets: Sequence[str]) -> str:
    return join_names([target for target in targets if target != HOST], most=3) or HOST
