"""The steps of an install: watched while they run, told when they fail, ended with all their children."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.extensions.emulation.home import run_step
from tests.extensions.emulation.test_home import run_python, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of Linux")


def test_a_step_returns_what_it_printed_and_is_watched(tmp_path: Path) -> None:
    """Whoever draws the bar hears of it while the command runs, and once more at its end."""
    looks: list[bool] = []
    done = run_step(
        ("sh", "-c", "touch here; echo $WORD; sleep 0.5"),
        what="waiting",
        folder=tmp_path,
        env={"WORD": "yes"},
        watch=lambda: looks.append((tmp_path / "here").exists()),
    )
    assert done == "yes\n"
    assert len(looks) > 1
    assert looks[-1]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo noise >&2; echo 'E: no such package' >&2; echo more noise >&2; exit 100", "E: no such package"),
        ("exit 3", "it ended with exit code 3"),
        ("kill -SEGV $$", "SIGSEGV"),
    ],
)
def test_a_failed_step_says_why(tmp_path: Path, script: str, words: str) -> None:
    """The line that names the error, else how the command ended."""
    with pytest.raises(MeasurementError, match=words) as told:
        run_step(("sh", "-c", script), what="trying", folder=tmp_path, next_step="do that")
    assert told.value.reason.startswith("trying failed: ")
    assert told.value.next_step == "do that"


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As a sentence, not as an exception of Python's."""
    with pytest.raises(MeasurementError, match="no-such-command cannot be run"):
        run_step(("no-such-command",), what="trying", folder=tmp_path)


def test_an_interrupted_step_leaves_no_orphan(tmp_path: Path) -> None:
    """Ctrl-C ends the command and the children of its own."""
    script = "sleep 300 & echo $! > child; echo $$ > leader; mv leader begun; wait"
    process = run_python(
        f"""
        import signal, sys
        from pathlib import Path
        from eyerace_parity.extensions.emulation.home import run_step
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run_step(("sh", "-c", {script!r}), what="sleeping", folder=Path(sys.argv[1]))
        """,
        tmp_path,
    )
    until((tmp_path / "begun").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    numbers = [(tmp_path / name).read_text().strip() for name in ("begun", "child")]
    until(lambda: not any(_runs(number) for number in numbers))


def _runs(number: str) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", number], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}
