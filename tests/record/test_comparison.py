"""Two records side by side: what changed, the worst first."""

from __future__ import annotations

import pytest

from eyerace_parity.core.result import Relation, Status
from eyerace_parity.record.comparison import ChangeKind, compare, worse
from eyerace_parity.report.comparison import draw, headline, render, shown_factor
from tests.record.records import record, unjudged, verdict

BEFORE = [
    verdict("f1", value=0.92),
    verdict("f1_drop", status=Status.BROKEN, value=0.1),
    verdict("p95", value=20.0, limit=250, relation=Relation.AT_MOST, unit="ms"),
    verdict("file_size", value=100, limit=200, relation=Relation.AT_MOST, unit="bytes"),
    verdict("loads", value=None, limit=None),
]
AFTER = [
    verdict("f1", status=Status.BROKEN, value=0.81),
    verdict("f1_drop", value=0.9),
    verdict("p95", value=30.0, limit=250, relation=Relation.AT_MOST, unit="ms"),
    verdict("file_size", value=101, limit=200, relation=Relation.AT_MOST, unit="bytes"),
    verdict("peak", value=1),
]


def found(before=BEFORE, after=AFTER):
    """Compare two records."""
    return compare(record(before), record(after), ("1.0", "candidate"))


def test_each_clause_says_what_became_of_it() -> None:
    """Worse, better, moved, gone, new, and the same where a number moves by less than is worth a word."""
    told = {step.identity.clause: step.change for step in found().steps}
    assert told == {
        "f1": ChangeKind.WORSE,
        "f1_drop": ChangeKind.BETTER,
        "p95": ChangeKind.MOVED,
        "file_size": ChangeKind.SAME,
        "loads": ChangeKind.GONE,
        "peak": ChangeKind.NEW,
    }


def test_the_worst_comes_first() -> None:
    """A reader who stops after one line has read what matters."""
    assert [step.change for step in found().changed] == [
        ChangeKind.WORSE,
        ChangeKind.GONE,
        ChangeKind.BETTER,
        ChangeKind.MOVED,
        ChangeKind.NEW,
    ]


@pytest.mark.parametrize(
    ("before", "after", "bad"), [(BEFORE, BEFORE, False), (BEFORE, AFTER, True), (BEFORE, BEFORE[1:], True)]
)
def test_a_clause_that_is_no_longer_judged_is_no_improvement(before, after, bad) -> None:
    """What vanished counts as worse."""
    assert worse(found(before, after)) is bad


def test_a_limit_that_was_loosened_is_told() -> None:
    """The same number under another limit is not the same clause."""
    (step,) = found([verdict("f1")], [verdict("f1", limit=0.5)]).steps
    assert step.change is ChangeKind.MOVED


def test_runs_of_one_contract_each_are_compared_whatever_they_are_called() -> None:
    """Two recipes of one model stand in two contracts, and their clauses are the same."""
    other = record(AFTER)
    renamed = other.model_copy(
        update={
            "contracts": (other.contracts[0].model_copy(update={"name": "other"}),),
            "verdicts": tuple(row.model_copy(update={"contract": "other"}) for row in other.verdicts),
        }
    )
    steps = compare(record(BEFORE), renamed, ("a", "b")).steps
    assert [step.change for step in steps] == [step.change for step in found().steps]
    assert ("contract", "eyes", "other") in compare(record(BEFORE), renamed, ("a", "b")).surroundings


def test_a_number_that_stayed_has_no_factor() -> None:
    """Only its limit moved."""
    (step,) = found([verdict("f1")], [verdict("f1", limit=0.5)]).steps
    assert shown_factor(step) == ""
    (step,) = found([verdict("f1_drop", value=-0.01)], [verdict("f1_drop", value=0.02)]).steps
    assert shown_factor(step) == ""


def test_both_drawings_show_both_numbers() -> None:
    """Terminal and Markdown name clause, both numbers and the factor."""
    for text in (draw(found(), width=120, colour=False, encoding="utf-8"), render(found()).replace("&lt;", "<")):
        assert "✓ 20 ≤ 250 ms" in text
        assert "✓ 30 ≤ 250 ms" in text
        assert "× 1.5" in text  # noqa: RUF001 - a factor
        assert "✗ 0.81 < 0.875" in text


def test_nothing_changed_is_said_in_one_line() -> None:
    """Equal records draw no table."""
    text = draw(found(BEFORE, BEFORE), width=80, colour=False, encoding="ascii")
    assert text == "1.0 -> candidate: 5 same\n"


def test_records_without_verdicts_are_said_to_be_so() -> None:
    """Two runs that judged nothing are not called the same."""
    nothing = compare(record([], [unjudged("f1")]), record([], [unjudged("f1")]), ("a", "b"))
    assert headline(nothing).endswith("neither holds a verdict")
