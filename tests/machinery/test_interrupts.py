"""Ctrl-C at any moment: a usable record or none, no orphan, nothing half-written, and the next run is whole."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.machinery.runs import PATIENCE, run_of, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.machinery.runs import Run

INTERRUPTED = 2
SLOW = """
import time

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    time.sleep(0.05)
"""


def interrupt(run: Run, seconds: float, *arguments: str, times: int = 1) -> tuple[int, str]:
    """Press Ctrl-C after some seconds; returns exit code and output."""
    process = run.start(*arguments)
    time.sleep(seconds)
    for _ in range(times):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said.decode()


def check(run: Run, code: int, said: str) -> None:
    """What must hold of any interrupted run."""
    assert run.left_behind() == [], said
    assert run.half_written() == []
    assert "INTERNALERROR" not in said
    if run.record_file.is_file():
        record = run.record  # it can be read
        if record.interrupted:
            assert code == INTERRUPTED
            assert record.contracts[0].outcome != "held"


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0])
def test_an_interrupt_at_any_moment(run: Run, seconds: float) -> None:
    """While pytest starts, while it collects, while something is measured, while the record is written."""
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    code, said = interrupt(run, seconds)
    check(run, code, said)
    assert code in {INTERRUPTED, -signal.SIGINT, 0, 1}, said


def test_the_run_after_an_interrupt_is_whole(run: Run) -> None:
    """What was measured before serves, and what was not is measured."""
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    process = run.start()
    wait_for(lambda: any(run.cache.glob("outputs/*.evidence")), process)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == INTERRUPTED, said.decode()
    check(run, process.returncode, said.decode())
    record = run.record
    assert record.interrupted
    assert {row.why for row in record.unjudged} == {"not reached"}
    (run.folder / "conftest.py").unlink()
    code, text = run.finish()
    assert code == 0, text
    assert run.record.contracts[0].outcome == "held"


def test_two_interrupts_show_no_traceback(run: Run) -> None:
    """Whoever is impatient presses twice."""
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    process = run.start()
    wait_for(lambda: any(run.cache.glob("outputs/*.evidence")), process)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.03)
    said, _ = process.communicate(timeout=PATIENCE)
    check(run, process.returncode, said.decode())
    assert "Traceback" not in said.decode()


def test_an_interrupt_under_xdist(run: Run) -> None:
    """Workers end too, and what they had judged is kept."""
    pytest.importorskip("xdist")
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    process = run.start("-n", "2")
    wait_for(lambda: any(run.cache.glob("outputs/*.evidence")), process)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    check(run, process.returncode, said.decode())
    assert process.returncode == INTERRUPTED, said.decode()


def test_an_interrupt_while_an_artefact_is_built(unbuilt: Path, tmp_path: Path) -> None:
    """There is no half-made artefact, and the next run builds it."""
    run = run_of(unbuilt, tmp_path)
    process = run.start()
    wait_for((run.folder / "golden" / "build").is_dir, process)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    check(run, process.returncode, said.decode())
    assert process.returncode == INTERRUPTED, said.decode()
    code, text = run.finish()
    assert code == 0, text
