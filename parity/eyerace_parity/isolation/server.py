"""The assistant's other side: it measures and makes what it is asked to, until it is told to leave or the gate is gone.

Requests and answers are the frames of :mod:`eyerace_parity.isolation.worker`. On the way to an answer it tells of
progress; which samples its threads have begun stands on the slate, a file that outlives it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn

from eyerace_parity.contract.data import Preprocess
from eyerace_parity.core.errors import MeasurementError, ParityError, RecipeError, WorkerDied
from eyerace_parity.isolation.client import PLACE, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


_TELL_SECONDS: Final = 0.05


class SamplesInFlight:
    """Where each thread notes the sample that it has begun; see :data:`eyerace_parity.isolation.client.PLACE`."""

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
            self._file.seek(slot * PLACE.size)
            self._file.write(PLACE.pack(number))

    def wipe(self) -> None:
        """Note that nothing is under way."""
        with self._lock:
            self._file.seek(0)
            self._file.write(bytes(SLOTS * PLACE.size))
            self._slots = count()
            self._own = threading.local()


class ProgressReporter:
    """A progress that is told to the other side, not more often than anybody looks."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[_ReportedTask]:
        """Open a task, and tell when it is done."""
        self._tell({"task": label, "total": total})
        task = _ReportedTask(self._tell)
        yield task
        task.settle()
        self._tell({"done": True})


class _ReportedTask:
    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._done = 0
        self._last = 0.0

    def advance(self, n: int = 1) -> None:
        """Say that more steps are done."""
        self._done += n
        if time.monotonic() - self._last >= _TELL_SECONDS:
            self.settle()

    def settle(self) -> None:
        """Tell of all steps that were not told of."""
        if self._done:
            self._tell({"advance": self._done})
        self._done, self._last = 0, time.monotonic()


def leave() -> NoReturn:
    """End this process with all that it has started, at once: native code may be at work in it."""
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _profile(header: Mapping[str, Any]) -> Preprocess | None:
    return None if header["profile"] is None else Preprocess.model_validate(header["profile"])


def _failure(error: ParityError) -> dict[str, Any]:
    told: dict[str, Any] = {"error": error.reason, "next_step": error.next_step}
    if isinstance(error, MeasurementError):
        told["transient"] = error.transient
    if isinstance(error, WorkerDied):
        told["signal"] = error.signal
    known = isinstance(error, MeasurementError | RecipeError)
    kind = type(error).__name__ if known else MeasurementError.__name__
    return {"ok": False, "kind": kind, **told}
