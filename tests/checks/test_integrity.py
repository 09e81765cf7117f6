"""Integrity: all samples answered, in finite numbers that change with the sample."""

from __future__ import annotations

import numpy as np

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import LABELS, TWO_OUTPUTS, contract, golden, judge, one_hot, outputs, scores

READ = contract()


def test_what_is_whole_is_held():
    """All three clauses hold for sound outputs."""
    for clause in ("complete", "finite", "varied"):
        assert judge(READ, "int8", clause, golden(), scores("int8")).status is Status.HELD


def test_another_element_type_breaks():
    """A float64 output is not the float32 that the app reads."""
    wide = outputs("int8", scores=one_hot(LABELS).astype(np.float64))
    judgement = judge(READ, "int8", "complete", golden(), wide)
    assert judgement.status is Status.BROKEN
    assert "scores is float64, not float32" in judgement.reason


def test_the_number_of_broken_elements_is_the_value():
    """``finite`` counts what is not."""
    bad = one_hot(LABELS)
    bad[1:3, 0] = np.inf
    judgement = judge(READ, "int8", "finite", golden(), outputs("int8", scores=bad))
    assert (judgement.value, judgement.limit) == (2, 0)
    assert "eye-1" in judgement.reason


def test_a_constant_output_breaks():
    """The same scores for every sample, but for a rounding error."""
    rows = np.tile(np.array([[1.0, 2.0, 3.0]], np.float32), (6, 1))
    rows[0, 0] += 1e-6
    judgement = judge(contract(labelled=False), "int8", "varied", golden(None, count=6), outputs("int8", scores=rows))
    assert judgement.status is Status.BROKEN
    assert "scores of int8 varies" in judgement.reason


def test_zeros_throughout_break():
    """Magnitude zero must not divide itself into a pleasant number."""
    rows = np.zeros((6, 3), np.float32)
    read = contract(labelled=False)
    assert judge(read, "int8", "varied", golden(None, count=6), outputs("int8", scores=rows)).status is Status.BROKEN


def test_one_decision_for_all_breaks_unless_the_labels_agree():
    """A classifier that always says green, with lively scores."""
    lively = np.multiply(one_hot([1] * 6), np.linspace(1, 2, 6)[:, None], dtype=np.float32)
    judgement = judge(READ, "int8", "varied", golden(), outputs("int8", scores=lively))
    assert judgement.status is Status.BROKEN
    assert "'green' on all 6 samples" in judgement.reason
    assert judge(READ, "int8", "varied", golden([1] * 6), outputs("int8", scores=lively)).status is Status.HELD


def test_one_sample_proves_nothing():
    """Variation over one sample is unproven, and more samples would settle it."""
    judgement = judge(READ, "int8", "varied", golden((0,)), scores("int8", (0,)))
    assert judgement.status is Status.UNPROVEN
    assert judgement.next_step == "add golden samples"


def test_the_worst_of_two_outputs_is_named():
    """A constant integer output beside a lively one."""
    read = contract(interface=TWO_OUTPUTS, classes=(), labelled=False)
    rank = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    steady = outputs("int8", rank=rank, norm=np.full(6, 7, np.int64))
    judgement = judge(read, "int8", "varied", golden(None, count=6), steady)
    assert judgement.status is Status.BROKEN
    assert judgement.reason.startswith("norm of int8")
    assert len(judgement.details) == 2
