"""Under xdist the same verdicts arrive, whoever reached them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.session.conftest import Project

pytest.importorskip("xdist")


def test_two_workers_reach_the_verdicts_of_one_process(project: Project) -> None:
    """Same rows, same evidence, one record, one table, written by the controller; missing files are built once."""
    (project.bundle / "build" / "tiny.int8.onnx").unlink()
    selected = ("-k", "f1 or size or closeness")
    assert project.run(*selected).ret == 0
    alone = project.record()
    (project.bundle / "build" / "tiny.int8.onnx").unlink()
    result = project.run_apart("-n", "2", *selected)
    assert result.ret == 0
    together = project.record()
    assert together.verdicts == alone.verdicts
    assert together.unjudged == alone.unjudged
    assert set(together.evidence) == set(alone.evidence)
    assert result.outlines.count("record: build/parity/record.json") == 1
    result.stdout.fnmatch_lines(["eyerace-parity: built golden/build/tiny.int8.onnx in * s"])


def test_a_broken_verdict_keeps_its_words_across_the_border(project: Project) -> None:
    """The failure text of a worker is the one of a single process; what could not be built is told there too."""
    (project.bundle / "build" / "tiny.int8.onnx").unlink()
    (project.bundle / "tiny_calibration.py").write_text("raise RuntimeError('no blots today')\n", encoding="utf-8")
    result = project.run_apart("-n", "2", "-k", "file_size")
    assert result.ret == 1
    assert project.statuses() == {"fp32 file_size": "held", "int8 file_size": "error"}
    result.stdout.fnmatch_lines(["! int8 file_size could not be judged: *no blots today*", "  next: *"])


def test_a_wrong_contract_is_one_usage_error(project: Project) -> None:
    """No worker is started for a contract that cannot be read."""
    project.edit("f1_drop = 0.0", "f1_dorp = 0.0")
    result = project.run_apart("-n", "2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: eyerace-parity: golden/contract.toml:*f1_dorp*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_lost_worker_leaves_its_clause_unjudged(project: Project) -> None:
    """A process that dies takes no verdict with it that somebody could mistake for held."""
    project.pytester.makeconftest(
        """
        import os

        def pytest_runtest_call(item):
            if item.name == "file_size" and item.parent.name == "int8":
                os._exit(3)
        """
    )
    result = project.run_apart("-n", "1", "-k", "file_size")
    assert result.ret == 1
    assert project.statuses() == {"fp32 file_size": "held"}
    record = project.record()
    assert record.contracts[0].outcome == "unjudged"
    lost = next(row for row in record.unjudged if (row.variant, row.clause) == ("int8", "file_size"))
    assert lost.why == "left without a verdict"


NOTING = """
import dataclasses
import os
import time
from pathlib import Path

import pytest

from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure import providers
from eyerace_parity.measure.isolated_worker import IsolatedWorker

NOTE = Path(__file__).with_name("note")


def note(kind, began):
    with NOTE.open("a") as file:
        file.write(f"{kind} {os.getpid()} {began} {time.monotonic()}\\n")


def noted(kind, work):
    def noting(*arguments):
        began = time.monotonic()
        try:
            return work(*arguments)
        finally:
            note(kind or arguments[2].kind.__name__, began)

    return noting


found = providers.measurer_of


def measurer_of(kind):
    one = found(kind)
    return dataclasses.replace(one, measure=noted(kind.__name__, one.measure)) if KINDS.of(kind).alone else one


providers.measurer_of = measurer_of
IsolatedWorker.measure = noted("", IsolatedWorker.measure)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    began = time.monotonic()
    yield
    if "test_own" in item.nodeid:
        note("test", began)
"""


def test_nothing_works_while_times_are_taken(project: Project) -> None:
    """What two workers did, by their clocks: evaluations and the user's own tests meet each other, but no times."""
    limits = "\n[variants.{}.limits.latency]\np50_ms = 60000.0\n"
    project.contract.write_text(
        project.contract.read_text(encoding="utf-8") + limits.format("int8") + limits.format("fp32"), encoding="utf-8"
    )
    project.pytester.makeconftest(NOTING)
    project.pytester.makepyfile(
        test_own="""
        import time

        import pytest

        @pytest.mark.parity
        @pytest.mark.parametrize("number", range(20))
        def test_own(number):
            time.sleep(0.05)
        """
    )
    result = project.run_apart("-n", "2", "--eyerace-parity-cache", "a-cache-of-its-own")
    assert result.ret == 0
    rows = [line.split() for line in (project.root / "note").read_text(encoding="utf-8").splitlines()]
    spans = [(kind, pid, float(began), float(ended)) for kind, pid, began, ended in rows]
    kinds = [kind for kind, *_ in spans]
    assert kinds.count("Timing") == 2
    assert kinds.count("test") == 20
    assert "Outputs" in kinds
    assert len({pid for _, pid, *_ in spans}) == 2
    for kind, pid, began, ended in spans:
        if kind == "Timing":
            met = [other for other, its, first, last in spans if its != pid and first < ended and began < last]
            assert met == []
