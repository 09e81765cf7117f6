"""Client of the isolated worker: measures, prepares samples and builds files in a subprocess.

The subprocess starts with the first request and serves the whole run. If it dies, that request fails with an error that
names the signal and the samples in flight; the next request starts another process.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from eyerace_parity.contract.wire import to_wire
from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.errors import MeasurementError, WorkerDied
from eyerace_parity.evidence.codec import decode
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.golden.base import GoldenSetProxy
from eyerace_parity.isolation.client import SILENCE_SECONDS, PackageWorker, RemoteProgress, import_path
from eyerace_parity.isolation.failures import RECIPE, SAMPLES, accused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.measure.context import MeasurementContext

E = TypeVar("E")

OPERATIONS: Final = "eyerace_parity.measure.isolated_operations:operations"
"""Operations that the subprocess serves."""

_REMEMBERED: Final = 8
"""Serialised contracts that are remembered; a run has one or two."""


class IsolatedWorker:
    """Measures in a subprocess. Calls from several threads are served one after the other.

    Args:
        silence_seconds: Longest wait for an answer or a progress report, in seconds.
    """

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._worker: PackageWorker | None = None
        self._lock = RLock()
        self._cancelled = 0
        # With each header its contract, whose ``id`` must not be reused.
        self._headers: dict[tuple[int, tuple[str, ...]], tuple[Contract, dict[str, Any]]] = {}

    def measure(self, context: MeasurementContext, need: Need[E], source: Provenance) -> E:
        """Measure the evidence for a need; the measurer of its kind documents further errors.

        Raises:
            WorkerDied: The worker died or did not answer in time.
            MeasurementError: It cannot be measured.
        """
        fields = {"variant": need.variant, "target": need.target, "versus": need.versus, "baseline": need.baseline}
        header = {
            "kind": f"{need.kind.__module__}:{need.kind.__qualname__}",
            "measurer": KINDS.of(need.kind).measurer,
            "reads": KINDS.of(need.kind).reads,
            "need": fields,
            "source": source.model_dump(mode="json"),
        }
        step = f"measuring {need}"
        results = self._ask("measure", header, context.contract, step=step, context=context, hear=context.progress)
        return decode(need.kind, results["evidence"].tobytes())

    def feeds(self, context: MeasurementContext, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Decode and preprocess a golden sample; see :meth:`GoldenSet.feeds`.

        Raises:
            WorkerDied: The worker died of it.
            GoldenError: It cannot be decoded.
        """
        header = {"index": index, "profile": None if profile is None else profile.model_dump(mode="json")}
        return self._ask("feeds", header, context.contract, step="preparing a golden sample", context=context)

    def make(self, contract: Contract, variant: str, progress: Progress) -> bytes:
        """Make the content of a variant's file; see :func:`eyerace_parity.recipes.build.content_of`.

        Raises:
            RecipeError: The recipe cannot be carried out.
            WorkerDied: The worker died of it, or fell silent.
            MeasurementError: What it is made from cannot be opened or run.
        """
        try:
            step = f"building {variant}"
            return self._ask("make", {"variant": variant}, contract, step=step, hear=progress)["content"].tobytes()
        except WorkerDied as error:
            raise accused(error, RECIPE) from error

    def cancel(self) -> None:
        """End all calls that wait for an answer or for the lock, because the run ends. Any thread may call this.

        A later call starts another process.
        """
        self._cancelled += 1
        if (worker := self._worker) is not None:
            worker.close()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.dismiss()

    def _ask(
        self,
        operation: str,
        header: Mapping[str, Any],
        contract: Contract,
        *,
        step: str,
        context: MeasurementContext | None = None,
        hear: Progress | None = None,
    ) -> dict[str, Array]:
        before = self._cancelled
        with self._lock, RemoteProgress(hear) as heard:
            self._refuse_cancelled(before)
            worker = self._living()
            self._refuse_cancelled(before)  # cancel() may have been called before there was a process to end
            try:
                request = {**header, "contract": self._opened(worker, contract)}
                if context is not None:
                    peer = None if context.peer is None else str(context.peer)
                    request["options"] = [context.jobs, context.recorded, peer]
                return worker.ask(operation, request, step=step, hear=heard.hear)[1]
            except MeasurementError as error:
                self._refuse_cancelled(before)
                if context is None or not isinstance(error, WorkerDied):
                    raise
                names, places = context.golden().ids, worker.samples_in_flight()
                in_flight = [names[place] for place in places if place < len(names)]
                if not in_flight:
                    raise
                raise accused(error, SAMPLES, in_flight) from error

    def _refuse_cancelled(self, before: int) -> None:
        if self._cancelled != before:
            raise MeasurementError("the run was ended early", next_step="run again")

    def _opened(self, worker: PackageWorker, contract: Contract) -> str:
        """Send a contract unless the worker holds it, and return the digest by which requests name it."""
        path = import_path()
        key = id(contract), tuple(path)
        if key not in self._headers:
            if len(self._headers) >= _REMEMBERED:
                self._headers.clear()
            body = {"contract": to_wire(contract), "path": path}
            self._headers[key] = contract, {"digest": json_digest(body), **body}
        header = self._headers[key][1]
        digest: str = header["digest"]
        if digest not in worker.contracts:
            answer, _ = worker.ask("open", header, step="opening the contract")
            worker.contracts = frozenset(answer["contracts"])
        return digest

    def _living(self) -> PackageWorker:
        """Return the running worker, or start one."""
        if self._worker is not None and self._worker.ended:
            self.close()
        if self._worker is None:
            worker = PackageWorker(OPERATIONS, self._silence_seconds)
            try:
                worker.greet()
            except BaseException:
                worker.dismiss()
                raise
            self._worker = worker
        return self._worker


class ProxyGoldenSet(GoldenSetProxy):
    """A golden set whose samples the isolated worker prepares.

    Args:
        golden: The golden set, opened and checked in this process.
        context: Its measurement context.
        worker: The isolated worker.
    """

    def __init__(self, golden: GoldenSet, context: MeasurementContext, worker: IsolatedWorker) -> None:
        super().__init__(golden)
        self._context = context
        self._worker = worker

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare one sample; see :meth:`GoldenSet.feeds`."""
        return self._worker.feeds(self._context, index, profile)
