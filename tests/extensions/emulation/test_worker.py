"""A guest under an emulator that dies, hangs or says too much: the conversation ends as with any other process."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.contract.variants import Session
from eyerace_parity.core.errors import WorkerDied
from eyerace_parity.isolation.runtime_worker import WORKER, RuntimeWorker
from tests.equipment import OLD
from tests.extensions.emulation.test_targets import Installed
from tests.isolation.test_runtime_worker import gone

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import importlib.util
import os
import signal
import sys
import time

spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)


class Misbehaving(worker.RuntimeOperations):
    def _{step}(self, header, arrays):
        {body}


worker.RuntimeOperations = Misbehaving
worker.main()
"""

ECHO = {"ok": True, "wall_ns": 1, "cpu_ns": 1, "peak": 1}


@pytest.fixture
def emulated(image_bundle: Path, tmp_path: Path) -> Emulated:
    """Makes guests on the oldest tier."""
    return Emulated(Installed(image_bundle).toolkit(OLD).command, tmp_path)


class Emulated:
    """Guests whose worker does at one step what it is told."""

    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        assert command[-1] == str(WORKER)
        self._command = command[:-1]
        self._folder = folder

    def guest(self, step: str, body: str, *, answer_seconds: float = 60.0) -> RuntimeWorker:
        """A guest that has not been started."""
        script = self._folder / "worker.py"
        script.write_text(SCRIPT.format(worker=str(WORKER), step=step, body=body), encoding="utf-8")
        return RuntimeWorker((*self._command, str(script)), answer_seconds=answer_seconds)


@pytest.mark.parametrize("step", ["hello", "load", "run", "time"])
def test_a_kill_at_any_step_is_told(emulated: Emulated, step: str) -> None:
    """The signal, and what was under way; the emulator's own process is gone."""
    guest = emulated.guest(step, "os.kill(os.getpid(), signal.SIGKILL)")
    doing = {"hello": "starting", "load": "loading m", "run": "running m", "time": "timing m"}[step]
    with pytest.raises(WorkerDied) as died:
        asked(guest, step)
    assert died.value.signal == signal.SIGKILL
    assert "SIGKILL" in died.value.reason
    assert doing in died.value.reason
    assert guest.ended


def asked(guest: RuntimeWorker, step: str) -> None:
    """Start a guest, and ask it for one thing."""
    ones = {"x": np.ones(3, np.float32)}
    guest.start()
    match step:
        case "load":
            guest.load("m", b"", Session())
        case "run":
            guest.run("m", ones)
        case "time":
            guest.time({"m": ones}, 2)


def test_a_kill_from_outside_is_told(emulated: Emulated) -> None:
    """The emulator is killed in the middle of an inference, as by a system that is short of memory."""
    guest = emulated.guest("run", "time.sleep(60)")
    guest.start()
    assert guest._process is not None
    threading.Timer(0.5, os.kill, (guest._process.pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match="SIGKILL") as died:
        guest.run("m", {})
    assert died.value.signal == signal.SIGKILL


def test_a_hang_is_ended_with_its_children(emulated: Emulated, tmp_path: Path) -> None:
    """Emulated code that never ends, and a child that it has started."""
    note = tmp_path / "child"
    lines = ("child = os.fork()", f"open({str(note)!r}, 'w').write(str(child or os.getpid()))", "while True: pass")
    body = "\n        ".join(lines)
    with emulated.guest("run", body, answer_seconds=3.0) as guest:
        assert guest._process is not None
        number = guest._process.pid
        began = time.monotonic()
        with pytest.raises(WorkerDied, match="no answer within 3 s while running m"):
            guest.run("m", {})
        assert time.monotonic() - began < 30
    assert gone(number)
    assert gone(int(note.read_text()))


def test_full_pipes_stall_nobody(emulated: Emulated) -> None:
    """Megabytes in all three streams at once."""
    body = f"sys.stderr.write('x' * (1 << 21)); sys.stderr.flush(); return {ECHO!r}, arrays"
    big = np.arange(1 << 20, dtype=np.float64)
    with emulated.guest("run", body) as guest:
        np.testing.assert_array_equal(guest.run("m", {"x": big}).outputs["x"], big)
