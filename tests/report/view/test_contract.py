"""What is not held is told once a reason."""

from __future__ import annotations

from typing import Any

from eyerace_parity.core.result import Status
from eyerace_parity.report.markdown import render
from eyerace_parity.report.view.contract import failures
from eyerace_parity.report.view.run import run_view
from eyerace_parity.report.view.words import verdict_row
from tests.record.records import record, verdict

MISSING: dict[str, Any] = {"reason": "the file is missing", "next": "build it", "value": None}


def test_clauses_that_share_a_reason_stand_together() -> None:
    """The worst first, of whatever variants; another place or reason is another fault."""
    rows = [
        verdict("f1", status=Status.ERROR, **MISSING),
        verdict("p95", status=Status.ERROR, **MISSING),
        verdict("p95", "fp32", Status.ERROR, **MISSING),
        verdict("flips", target="arm64", status=Status.ERROR, **MISSING),
        verdict("file_size", status=Status.BROKEN),
        verdict("opset"),
    ]
    found = failures("contract.toml", map(verdict_row, rows))
    assert [[line.row.clause for line in fault.lines] for fault in found] == [
        ["file_size"],
        ["f1", "p95", "p95"],
        ["flips"],
    ]
    assert found[1].whose(6) == "int8 f1, p95; fp32 p95"
    assert found[1].place == "contract.toml"


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    """Nobody reads sixty names."""
    rows = [verdict(f"c{i}", status=Status.ERROR, **MISSING) for i in range(9)]
    (fault,) = failures("contract.toml", map(verdict_row, rows))
    assert fault.whose(2) == "int8 c0, c1 and 7 more"


def test_a_comment_tells_a_shared_reason_once() -> None:
    """A run in which nothing could be measured is one row a variant, not one a clause."""
    text = render(run_view(record([verdict(f"c{i}", status=Status.ERROR, **MISSING) for i in range(9)])))
    head = text.partition("<details>")[0]
    assert head.count("the file is missing") == 1
    assert "and 3 more" in head
