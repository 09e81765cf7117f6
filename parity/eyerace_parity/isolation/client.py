"""Client of a process that has the package and may die: it measures, decodes, opens checkpoints, parses and builds.

All of that is native code at work on what somebody else made. The process is started with
:mod:`eyerace_parity.isolation.server`, told which operations to serve by their dotted name, reports progress on the way
to an answer, and notes in a file that outlives it which samples its threads have begun.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from eyerace_parity.core.errors import without_control_characters
from eyerace_parity.isolation import failures
from eyerace_parity.isolation.connection import WorkerConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.errors import MeasurementError
    from eyerace_parity.core.progress import Progress, Task

SILENCE_SECONDS: Final = 900.0
"""How long it may neither answer nor report progress: a large checkpoint takes minutes to open."""

SLOT: Final = struct.Struct("<q")
"""One slot of the file of samples in flight: the number of the sample that a thread has begun, from 1; 0 for none."""

SLOTS: Final = 1024
"""Threads that have a slot; no more samples are ever evaluated side by side."""

_PROGRAM: Final = (
    "import sys, json; told = json.loads(sys.argv[1]); sys.path[:] = told['path']; "
    "from eyerace_parity.isolation.server import main; main(told['operations'], told['in_flight'])"
)
"""The same modules are found there as here, whoever has changed the path."""


class PackageWorker(WorkerConnection):
    """A process that serves operations of the package, from its start to its end.

    Args:
        operations: Where its operations come from, as ``module:function``; see
            :func:`eyerace_parity.isolation.server.main`.
        silence_seconds: Longest wait for an answer or a report of progress.
    """

    def __init__(self, operations: str, silence_seconds: float) -> None:
        self._desk = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        self._in_flight = Path(self._desk.name) / "in-flight"
        self._in_flight.write_bytes(bytes(SLOT.size * SLOTS))
        told = {"path": import_path(), "operations": operations, "in_flight": str(self._in_flight)}
        super().__init__(
            (sys.executable, "-P", "-c", _PROGRAM, json.dumps(told)),
            name="the process that measures",
            folder=Path.cwd(),
            answer_seconds=silence_seconds,
        )
        self.contracts: frozenset[str] = frozenset()
        """Digests of the contracts that it holds, so that none is sent twice."""

    def samples_in_flight(self) -> tuple[int, ...]:
        """Places of the samples that were begun and not done with when the process ended."""
        with contextlib.suppress(OSError):
            places = {number - 1 for (number,) in SLOT.iter_unpack(self._in_flight.read_bytes()) if number > 0}
            return tuple(sorted(places))
        return ()

    def dismiss(self) -> None:
        """End it, and remove its file of samples in flight."""
        self.close()
        self._desk.cleanup()

    def _refusal(self, body: Mapping[str, Any], step: str, refused: type[MeasurementError]) -> Exception:
        """Raise here what was raised there."""
        told = failures.from_answer(body, name=self.name, step=step)
        return super()._refusal(body, step, refused) if told is None else told

    def _listen(self, stream: IO[bytes]) -> None:
        """Hand on what is said: a factory may print, and pytest shows it where it shows what tests print."""
        with stream:
            while line := stream.readline(4096):
                text = line.decode("utf-8", errors="replace")
                self._said.append(text.strip()[:200])
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a program without one
                    sys.stderr.write(without_control_characters(text))


class RemoteProgress:
    """Progress that a worker reports, shown as if the work were done here."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks = ExitStack()
        self._task: Task | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.close()

    def hear(self, reported: Any) -> None:
        """Take a report: ``{"task": label, "total": n}``, ``{"advance": n}`` or ``{"done": true}``."""
        if self._progress is None:
            return
        if "task" in reported:
            self._task = self._tasks.enter_context(self._progress.task(str(reported["task"]), reported["total"]))
        elif "advance" in reported and self._task is not None:
            self._task.advance(int(reported["advance"]))
        elif "done" in reported:
            self._tasks.close()
            self._task = None


def import_path() -> list[str]:
    """Where modules are looked for; whoever puts something else than texts there has it passed on as such."""
    return [str(place) for place in sys.path]
