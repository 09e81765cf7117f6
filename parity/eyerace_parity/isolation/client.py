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
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeVar

from eyerace_parity.contract.wire import to_wire
from eyerace_parity.core import errors
from eyerace_parity.core.errors import EXTERNAL_SIGNALS, MeasurementError, RecipeError, WorkerDied
from eyerace_parity.isolation.connection import WorkerConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.core.progress import Progress, Task
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.measure.context import MeasurementContext

E = TypeVar("E")

SILENCE_SECONDS: Final = 900.0
"""How long it may neither answer nor tell of progress: a large checkpoint takes minutes to open."""

PLACE: Final = struct.Struct("<q")
"""One slot of the slate: the number of the sample that a thread has begun, from 1; 0 for none."""

SLOTS: Final = 1024
"""Threads that have a slot; no more samples are ever evaluated side by side."""

_PROGRAM: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from eyerace_parity.measure.isolated_operations import main; main()"
)
"""The same modules are found there as here, whoever has changed the path."""

_TOLD_SAMPLES: Final = 4


class PackageWorker(WorkerConnection):
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
                    sys.stderr.write(errors.without_control_characters(text))


class RemoteProgress:
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


def _about(bench: MeasurementContext) -> dict[str, Any]:
    """What the assistant must know of the bench."""
    return {
        "contract": to_wire(bench.contract),
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
    next_step = error.next_step if error.signal in EXTERNAL_SIGNALS else accused
    return WorkerDied(reason, signal=error.signal, next_step=next_step)
