"""Serves operations of the package in a subprocess, until the host says ``bye`` or is gone.

Requests and answers are the frames of :mod:`eyerace_parity.isolation.worker`, whose :func:`~worker.serve` answers them.
This module adds three things. The process ends at once, with all its children, when its host is gone. It reports
progress before an answer. It records the samples that are begun in a file that outlives it. The client is
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
"""Shortest time between two progress reports: faster than a terminal needs, slow enough to cost nothing."""

_PIECE: Final = 1 << 16
"""Bytes forwarded at once; the default capacity of a pipe on Linux."""


class SamplesInFlight:
    """File in which each thread records the sample that it has begun.

    Its form is that of :data:`eyerace_parity.isolation.client.SLOT`. Writes are unbuffered: they reach the file even if
    the process dies at the next instruction.

    Args:
        path: The file, already as large as all slots.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._lock = threading.Lock()
        self._slots = count()
        self._own = threading.local()

    def note(self, number: int) -> None:
        """Record the number of the calling thread's sample, counted from 1."""
        slot = getattr(self._own, "slot", None)
        if slot is None:
            slot = self._own.slot = next(self._slots) % SLOTS
        with self._lock:
            self._file.seek(slot * SLOT.size)
            self._file.write(SLOT.pack(number))

    def wipe(self) -> None:
        """Record that no sample is in flight."""
        with self._lock:
            self._file.seek(0)
            self._file.write(bytes(SLOTS * SLOT.size))
            self._slots = count()
            self._own = threading.local()


class ProgressReporter:
    """Progress that is sent to the host, at most every :data:`_TELL_SECONDS`.

    Args:
        report: Sends one report.
    """

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._report = report

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[_ReportedTask]:
        """Open a task, and report its end."""
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
        """Count ``n`` further steps as done."""
        self._done += n
        if time.monotonic() - self._last >= _TELL_SECONDS:
            self.settle()

    def settle(self) -> None:
        """Report all steps that are not reported yet."""
        if self._done:
            self._report({"advance": self._done})
        self._done, self._last = 0, time.monotonic()


def guarded(operation: worker.Operation, in_flight: SamplesInFlight) -> worker.Operation:
    """Wrap an operation: exceptions become answers, and no sample stays recorded after it."""

    def answer(header: dict[str, Any], arrays: worker.Arrays) -> worker.Answer:
        try:
            return operation(header, arrays)
        except Exception as error:  # noqa: BLE001 - raised again on the other side
            return failures.to_answer(error, traceback.format_exc()), {}
        finally:
            in_flight.wipe()

    return answer


def watched(source: IO[bytes]) -> IO[bytes]:
    """Forward a stream through a pipe; end this process when the stream ends.

    A closed stream means that the host is gone. Native code may be busy for minutes then, so the process does not wait
    for it to finish.
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
            pass  # a broken stream has ended as well
        leave()

    threading.Thread(target=pump, name="requests", daemon=True).start()
    return os.fdopen(read, "rb")


def main(operations: str, in_flight: str) -> NoReturn:
    """Take the standard streams and serve.

    Args:
        operations: ``module:function`` of a function that takes a :class:`ProgressReporter` and a
            :class:`SamplesInFlight` and returns operations by name.
        in_flight: Path of the in-flight file.
    """
    source, sink = worker.claim_streams()
    stay_in_one_group()
    disable_telemetry()  # on by default in some builds: https://github.com/microsoft/onnxruntime/issues/27379
    module, _, name = operations.partition(":")
    reporter = ProgressReporter(lambda reported: worker.write_frame(sink, {"progress": reported}, {}))
    noted = SamplesInFlight(Path(in_flight))
    served: Mapping[str, worker.Operation] = getattr(importlib.import_module(module), name)(reporter, noted)
    table: dict[str, worker.Operation] = {name: guarded(operation, noted) for name, operation in served.items()}
    table["hello"] = lambda _header, _arrays: ({"protocol": worker.PROTOCOL}, {})
    sys.exit(worker.serve(watched(source), sink, table))
