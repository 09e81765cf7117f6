"""Serves operations of the package in a process that may die, until it is told to leave or its host is gone.

Requests and answers are the frames of :mod:`eyerace_parity.isolation.worker`, and its :func:`~worker.serve` answers
them. What this process adds: it ends at once, with all that it started, when nobody is there to hear the answer; it
reports progress on the way; and it notes which samples are begun in a file that outlives it. The client is
:class:`eyerace_parity.isolation.client.PackageWorker`.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.isolation import failures, worker
from eyerace_parity.isolation.client import SLOT, SLOTS
from eyerace_parity.isolation.processes import leave, stay_in_one_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_TELL_SECONDS: Final = 0.05

_PIECE: Final = 1 << 16


class SamplesInFlight:
    """Where each thread notes the sample that it has begun; see :data:`eyerace_parity.isolation.client.SLOT`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._lock = threading.Lock()
        self._slots = count()
        self._own = threading.local()

    def note(self, number: int) -> None:
        """Note the number of a sample, from 1."""
        slot = getattr(self._own, "slot", None)
        if slot is None:
            slot = self._own.slot = next(self._slots) % SLOTS
        with self._lock:
            self._file.seek(slot * SLOT.size)
            self._file.write(SLOT.pack(number))

    def wipe(self) -> None:
        """Note that nothing is under way."""
        with self._lock:
            self._file.seek(0)
            self._file.write(bytes(SLOTS * SLOT.size))
            self._slots = count()
            self._own = threading.local()


class ProgressReporter:
    """A progress that is reported to the host, not more often than anybody looks."""

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._report = report

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[_ReportedTask]:
        """Open a task, and report when it is done."""
        self._report({"task": label, "total": total})
        task = _ReportedTask(self._report)
        yield task
        task.settle()
        self._report({"done": True})


class _ReportedTask:
    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._report = report
        self._done = 0
        self._last = 0.0

    def advance(self, n: int = 1) -> None:
        """Say that more steps are done."""
        self._done += n
        if time.monotonic() - self._last >= _TELL_SECONDS:
            self.settle()

    def settle(self) -> None:
        """Report all steps that were not reported yet."""
        if self._done:
            self._report({"advance": self._done})
        self._done, self._last = 0, time.monotonic()


def guarded(operation: worker.Operation, in_flight: SamplesInFlight) -> worker.Operation:
    """Let an operation answer with what it raises, and leave no sample noted behind it."""

    def answer(header: dict[str, Any], arrays: worker.Arrays) -> worker.Answer:
        try:
            return operation(header, arrays)
        except Exception as error:  # noqa: BLE001 - raised again on the other side
            return failures.to_answer(error, traceback.format_exc()), {}
        finally:
            in_flight.wipe()

    return answer


def watched(source: IO[bytes]) -> IO[bytes]:
    """Read a stream through a thread that ends this process when the stream ends.

    Without its host nobody wants an answer, however long it has been worked on.
    """
    read, write = os.pipe()

    def pump() -> None:
        try:
            while piece := os.read(source.fileno(), _PIECE):
                with memoryview(piece) as rest:
                    done = 0
                    while done < len(rest):
                        done += os.write(write, rest[done:])
        except OSError:
            pass  # a stream that broke has ended, too
        leave()

    threading.Thread(target=pump, name="requests", daemon=True).start()
    return os.fdopen(read, "rb")


def main(operations: str, in_flight: str) -> NoReturn:
    """Take the standard streams and serve.

    Args:
        operations: ``module:function`` of a function that is given a :class:`ProgressReporter` and a
            :class:`SamplesInFlight` and returns its operations by name.
        in_flight: The file of samples in flight.
    """
    source, sink = worker.claim_streams()
    stay_in_one_group()
    disable_telemetry()
    module, _, name = operations.partition(":")
    reporter = ProgressReporter(lambda reported: worker.write_frame(sink, {"progress": reported}, {}))
    noted = SamplesInFlight(Path(in_flight))
    served: Mapping[str, worker.Operation] = getattr(importlib.import_module(module), name)(reporter, noted)
    table: dict[str, worker.Operation] = {name: guarded(operation, noted) for name, operation in served.items()}
    table["hello"] = lambda _header, _arrays: ({"protocol": worker.PROTOCOL}, {})
    sys.exit(worker.serve(watched(source), sink, table))
