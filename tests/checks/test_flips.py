"""Flips: who was right, what is accepted, what is new, what has gone, and what has run out."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.flips import AcceptedFlip, FlipLedger, KnownFlips
from eyerace_parity.measure.kinds.flips import MOST_ROWS, compute_flips
from tests.checks.evidence_factory import LABELS, contract, golden, one_hot, planned, scores
from tests.checks.evidence_factory import outputs as answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.core.result import Judgement

TODAY = "2026-11-24"
OURS = (1, 0, 2, 1, 2, 2)
"""eye-0 right→wrong, eye-2 right→wrong against LABELS = 0 0 1 1 2 2."""


def ledger(ours: Sequence[int], theirs: Sequence[int], labels: Sequence[int] | None = LABELS) -> FlipLedger:
    """The ledger of two variants that decide so."""
    columns = {"focus": tuple(f"0.{index}" for index in range(len(ours)))}
    facts = replace(golden(labels, count=len(ours)), columns=columns)
    source = Provenance(variant="int8")
    return compute_flips(contract(), scores("int8", ours), facts, scores("fp32", theirs), source)


def accepted(name: str, **fields: Any) -> AcceptedFlip:
    """An acceptance that still holds."""
    told = {"variant": "int8", "against": "fp32", "reason": "dark", "expires": dt.date(2027, 1, 1)} | fields
    return AcceptedFlip(id=name, **told)


def judge(clause: str, most: int, ours: Sequence[int], *known: AcceptedFlip, failure: str = "") -> Judgement:
    """Judge int8 against an fp32 that is right everywhere."""
    read = contract({"int8": {"flips": {clause: most}}})
    item = planned(read, "int8", clause)
    book = KnownFlips(provenance=Provenance(variant=""), today=TODAY, entries=known, failure=failure)
    pieces = (golden(), scores("int8", ours), scores("fp32"), ledger(ours, LABELS), book)
    return item.judge(ClauseEvidence(dict(zip(item.needs, pieces, strict=True))))


def test_flips_are_counted_and_named_with_label_decisions_and_capture() -> None:
    """Two of six flip; the details say what each was and is."""
    found = judge("decision_flips", 1, OURS)
    assert (found.status, found.value, found.limit, found.unit) == (Status.BROKEN, 2, 1, "flips")
    text = "\n".join(found.details)
    assert "eye-0: red: red → green (right→wrong), by 4 where it was 4; focus 0.0" in text
    assert "right→wrong 2, wrong→right 0, wrong→wrong 0" in text
    assert "flips accept" in found.next_step
    assert judge("decision_flips", 2, OURS).status is Status.HELD


def test_only_what_was_right_before_is_harmful() -> None:
    """A mended flip is a flip, and no harmful one."""
    book = ledger((0, 0, 1, 1, 2, 2), (1, 0, 0, 1, 2, 2))
    assert (book.total, book.harmed, book.mended, book.moved) == (2, 0, 2, 0)
    book = ledger((2, 0, 0, 1, 1, 2), (1, 0, 2, 1, 2, 2))
    assert (book.harmed, book.mended, book.moved) == (1, 0, 2)
    assert [row.kind for row in book.rows] == ["harmed", "moved", "moved"], "the harmful come first"


@pytest.mark.parametrize("clause", ["decision_flips", "harmful_flips"])
def test_a_known_flip_does_not_count_and_a_new_one_does(clause: str) -> None:
    """With one of two accepted, one is left; with both, none."""
    assert judge(clause, 0, OURS, accepted("eye-0")).value == 1
    found = judge(clause, 0, OURS, accepted("eye-0"), accepted("eye-2", decision="blue"))
    assert (found.status, found.value) == (Status.HELD, 0)


def test_a_flip_to_another_decision_than_the_accepted_is_new() -> None:
    """What was accepted was pearl taken for bull, not pearl taken for anything."""
    assert judge("decision_flips", 0, OURS, accepted("eye-0", decision="blue")).value == 2
    assert judge("decision_flips", 0, OURS, accepted("eye-0", decision="green")).value == 1


@pytest.mark.parametrize("other", [{"variant": "fp32"}, {"against": "torch"}, {"against": "baseline"}])
def test_an_acceptance_speaks_of_one_pair_of_variants(other: dict[str, str]) -> None:
    """Of another variant, or against another, it accepts nothing here."""
    assert judge("decision_flips", 0, OURS, accepted("eye-0", **other)).value == 2


@pytest.mark.parametrize(("day", "left"), [(dt.date(2026, 11, 23), 2), (dt.date(2026, 11, 24), 1)])
def test_an_acceptance_ends_after_its_last_day(day: dt.date, left: int) -> None:
    """On the last day it still holds; afterwards the flip is red again, and the reason is recalled."""
    found = judge("decision_flips", 0, OURS, accepted("eye-0", expires=day))
    assert found.value == left
    assert any("which has passed (dark)" in line for line in found.details) == (left == 2)


def test_a_flip_that_has_gone_is_told() -> None:
    """It is no fault, but the file says something that is no longer so."""
    found = judge("decision_flips", 2, OURS, accepted("eye-5"))
    assert found.status is Status.HELD
    assert any(line.startswith("accepted, but no flip any more against fp32: eye-5") for line in found.details)


def test_a_known_harmless_flip_has_not_gone_for_the_harmful_clause() -> None:
    """Whether a flip is still there is asked of all flips, not of the harmful ones."""
    ours = (0, 0, 1, 1, 2, 2)
    read = contract({"int8": {"flips": {"harmful_flips": 0}}})
    item = planned(read, "int8", "harmful_flips")
    theirs = (1, 0, 1, 1, 2, 2)
    book = KnownFlips(provenance=Provenance(variant=""), today=TODAY, entries=(accepted("eye-0"),))
    pieces = (golden(), scores("int8", ours), scores("fp32", theirs), ledger(ours, theirs), book)
    found = item.judge(ClauseEvidence(dict(zip(item.needs, pieces, strict=True))))
    assert found.status is Status.HELD
    assert not [line for line in found.details if "eye-0" in line]


def test_a_file_that_cannot_be_read_is_an_error() -> None:
    """Nothing is accepted on the word of a torn file, and nothing is held either."""
    found = judge("decision_flips", 99, OURS, failure="flips.toml is not TOML")
    assert found.status is Status.ERROR
    assert found.reason == "flips.toml is not TOML"


def test_a_candidate_that_answers_nan_is_broken() -> None:
    """Its decisions are none, whatever the ledger could make of them."""
    read = contract({"int8": {"flips": {"decision_flips": 99}}})
    item = planned(read, "int8", "decision_flips")
    bad = answers("int8", scores=np.full((6, 3), np.nan, np.float32))
    book = compute_flips(read, bad, golden(), scores("fp32"), Provenance(variant="int8"))
    assert (book.failure, book.total) == ("some scores are not finite", 0)
    pieces = (golden(), bad, scores("fp32"), book, KnownFlips(provenance=Provenance(variant=""), today=TODAY))
    assert item.judge(ClauseEvidence(dict(zip(item.needs, pieces, strict=True)))).status is Status.BROKEN


@pytest.mark.parametrize(
    "arrays",
    [{}, {"other": one_hot(LABELS)}, {"scores": one_hot(LABELS)[:5]}, {"scores": one_hot(LABELS)[:, 0]}],
    ids=["none", "another", "short", "flat"],
)
def test_a_ledger_of_what_cannot_be_compared_says_why(arrays: dict[str, Any]) -> None:
    """It is never an empty ledger that looks like no flip."""
    bad = Outputs(Provenance(variant="int8"), arrays, 6)
    book = compute_flips(contract(), bad, golden(), scores("fp32"), Provenance(variant="int8"))
    assert book.failure
    assert book.samples == 0


def test_without_labels_flips_are_counted_and_harm_is_not_asked() -> None:
    """Who is right is not known there, and a contract that asks is refused."""
    book = ledger((1, 0, 0), (0, 0, 0), labels=None)
    assert (book.total, book.harmed, book.rows[0].kind, book.rows[0].label) == (1, 0, "unlabelled", "")
    read = contract({"int8": {"flips": {"decision_flips": 0}}}, labelled=False)
    assert planned(read, "int8", "decision_flips")
    with pytest.raises(ContractError, match="it is not known which variant is right"):
        planned(contract({"int8": {"flips": {"harmful_flips": 0}}}, labelled=False), "int8", "harmful_flips")


def test_a_long_ledger_is_cut_and_still_counts_all() -> None:
    """A record stays small; the harmful are the ones that are listed; nothing is said to have gone."""
    number = MOST_ROWS + 50
    labels = [0] * number
    book = ledger([1] * number, [0] * number, labels)
    assert (book.total, book.harmed, len(book.rows)) == (number, number, MOST_ROWS)


three = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=30)


@given(three)
def test_every_differing_decision_is_in_the_ledger_once(rows: list[tuple[int, int, int]]) -> None:
    """The kinds add up to the decisions that differ, and swapping the two swaps harm and mending."""
    labels, ours, theirs = (list(column) for column in zip(*rows, strict=True))
    book, turned = ledger(ours, theirs, labels), ledger(theirs, ours, labels)
    differ = {f"eye-{index}" for index, (mine, its) in enumerate(zip(ours, theirs, strict=True)) if mine != its}
    assert {row.id for row in book.rows} == differ
    assert book.total == len(book.rows) == book.harmed + book.mended + book.moved
    assert (book.harmed, book.mended) == (turned.mended, turned.harmed)
    assert all(row.margin > 0 and row.other_margin > 0 for row in book.rows)
