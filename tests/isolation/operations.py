"""Operations for a worker of the package, in place of those that measure: what it may do to itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure.isolated_operations import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.isolation.server import ProgressReporter, SamplesInFlight
    from eyerace_parity.isolation.worker import Answer, Arrays, Operation

HANGING = (
    "import sys, time, os; sys.path[:] = {path!r}; from eyerace_parity.isolation import worker; "
    "source, sink = worker.claim_streams(); worker.read_frame(source); "
    "worker.write_frame(sink, {{'ok': True, 'protocol': worker.PROTOCOL}}, {{}}); worker.read_frame(source); "
    "open({note!r}, 'w').write(str(os.getpid())); time.sleep(600)"
)
"""A runtime worker that greets, notes its process and then sees nothing any more, as in a hang of native code."""


def various(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """Small operations, each for one test."""

    def start_a_worker(header: dict[str, Any], _arrays: Arrays) -> Answer:
        command = (sys.executable, "-c", HANGING.format(path=sys.path, note=header["note"]))
        with RuntimeWorker(command, name="the child", answer_seconds=header["seconds"]) as child:
            child.run("m", {})
        return {}, {}

    def fail(header: dict[str, Any], _arrays: Arrays) -> Answer:
        in_flight.note(3)
        raise {
            "artefact": ArtefactError("torn", next_step="fetch it"),
            "measurement": MeasurementError("slow", transient=True),
            "memory": MemoryError(),
            "system": OSError(28, "No space left on device"),
            "ours": ZeroDivisionError("by us"),
        }[header["error"]]

    def die(header: dict[str, Any], _arrays: Arrays) -> Answer:
        for number in header["samples"]:
            in_flight.note(number)
        os.kill(os.getpid(), header["signal"])
        return {}, {}

    def work(header: dict[str, Any], _arrays: Arrays) -> Answer:
        with progress.task("working", header["steps"]) as task:
            for _ in range(header["steps"]):
                time.sleep(header["seconds"])
                task.advance()
        return {}, {"process": np.array(os.getpid())}

    return {"start": start_a_worker, "fail": fail, "die": die, "work": work}


def _instead(
    ending: Callable[[], None], progress: ProgressReporter, in_flight: SamplesInFlight
) -> Mapping[str, Operation]:
    def measure(_header: dict[str, Any], _arrays: Arrays) -> Answer:
        ending()
        return {}, {}

    return {**operations(progress, in_flight), "measure": measure}


def crashing(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """Measuring ends the process by a signal of its own."""
    return _instead(lambda: os.kill(os.getpid(), signal.SIGSEGV), progress, in_flight)


def killed(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """Something else ends the process while it measures."""
    return _instead(lambda: os.kill(os.getpid(), signal.SIGKILL), progress, in_flight)


def hanging(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """Measuring never ends."""
    return _instead(lambda: time.sleep(600), progress, in_flight)
