"""What the isolated worker does when it is asked: measure, decode samples, time them, build a file."""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from eyerace_parity.contract.wire import from_wire
from eyerace_parity.core.errors import InputChanged, MeasurementError, ParityError
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.codec import encode
from eyerace_parity.golden.base import GoldenSetProxy, preparation
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.server import ProgressReporter, SamplesInFlight, _failure, _profile, leave
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.measurer import load
from eyerace_parity.recipes.build import content_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet


BENCHES: Final = 8
"""Contracts whose golden sets stay open; a run has one or two."""


class TracingGoldenSet(GoldenSetProxy):
    """A golden set that notes which sample is begun."""

    def __init__(self, golden: GoldenSet, slate: SamplesInFlight) -> None:
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


class WorkerServer:
    """Serves one gate.

    Args:
        source: Where requests come from.
        sink: Where answers go.
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._slate: SamplesInFlight | None = None
        self._benches: dict[str, MeasurementContext] = {}
        self._progress = ProgressReporter(lambda told: worker.write_frame(self._sink, {"told": told}, {}))
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
        self._slate = SamplesInFlight(Path(header["slate"]))
        return {}

    def _measure(self, header: dict[str, Any]) -> dict[str, Array]:
        bench, source = self._bench(header), Provenance.model_validate(header["source"])
        # Named by where they are, not by their names in a registry: an extension need not be registered here.
        kind, measurer = load(header["kind"]), load(header["measurer"])
        if source.golden and bench.golden().digest != source.golden:
            raise InputChanged("the golden set has changed since the run began")
        evidence = measurer.measure(bench, Need(kind, **header["need"]), source)
        return {"evidence": np.frombuffer(encode(evidence), np.uint8)}

    def _make(self, header: dict[str, Any]) -> dict[str, Array]:
        sys.path[:] = header["path"]
        content = content_of(from_wire(header["contract"]), header["variant"], self._progress)
        return {"content": np.frombuffer(content, np.uint8)}

    def _bench(self, header: dict[str, Any]) -> MeasurementContext:
        """The bench of a contract, with its golden set opened once."""
        sys.path[:] = header["path"]
        contract = from_wire(header["contract"])
        known = f"{header['contract']} {header['jobs']} {header['recorded']}"
        if known not in self._benches:
            if len(self._benches) >= BENCHES:
                self._benches.clear()
            nowhere = EvidenceCache(contract.root)  # nothing is kept here: who asks keeps it
            self._benches[known] = MeasurementContext(
                contract, self._open, nowhere, int(header["jobs"]), self._progress, bool(header["recorded"])
            )
        return self._benches[known]

    def _open(self, contract: Contract) -> GoldenSet:
        golden = open_golden(contract)
        return golden if self._slate is None else TracingGoldenSet(golden, self._slate)


def main() -> NoReturn:
    """Take the standard streams and serve."""
    disable_telemetry()
    WorkerServer(*worker.claim_streams()).serve()
