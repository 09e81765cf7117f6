"""Stability: run again, and run in company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import clauses, contract, golden, judge, one_hot, repeats

if TYPE_CHECKING:
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.base import Array

READ = contract({"fp32": {"stability": {"batch_invariant": 0.5}}})
FIRST = {"scores": one_hot((0, 1))}


def changed(amount: float) -> dict[str, Array]:
    """The first run's answers, but for one element of the second sample."""
    other = FIRST["scores"].copy()
    other[1, 2] += amount
    return {"scores": other}


def verdict(clause: str, **runs: Any) -> Judgement:
    """Judge fp32 on samples 1 and 3 of the golden set."""
    return judge(READ, "fp32", clause, golden(), repeats(FIRST, **runs))


def test_equal_runs_are_held():
    """Both clauses hold where everything repeats; the repeat is demanded of every variant."""
    assert verdict("repeatable").status is Status.HELD
    assert verdict("batch_invariant").status is Status.HELD
    assert "repeatable" in clauses(READ, "torch")
    assert "batch_invariant" not in clauses(READ, "int8")


def test_a_run_that_differs_names_sample_and_element():
    """The smallest difference breaks the default of zero."""
    judgement = verdict("repeatable", again=changed(0.25))
    assert (judgement.status, judgement.value, judgement.limit) == (Status.BROKEN, 0.25, 0.0)
    assert "scores[2] of eye-3" in judgement.reason
    assert judgement.details == ("smallest tolerance that would have passed: 0.25",)


def test_a_batch_within_the_tolerance_is_held():
    """The contract's tolerance is for the batch."""
    assert verdict("batch_invariant", batched=changed(0.5)).status is Status.HELD
    judgement = verdict("batch_invariant", batched=changed(0.75))
    assert judgement.status is Status.BROKEN
    assert "a batch of 2 differs" in judgement.reason


def test_a_refused_batch_breaks_with_the_runtimes_words():
    """A batch axis that is dynamic in name only."""
    judgement = verdict("batch_invariant", batched={}, refused="Reshape: 2 is not 1")
    assert judgement.status is Status.BROKEN
    assert "Reshape: 2 is not 1" in judgement.reason


@pytest.mark.parametrize("clause", ["repeatable", "batch_invariant"])
def test_nothing_is_held_for_want_of_answers(clause):
    """No samples, no answers, fewer rows, other outputs, NaN in both runs, another shape."""
    second = "again" if clause == "repeatable" else "batched"
    nan = {"scores": np.full((2, 3), np.nan, np.float32)}
    none = judge(READ, "fp32", clause, golden(), repeats({"scores": FIRST["scores"][:0]}, samples=()))
    beyond = judge(READ, "fp32", clause, golden((0,)), repeats(FIRST))
    nans = judge(READ, "fp32", clause, golden(), repeats(nan))
    assert (none.status, beyond.status, nans.status) == (Status.ERROR, Status.ERROR, Status.BROKEN)
    assert "eye-1" in nans.reason
    for runs in ({}, {"logits": FIRST["scores"]}, {"scores": FIRST["scores"][:1]}, {"scores": FIRST["scores"][:, :1]}):
        assert verdict(clause, **{second: runs}).status is Status.BROKEN, runs
