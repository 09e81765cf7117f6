"""The assistant: a process that does for the laboratory what a file could take a process down by.

Decoding photographs, opening checkpoints, parsing models, executing and making them is native code at work on what
somebody else made. The assistant does it, is started when it is first needed, and serves the whole run; when it dies,
the death is evidence that could not be obtained, or a file that could not be built, told with its signal and the
samples under way, and whoever asks next gets another assistant. Its other side is
:mod:`eyerace_parity.isolation.server`.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeVar

from eyerace_parity.contract.wire import packed
from eyerace_parity.core import errors
from eyerace_parity.core.errors import FROM_OUTSIDE, MeasurementError, RecipeError, WorkerDied
from eyerace_parity.evidence.codec import decode
from eyerace_parity.golden.base import Wrapped
from eyerace_parity.isolation.connection import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress, Task
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.measure.context import Bench

E = TypeVar("E")

SILENCE_SECONDS: Final = 900.0
"""How long it may neither answer nor tell of progress: a large checkpoint takes minutes to open."""

PLACE: Final = struct.Struct("<q")
"""One slot of the slate: the number of the sample that a thread has begun, from 1; 0 for none."""

SLOTS: Final = 1024
"""Threads that have a slot; no more samples are ever evaluated side by side."""

_PROGRAM: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from eyerace_parity.isolation.server import main; main()"
)
"""The same modules are found there as here, whoever has changed the path."""

_TOLD_SAMPLES: Final = 4


class Assistant:
    """Measures in a process that may die. Calls from several threads are served one after the other.

    Args:
        silence_seconds: Longest wait for an answer or a sign of progress.
    """

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._talk: _Talk | None = None
        self._lock = RLock()
        self._abandoned = 0

    def measure(self, bench: Bench, need: Need[E], source: Provenance) -> E:
        """Measure what a need asks for; see the measurer of its kind for what else is raised.

        Raises:
            WorkerDied: The assistant died of it, or fell silent.
            MeasurementError: It cannot be measured.
        """
        asked = {"variant": need.variant, "target": need.target, "versus": need.versus, "baseline": need.baseline}
        header = {"kind": need.kind.__name__, "need": asked, "source": source.model_dump(mode="json")}
        header |= _about(bench)
        results = self._ask("measure", f"measuring {need}", header, progress=bench.progress, golden=bench.golden)
        return decode(need.kind, results["evidence"].tobytes())

    def feeds(self, bench: Bench, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Decode and preprocess a golden sample; see :meth:`GoldenSet.feeds`.

        Raises:
            WorkerDied: The assistant died of it.
            GoldenError: It cannot be decoded.
        """
        header = {"index": index, "profile": _written(profile), **_about(bench)}
        return self._ask("feeds", "preparing a golden sample", header, golden=bench.golden)

    def times(self, bench: Bench, begin: int, end: int, profile: Preprocess | None) -> Array:
        """Time the preparation of golden samples; see :func:`eyerace_parity.golden.stopwatch.preparation`.

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
        header = {"contract": packed(contract), "path": _path(), "variant": variant}
        try:
            return self._ask("make", f"building {variant}", header, progress=progress)["content"].tobytes()
        except WorkerDied as error:
            if error.signal in FROM_OUTSIDE:
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
        with self._lock, _Heard(progress) as heard:
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

    def _talking(self) -> _Talk:
        """The conversation with the one that lives, or with a new one."""
        if self._talk is not None and self._talk.ended:
            self.close()
        if self._talk is None:
            talk = _Talk(self._silence_seconds)
            try:
                talk.greet({"slate": str(talk.slate)})
            except BaseException:
                talk.dismiss()
                raise
            self._talk = talk
        return self._talk


class Handed(Wrapped):
    """A golden set whose samples an assistant prepares.

    Args:
        golden: The set itself, opened and checked here.
        bench: What it belongs to.
        assistant: Who prepares them.
    """

    def __init__(self, golden: GoldenSet, bench: Bench, assistant: Assistant) -> None:
        super().__init__(golden)
        self._bench = bench
        self._assistant = assistant

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        return self._assistant.feeds(self._bench, index, profile)

    def times(self, begin: int, end: int, profile: Preprocess | None) -> Array:
        """What preparing samples takes; see :func:`eyerace_parity.golden.stopwatch.preparation`."""
        return self._assistant.times(self._bench, begin, end, profile)


class _Talk(Conversation):
    """The conversation with one assistant, from its start to its end."""

    def __init__(self, silence_seconds: float) -> None:
        command = (sys.executable, "-P", "-c", _PROGRAM, json.dumps(_path()))
        super().__init__(command, name="the process that measures", folder=Path.cwd(), answer_seconds=silence_seconds)
        self._desk = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        self.slate = Path(self._desk.name) / "slate"
        self.slate.write_bytes(bytes(PLACE.size * SLOTS))

    def under_way(self) -> tuple[int, ...]:
        """Samples that were begun, by their places, those of threads that are no longer at work not among them."""
        with contextlib.suppress(OSError):
            places = {number - 1 for (number,) in PLACE.iter_unpack(self.slate.read_bytes()) if number > 0}
            return tuple(sorted(places))
        return ()

    def request(self, operation: str, step: str, header: Mapping[str, Any], hear: Any) -> dict[str, Array]:
        """Ask for something and wait for it, hearing of progress."""
        return self._ask(operation, step, header, hear=hear)[1]

    def dismiss(self) -> None:
        """End it, and clear its desk."""
        self.close()
        self._desk.cleanup()

    def _refusal(self, body: Mapping[str, Any], step: str, refused: type[MeasurementError]) -> Exception:
        """Raise here what was raised there."""
        kind = getattr(errors, str(body.get("kind")), None)
        if isinstance(kind, type) and issubclass(kind, (MeasurementError, RecipeError)):
            reason, next_step = str(body.get("error")), str(body.get("next_step", ""))
            told: dict[str, Any] = {"transient": bool(body["transient"])} if "transient" in body else {}
            told |= {"signal": body["signal"]} if issubclass(kind, WorkerDied) else {}
            return kind(reason, next_step=next_step, **told)
        if body.get("kind") == MemoryError.__name__:
            return MemoryError()
        if body.get("kind") == OSError.__name__:
            return OSError(body.get("errno"), body.get("error"))
        if body.get("kind") == "fault":
            return RuntimeError(f"{self.name} failed while {step}:\n{body.get('error')}")
        return super()._refusal(body, step, refused)

    def _listen(self, stream: IO[bytes]) -> None:
        """Hand on what is said: a factory may print, and pytest shows it where it shows what tests print."""
        with stream:
            while line := stream.readline(4096):
                text = line.decode("utf-8", errors="replace")
                self._said.append(text.strip()[:200])
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a program without one
                    sys.stderr.write(errors.harmless(text))


class _Heard:
    """What is heard of progress, shown as if the work were done here."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks = ExitStack()
        self._task: Task | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.close()

    def hear(self, told: Any) -> None:
        """Take a sign of progress: ``{"task": label, "total": n}``, ``{"advance": n}`` or ``{"done": true}``."""
        if self._progress is None:
            return
        if "task" in told:
            self._task = self._tasks.enter_context(self._progress.task(str(told["task"]), told["total"]))
        elif "advance" in told and self._task is not None:
            self._task.advance(int(told["advance"]))
        elif "done" in told:
            self._tasks.close()
            self._task = None


def _about(bench: Bench) -> dict[str, Any]:
    """What the assistant must know of the bench."""
    return {
        "contract": packed(bench.contract),
        "jobs": bench.jobs,
        "recorded": bench.recorded,
        "path": _path(),
    }


def _written(profile: Preprocess | None) -> dict[str, Any] | None:
    return None if profile is None else profile.model_dump(mode="json")


def _path() -> list[str]:
    """Where modules are looked for; whoever puts something else than texts there has it passed on as such."""
    return [str(place) for place in sys.path]


def _with_samples(error: WorkerDied, places: tuple[int, ...], golden: GoldenSet) -> WorkerDied:
    """Name the samples that were under way."""
    names = golden.ids
    known = [names[place] for place in places if place < len(names)]
    if not known:
        return error
    rest = f" and {len(known) - _TOLD_SAMPLES} more" if len(known) > _TOLD_SAMPLES else ""
    reason = f"{error.reason}; under way: {', '.join(known[:_TOLD_SAMPLES])}{rest}"
    accused = "take these samples out, or the file: one of them kills what reads it"
    next_step = error.next_step if error.signal in FROM_OUTSIDE else accused
    return WorkerDied(reason, signal=error.signal, next_step=next_step)
