"""Files that are written while a run measures them, and limits that only one run has: later runs know nothing of it."""

from __future__ import annotations

import random
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.core.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.machinery.runs import Run

F1 = ("-k", "int8 and f1 and not f1_drop")
"""One clause, so that a run is short."""


def ruined(path: Path) -> bytes:
    """The same network with weights that are nothing: it loads, and answers wrong."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.int8:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(values), tensor.name))
    return bytes(model.SerializeToString())


def replaced(path: Path, content: bytes) -> None:
    """Put other bytes in a file's place, as an export does."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def test_a_bad_file_is_never_held_whenever_it_came(run: Run) -> None:
    """At ten random moments of a run: what the bad file is said to be, then and ever after, is never HELD."""
    path = run.folder / "golden" / "build" / "tiny.int8.onnx"
    good, bad = path.read_bytes(), ruined(path)
    began = time.monotonic()
    assert run.finish(*F1)[0] == 0
    length = time.monotonic() - began
    moments, met = random.Random(14), 0
    for _ in range(10):
        replaced(path, good)
        for entry in run.cache.rglob("*.evidence"):
            entry.unlink()
        run.record_file.unlink()
        process = run.start(*F1)
        time.sleep(moments.uniform(0.1, 0.8) * length)
        replaced(path, bad)
        time.sleep(0.3)  # a run that was writing its record had looked at the files for the last time
        in_time = not run.record_file.exists()
        met += in_time
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1 or not in_time, said.decode()
        assert run.finish(*F1)[0] == 1
        assert [row.status for row in run.record.verdicts if row.clause == "f1"] == [Status.BROKEN]
    assert met, "no moment lay within a run"
    replaced(path, good)
    code, told = run.finish(*F1)
    assert code == 0, told


def test_a_photograph_that_is_replaced_for_a_moment(run: Run) -> None:
    """And put back before the run ends: the next run says what is true of the set as it is."""
    ours, other = sorted((run.folder / "golden" / "images").iterdir())[:2]
    first = ours.read_bytes()
    process = run.start("-k", "int8")
    time.sleep(1.0)
    replaced(ours, other.read_bytes() + bytes(1))
    time.sleep(1.0)
    replaced(ours, first)
    process.communicate(timeout=60)
    code, said = run.finish("-k", "int8")
    assert code == 0, said


@pytest.mark.parametrize("megabytes", [200, 500])
def test_a_run_under_a_memory_limit_spoils_no_later_one(run: Run, megabytes: int) -> None:
    """``ulimit -v``: whatever became of that run, the next one without it is green."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    run.finish("-k", "int8", before=limit)
    code, said = run.finish("-k", "int8")
    assert code == 0, said


def test_a_slow_minute_spoils_no_later_run(run: Run) -> None:
    """A worker that is stopped until its time is over."""
    slow = run.folder / "sitecustomize.py"
    slow.write_text(
        "from eyerace_parity.isolation import connection\n"
        "import sys\n"
        "if 'pytest' in ' '.join(sys.orig_argv):\n"
        "    connection.ANSWER_SECONDS = 0.0\n"
        "    connection.WorkerConnection.__init__.__kwdefaults__['answer_seconds'] = 0.001\n",
        encoding="utf-8",
    )
    code, said = run.finish("-k", "int8", more={"PYTHONPATH": str(run.folder)})
    assert code == 1, said
    assert "gave no answer within" in said
    slow.unlink()
    code, said = run.finish("-k", "int8")
    assert code == 0, said
