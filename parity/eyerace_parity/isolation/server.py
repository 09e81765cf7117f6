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
import traceback
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from eyerace_parity.contract.data import Preprocess
from eyerace_parity.contract.wire import unpacked
from eyerace_parity.core.errors import InputChanged, MeasurementError, ParityError, RecipeError, WorkerDied
from eyerace_parity.core.places import hush
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.codec import encode
from eyerace_parity.golden.base import Wrapped
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.golden.stopwatch import preparation
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.client import PLACE, SLOTS
from eyerace_parity.measure.cache import Store
from eyerace_parity.measure.context import Bench
from eyerace_parity.measure.measurers import TABLE, measurer_of
from eyerace_parity.recipes.build import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet

MEASURED: Final = {kind.__name__: kind for kind, measurer in TABLE.items() if measurer.apart}
"""What it can measure, by the name of the kind."""

BENCHES: Final = 8
"""Contracts whose golden sets stay open; a run has one or two."""

_TELL_SECONDS: Final = 0.05


class Slate:
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


class Noted(Wrapped):
    """A golden set that notes which sample is begun."""

    def __init__(self, golden: GoldenSet, slate: Slate) -> None:
        super().__init__(golden)
        self._slate = slate

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        self._slate.note(index + 1)
        return self._golden.feeds(index, profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """The same as an app does it; see :meth:`GoldenSet.unchecked`."""
        self._slate.note(index + 1)
        return self._golden.unchecked(index, profile)


class Told:
    """A progress that is told to the other side, not more often than anybody looks."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[_ToldTask]:
        """Open a task, and tell when it is done."""
        self._tell({"task": label, "total": total})
        task = _ToldTask(self._tell)
        yield task
        task.settle()
        self._tell({"done": True})


class _ToldTask:
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


class Assisting:
    """Serves one gate.

    Args:
        source: Where requests come from.
        sink: Where answers go.
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._slate: Slate | None = None
        self._benches: dict[str, Bench] = {}
        self._progress = Told(lambda told: worker.write_frame(self._sink, {"told": told}, {}))
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Array]]] = {
            "hello": self._hello,
            "measure": self._measure,
            "make": self._make,
            "feeds": lambda header: self._bench(header).golden().feeds(int(header["index"]), _profile(header)),
            "times": lambda header: {
                "times": preparation(
                    self._bench(header).golden(), int(header["begin"]), int(header["end"]), _profile(header)
                )
            },
        }

    def serve(self) -> NoReturn:
        """Answer one request after the other, for as long as there is somebody to answer."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            body, arrays = self._answer(self._requests.get())
            if self._slate is not None:
                self._slate.wipe()
            worker.write_frame(self._sink, body, arrays)

    def _read(self) -> None:
        """Read requests. Without the other side nobody wants an answer, however long it has been worked on."""
        try:
            while True:
                self._requests.put(worker.read_frame(self._source)[0])
        except (worker.Closed, worker.FrameError, OSError, ValueError):
            leave()

    def _answer(self, header: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            arrays = self._operations[header["op"]](header)
            for value in arrays.values():
                worker.sendable(value)
        except worker.Refused as error:
            return _failure(MeasurementError(str(error))), {}
        except ParityError as error:
            return _failure(error), {}
        except MemoryError:
            return {"ok": False, "kind": MemoryError.__name__}, {}
        except OSError as error:
            return {
                "ok": False,
                "kind": OSError.__name__,
                "errno": error.errno,
                "error": error.strerror or str(error),
            }, {}
        except Exception:  # noqa: BLE001 - a fault of ours, told on the other side
            return {"ok": False, "kind": "fault", "error": traceback.format_exc()}, {}
        return {"ok": True, "protocol": worker.PROTOCOL}, arrays

    def _hello(self, header: dict[str, Any]) -> dict[str, Array]:
        self._slate = Slate(Path(header["slate"]))
        return {}

    def _measure(self, header: dict[str, Any]) -> dict[str, Array]:
        kind = MEASURED[header["kind"]]
        bench, source = self._bench(header), Provenance.model_validate(header["source"])
        if source.golden and bench.golden().digest != source.golden:
            raise InputChanged("the golden set has changed since the run began")
        evidence = measurer_of(kind).measure(bench, Need(kind, **header["need"]), source)
        return {"evidence": np.frombuffer(encode(evidence), np.uint8)}

    def _make(self, header: dict[str, Any]) -> dict[str, Array]:
        sys.path[:] = header["path"]
        content = content_of(unpacked(header["contract"]), header["variant"], self._progress)
        return {"content": np.frombuffer(content, np.uint8)}

    def _bench(self, header: dict[str, Any]) -> Bench:
        """The bench of a contract, with its golden set opened once."""
        sys.path[:] = header["path"]
        contract = unpacked(header["contract"])
        known = f"{header['contract']} {header['jobs']} {header['recorded']}"
        if known not in self._benches:
            if len(self._benches) >= BENCHES:
                self._benches.clear()
            nowhere = Store(contract.root)  # nothing is kept here: who asks keeps it
            self._benches[known] = Bench(
                contract, self._open, nowhere, int(header["jobs"]), self._progress, bool(header["recorded"])
            )
        return self._benches[known]

    def _open(self, contract: Contract) -> GoldenSet:
        golden = open_golden(contract)
        return golden if self._slate is None else Noted(golden, self._slate)


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


def main() -> NoReturn:
    """Take the standard streams and serve."""
    hush()
    Assisting(*worker.take_streams()).serve()
