"""Ctrl-C while a lane is at work: nobody is waited for, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.equipment import alive, misbehaving, on_two_targets


@pytest.fixture
def bundle(image_bundle: Path) -> Path:
    """The labelled bundle, executed on two targets."""
    return on_two_targets(image_bundle, images=6)


CTRL_C = """
import signal, sys
from pathlib import Path
from eyerace_parity.evidence.answers import Execution
from eyerace_parity.evidence.base import Need
from tests.equipment import Local, OLD, X86
from tests.laboratories import laboratory

signal.signal(signal.SIGINT, signal.default_int_handler)
command = tuple(sys.argv[2:])
lab = laboratory(Path(sys.argv[1]), equipment=Local(commands={OLD: command, X86: command}), jobs=2)
needs = [Need(Execution, "int8", target) for target in (OLD, X86)]
lab.expect(needs)
try:
    lab.obtain(needs[0])
except KeyboardInterrupt:
    sys.exit(77)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_ctrl_c_ends_all_guests(bundle: Path, tmp_path: Path) -> None:
    """Two guests at work, both gone when the run is."""
    pids = tmp_path / "pids"
    pids.mkdir()
    hang = misbehaving(tmp_path, "hanging", f"open({str(pids)!r} + '/' + str(os.getpid()), 'w'); time.sleep(600)")
    root = Path(__file__).parents[3]
    run = subprocess.Popen([sys.executable, "-c", CTRL_C, str(bundle), *hang], cwd=root)
    until = time.monotonic() + 60
    while len(list(pids.iterdir())) < 2 and time.monotonic() < until and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 77
    found = [int(path.name) for path in pids.iterdir()]
    assert len(found) == 2
    assert not any(alive(pid) for pid in found)


CTRL_C_WHILE_A_SAMPLE_HANGS = """
import signal, sys
from pathlib import Path
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.evidence.answers import Execution, Outputs
from eyerace_parity.evidence.base import Need
from tests.equipment import Local, OLD, X86
from tests.laboratories import laboratory

signal.signal(signal.SIGINT, signal.default_int_handler)
bundle, mark = map(Path, sys.argv[1:])
isolated = IsolatedWorker()
lab = laboratory(bundle, equipment=Local(), jobs=2, isolated=isolated)
lab.obtain(Need(Outputs, "int8"))
mark.touch()
needs = [Need(Execution, "int8", target) for target in (OLD, X86)]
lab.expect(needs)
try:
    lab.obtain(needs[0])
except KeyboardInterrupt:
    isolated.close()
    sys.exit(77)
"""

HANGING_PHOTOGRAPHS = """
import os
import time
from pathlib import Path

from eyerace_parity.golden import images

decode = images.open_image


def hanging(path, max_pixels):
    if Path({mark!r}).exists():
        Path({pid!r}).write_text(str(os.getpid()))
        time.sleep(600)
    return decode(path, max_pixels)


images.open_image = hanging
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_ctrl_c_waits_for_no_sample(bundle: Path, tmp_path: Path) -> None:
    """Two guests' threads want a photograph that is never decoded: the first waits for it, the second for its turn."""
    mark, pid = tmp_path / "mark", tmp_path / "pid"
    module = tmp_path / "site" / "sitecustomize.py"  # which each Python that is started imports
    module.parent.mkdir()
    module.write_text(HANGING_PHOTOGRAPHS.format(mark=str(mark), pid=str(pid)), encoding="utf-8")
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", CTRL_C_WHILE_A_SAMPLE_HANGS, str(bundle), str(mark)]
    run = subprocess.Popen(command, cwd=root, env=os.environ | {"PYTHONPATH": str(module.parent)})
    until = time.monotonic() + 60
    while not pid.exists() and time.monotonic() < until and run.poll() is None:
        time.sleep(0.1)
    time.sleep(0.5)  # the second guest has started by now
    run.send_signal(signal.SIGINT)
    try:
        assert run.wait(30) == 77
    finally:
        run.kill()
    assert not alive(int(pid.read_text(encoding="utf-8")))
