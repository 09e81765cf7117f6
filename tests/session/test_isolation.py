"""Runs whose files take down what reads them: every other clause gets its verdict, and no run is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    from tests.session.conftest import Project

CRASH = "features = self"


def damage(project: Project, body: str) -> None:
    """Let the torch variant do something in the midst of answering."""
    path = project.bundle / "tiny_classifier.py"
    text = path.read_text(encoding="utf-8")
    assert CRASH in text
    path.write_text(text.replace(CRASH, f"{body}\n        {CRASH}"), encoding="utf-8")


def test_a_crash_costs_its_clauses_and_not_the_run(project: Project) -> None:
    """Exit code 1, the signal in words, and the clauses of the other variants held."""
    damage(project, "import os; os.kill(os.getpid(), 11)")
    result = project.run_apart("-k", "f1 or file_size")
    assert result.ret == 1
    assert project.statuses() == {
        "torch f1": "error",
        "fp32 f1": "held",
        "fp32 f1_drop": "error",
        "fp32 file_size": "held",
        "int8 f1": "held",
        "int8 f1_drop": "held",
        "int8 file_size": "held",
    }
    row = next(row for row in project.record().verdicts if row.variant == "torch")
    assert "the process that measures died of SIGSEGV" in row.reason
    assert "under way: " in row.reason
    assert row.next


def test_in_process_is_a_choice(project: Project) -> None:
    """A debugger in a factory needs it; else nothing of a model is executed in pytest's own process."""
    damage(project, f"import os, pathlib; pathlib.Path({str(project.root / 'who')!r}).write_text(str(os.getpid()))")
    for options, same in (((), False), (("--eyerace-parity-in-process",), True)):
        cache = f"cache{len(options)}"
        assert project.run("-k", "torch and f1", "--eyerace-parity-cache", cache, *options).ret == 0
        assert (int((project.root / "who").read_text(encoding="utf-8")) == os.getpid()) is same
    assert read_record(project.root / "build/parity/record.json").verdicts[0].status.passes
