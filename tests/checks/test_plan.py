"""How often a verdict on many clauses may be wrong by chance."""

from __future__ import annotations

import pytest

from eyerace_parity.checks.plan import error_rates, plan
from tests.checks.evidence_factory import contract

LIMITS = {"int8": {"quality": {"f1": 0.9, "accuracy": 0.9, "f1_drop": 0.02, "f1_per_class": 0.8}}}


def test_false_alarms_add_up_and_false_passes_do_not():
    """A contract is broken by any clause, and held by all of them only."""
    found = error_rates(plan(contract(LIMITS)))
    assert found is not None
    assert (found.clauses, found.correction) == (4, "none")
    assert found.false_pass == pytest.approx(0.05)
    assert found.false_alarm == pytest.approx(4 * 0.05)


def test_a_correction_shares_one_chance_among_all():
    """All together alarm no more often than a single clause would."""
    found = error_rates(plan(contract(LIMITS, statistics={"correction": "bonferroni", "confidence": 0.9})))
    assert found is not None
    assert found.false_alarm == pytest.approx(0.1)
    assert found.false_pass == pytest.approx(0.1)


def test_what_rests_on_no_sample_cannot_err_by_chance():
    """Sizes and shapes are what they are."""
    assert error_rates(plan(contract({"int8": {"size": {"file_size": 100}}}))) is None
