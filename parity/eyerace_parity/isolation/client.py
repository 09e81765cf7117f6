"""Client of a subprocess that runs the package's crash-prone native code: measuring, decoding, parsing, building.

The subprocess runs :mod:`eyerace_parity.isolation.server` and serves the operations named by a dotted name. It reports
progress before it answers. Its threads record the samples that they have begun in a file that outlives the process, so
that a crash can be attributed to samples.
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
"""Longest wait for an answer or a progress report: a large checkpoint takes minutes to open."""

SLOT: Final = struct.Struct("<q")
"""One slot of the in-flight file: the number of the sample that a thread has begun, counted from 1; 0 for none."""

SLOTS: Final = 1024
"""Slots in the in-flight file, one a thread: an upper bound of samples evaluated at the same time."""

_PROGRAM: Final = (
    "import sys, json; given = json.loads(sys.argv[1]); sys.path[:] = given['path']; "
    "from eyerace_parity.isolation.server import main; main(given['operations'], given['in_flight'])"
)
"""Program of the subprocess. It copies ``sys.path``, which pytest may have changed, to import the same modules."""


class PackageWorker(WorkerConnection):
    """A subprocess that serves operations of the package.

    Args:
        operations: Where its operations come from, as ``module:function``; see
            :func:`eyerace_parity.isolation.server.main`.
        silence_seconds: Longest wait for an answer or a progress report, in seconds.
    """

    def __init__(self, operations: str, silence_seconds: float) -> None:
        self._desk = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        self._in_flight = Path(self._desk.name) / "in-flight"
        self._in_flight.write_bytes(bytes(SLOT.size * SLOTS))
        arguments = {"path": import_path(), "operations": operations, "in_flight": str(self._in_flight)}
        super().__init__(
            (sys.executable, "-P", "-c", _PROGRAM, json.dumps(arguments)),
            name="the process that measures",
            folder=Path.cwd(),
            answer_seconds=silence_seconds,
        )
        self.contracts: frozenset[str] = frozenset()
        """Digests of the contracts that the subprocess holds, so that each is sent once."""

    def samples_in_flight(self) -> tuple[int, ...]:
        """Indices of the samples that were begun and not finished when the process ended, ascending."""
        with contextlib.suppress(OSError):
            places = {number - 1 for (number,) in SLOT.iter_unpack(self._in_flight.read_bytes()) if number > 0}
            return tuple(sorted(places))
        return ()

    def dismiss(self) -> None:
        """End the process and remove its in-flight file."""
        self.close()
        self._desk.cleanup()

    def _refusal(self, body: Mapping[str, Any], step: str, refused: type[MeasurementError]) -> Exception:
        """Return the exception that the subprocess raised."""
        raised = failures.from_answer(body, name=self.name, step=step)
        return super()._refusal(body, step, refused) if raised is None else raised

    def _listen(self, stream: IO[bytes]) -> None:
        """Forward the error stream of the subprocess: a factory may print, and pytest captures it like test output."""
        with stream:
            while line := stream.readline(4096):
                text = line.decode("utf-8", errors="replace")
                self._said.append(text.strip()[:200])
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a program without one
                    sys.stderr.write(without_control_characters(text))


class RemoteProgress:
    """Shows the progress that a worker reports.

    Args:
        progress: Where to show it; ``None`` to ignore it.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks = ExitStack()
        self._task: Task | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.close()

    def hear(self, reported: Any) -> None:
        """Take one report: ``{"task": label, "total": n}``, ``{"advance": n}`` or ``{"done": true}``."""
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
    """Return ``sys.path`` as strings: some programs put :class:`~pathlib.Path` objects there, which JSON refuses."""
    return [str(place) for place in sys.path]
