"""Ctrl-C at any moment: a usable record or none, no orphan, nothing half-written, and the next run is whole."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.machinery.runs import run_of, wait_for

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

PAUSE = """
import time
from pathlib import Path

import pytest


def pause():
    Path("reached").touch()
    time.sleep(60)
"""

MOMENTS = {
    "a conftest is imported": ("pause()", -signal.SIGINT),
    "pytest configures": ("def pytest_configure():\n    pause()", INTERRUPTED),
    "the session starts": ("def pytest_sessionstart():\n    pause()", INTERRUPTED),
    "it collects": ("def pytest_itemcollected():\n    pause()", INTERRUPTED),
    "items are chosen": ("def pytest_collection_modifyitems():\n    pause()", INTERRUPTED),
    "an item starts": ("def pytest_runtest_setup(item):\n    if item.name == 'f1':\n        pause()", INTERRUPTED),
    "an item has ended": (
        "def pytest_runtest_teardown(item):\n    if item.name == 'f1':\n        pause()",
        INTERRUPTED,
    ),
}
"""What a conftest does at a moment, and the exit code of a run that is interrupted then: before there is a session,
Python itself ends by the signal."""


def check(run: Run, code: int, said: str) -> None:
    """What must hold of any interrupted run."""
    assert run.left_behind() == [], said
    assert run.half_written() == []
    assert "INTERNALERROR" not in said
    if run.record_file.is_file():
        record = run.record  # it can be read
        assert record.interrupted
        assert code == INTERRUPTED
        assert record.contracts[0].outcome == "unjudged"


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_at_any_moment(run: Run, moment: str) -> None:
    """While pytest starts, while it collects, while items run: one exit code, and a record once there is a session."""
    then, expected = MOMENTS[moment]
    (run.folder / "conftest.py").write_text(PAUSE + "\n\n" + then + "\n", encoding="utf-8")
    process = run.start()
    wait_for((run.folder / "reached").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    said = run.said(process)
    check(run, process.returncode, said)
    assert process.returncode == expected, said


def test_an_interrupt_after_the_record_was_written(run: Run) -> None:
    """It comes too late to change what was judged: the record stands, and Python itself ends by the signal."""
    (run.folder / "conftest.py").write_text(PAUSE + "\n\ndef pytest_sessionfinish():\n    pause()\n", encoding="utf-8")
    process = run.start()
    wait_for((run.folder / "reached").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    said = run.said(process)
    assert process.returncode == -signal.SIGINT, said
    assert run.left_behind() == [], said
    assert run.half_written() == []
    assert run.record.contracts[0].outcome == "held"


def test_the_run_after_an_interrupt_is_whole(run: Run) -> None:
    """What was measured before serves, and what was not is measured."""
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    process = run.start()
    wait_for(lambda: any(run.cache.glob("outputs/*.evidence")), process)
    os.killpg(process.pid, signal.SIGINT)
    said = run.said(process)
    assert process.returncode == INTERRUPTED, said
    check(run, process.returncode, said)
    record = run.record
    assert record.interrupted
    assert {row.why for row in record.unjudged} == {"not reached"}
    (run.folder / "conftest.py").unlink()
    code, text = run.finish()
    assert code == 0, text
    assert run.record.contracts[0].outcome == "held"


def test_two_interrupts_show_no_traceback(run: Run) -> None:
    """Whoever is impatient presses twice: the second one is answered, and costs nothing."""
    (run.folder / "conftest.py").write_text(
        PAUSE
        + """

def pytest_runtest_setup(item):
    if item.name == "f1":
        pause()


def pytest_keyboard_interrupt():
    Path("heard").touch()
    while not Path("pressed").exists():
        time.sleep(0.01)
""",
        encoding="utf-8",
    )
    process = run.start()
    for event in ("reached", "heard"):
        wait_for((run.folder / event).exists, process)
        os.killpg(process.pid, signal.SIGINT)
    (run.folder / "pressed").touch()
    said = run.said(process)
    check(run, process.returncode, said)
    assert process.returncode == INTERRUPTED, said
    assert "interrupt once more to end at once" in said
    assert "Traceback" not in said


def test_an_interrupt_under_xdist(run: Run) -> None:
    """Workers end too, and what they had judged is kept."""
    pytest.importorskip("xdist")
    (run.folder / "conftest.py").write_text(SLOW, encoding="utf-8")
    process = run.start("-n", "2")
    wait_for(lambda: any(run.cache.glob("outputs/*.evidence")), process)
    os.killpg(process.pid, signal.SIGINT)
    said = run.said(process)
    check(run, process.returncode, said)
    assert process.returncode == INTERRUPTED, said


def test_an_interrupt_while_an_artefact_is_built(unbuilt: Path, tmp_path: Path) -> None:
    """There is no half-made artefact, and the next run builds it."""
    run = run_of(unbuilt, tmp_path)
    calibration = run.folder / "golden" / "tiny_calibration.py"
    whole = calibration.read_text(encoding="utf-8")
    calibration.write_text(
        f"{whole}\n{PAUSE}\n\npause()\n".replace('"reached"', repr(str(run.folder / "reached"))), encoding="utf-8"
    )
    process = run.start()
    wait_for((run.folder / "reached").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    said = run.said(process)
    check(run, process.returncode, said)
    assert process.returncode == INTERRUPTED, said
    assert not (run.folder / "golden" / "build" / "tiny.int8.onnx").exists()
    calibration.write_text(whole, encoding="utf-8")
    code, text = run.finish()
    assert code == 0, text
