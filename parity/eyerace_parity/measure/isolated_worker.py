"""The client of the isolated worker, as the laboratory sees it."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from eyerace_parity.contract.wire import to_wire
from eyerace_parity.core.errors import EXTERNAL_SIGNALS, MeasurementError, WorkerDied
from eyerace_parity.evidence.codec import decode
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.golden.base import GoldenSetProxy
from eyerace_parity.isolation.client import (
    SILENCE_SECONDS,
    E,
    PackageWorker,
    RemoteProgress,
    _about,
    _path,
    _with_samples,
    _written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.measure.context import MeasurementContext


class IsolatedWorker:
    """Measures in a process that may die. Calls from several threads are served one after the other.

    Args:
        silence_seconds: Longest wait for an answer or a sign of progress.
    """

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._talk: PackageWorker | None = None
        self._lock = RLock()
        self._abandoned = 0

    def measure(self, bench: MeasurementContext, need: Need[E], source: Provenance) -> E:
        """Measure what a need asks for; see the measurer of its kind for what else is raised.

        Raises:
            WorkerDied: The assistant died of it, or fell silent.
            MeasurementError: It cannot be measured.
        """
        asked = {"variant": need.variant, "target": need.target, "versus": need.versus, "baseline": need.baseline}
        header = {"kind": f"{need.kind.__module__}:{need.kind.__qualname__}", "measurer": KINDS.of(need.kind).measurer}
        header |= {"need": asked, "source": source.model_dump(mode="json")} | _about(bench)
        results = self._ask("measure", f"measuring {need}", header, progress=bench.progress, golden=bench.golden)
        return decode(need.kind, results["evidence"].tobytes())

    def feeds(self, bench: MeasurementContext, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Decode and preprocess a golden sample; see :meth:`GoldenSet.feeds`.

        Raises:
            WorkerDied: The assistant died of it.
            GoldenError: It cannot be decoded.
        """
        header = {"index": index, "profile": _written(profile), **_about(bench)}
        return self._ask("feeds", "preparing a golden sample", header, golden=bench.golden)

    def times(self, bench: MeasurementContext, begin: int, end: int, profile: Preprocess | None) -> Array:
        """Time the preparation of golden samples; see :func:`eyerace_parity.golden.base.preparation`.

        Raises:
            WorkerDied: The assistant died of it.
            GoldenError: A sample cannot be decoded.
        """
        header = {"begin": begin, "end": end, "profile": _written(profile), **_about(bench)}
        step = "timing the preparation of golden samples"
        return self._ask("times", step, header, golden=bench.golden)["times"]

    def make(self, contract: Contract, variant: str, progress: Progress) -> bytes:
        """Make the content of a variant's file; see :func:`eyerace_parity.recipes.build.content_of`.

        Raises:
            RecipeError: The recipe cannot be carried out.
            WorkerDied: The assistant died of it, or fell silent.
            MeasurementError: What it is made from cannot be opened or run.
        """
        header = {"contract": to_wire(contract), "path": _path(), "variant": variant}
        try:
            return self._ask("make", f"building {variant}", header, progress=progress)["content"].tobytes()
        except WorkerDied as error:
            if error.signal in EXTERNAL_SIGNALS:
                raise
            step = "look at the checkpoint and the factory: one of them ends what builds from them"
            raise WorkerDied(error.reason, signal=error.signal, next_step=step) from error

    def abandon(self) -> None:
        """Fail whoever waits for an answer, or for his turn to ask, from any thread: the run is being ended.

        A later call is served again, by another process.
        """
        self._abandoned += 1
        if (talk := self._talk) is not None:
            talk.close()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            talk, self._talk = self._talk, None
            if talk is not None:
                talk.dismiss()

    def _ask(
        self,
        operation: str,
        step: str,
        header: Mapping[str, Any],
        *,
        progress: Progress | None = None,
        golden: Callable[[], GoldenSet] | None = None,
    ) -> dict[str, Array]:
        before = self._abandoned
        with self._lock, RemoteProgress(progress) as heard:
            self._refuse_abandoned(before)
            talk = self._talking()
            self._refuse_abandoned(before)  # nobody may have been there to be ended
            try:
                return talk.request(operation, step, header, heard.hear)
            except MeasurementError as error:
                self._refuse_abandoned(before)
                if isinstance(error, WorkerDied) and golden is not None:
                    raise _with_samples(error, talk.under_way(), golden()) from error
                raise

    def _refuse_abandoned(self, before: int) -> None:
        if self._abandoned != before:
            raise MeasurementError("the run was ended early", next_step="run again")

    def _talking(self) -> PackageWorker:
        """The conversation with the one that lives, or with a new one."""
        if self._talk is not None and self._talk.ended:
            self.close()
        if self._talk is None:
            talk = PackageWorker(self._silence_seconds)
            try:
                talk.greet({"slate": str(talk.slate)})
            except BaseException:
                talk.dismiss()
                raise
            self._talk = talk
        return self._talk


class ProxyGoldenSet(GoldenSetProxy):
    """A golden set whose samples an assistant prepares.

    Args:
        golden: The set itself, opened and checked here.
        bench: What it belongs to.
        assistant: Who prepares them.
    """

    def __init__(self, golden: GoldenSet, bench: MeasurementContext, assistant: IsolatedWorker) -> None:
        super().__init__(golden)
        self._bench = bench
        self._assistant = assistant

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        return self._assistant.feeds(self._bench, index, profile)

    def times(self, begin: int, end: int, profile: Preprocess | None) -> Array:
        """What preparing samples takes; see :func:`eyerace_parity.golden.base.preparation`."""
        return self._assistant.times(self._bench, begin, end, profile)
