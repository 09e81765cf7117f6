"""The decision about a floor and about a drop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parity.result import Status
from parity.stats.gate import Labelled, decide_drop, decide_floor

LABELS = np.zeros(4, dtype=np.int64)


def samples(ours: float, theirs: float | None = None) -> Labelled:
    """Scores whose mean is the statistic of these tests."""
    reference = None if theirs is None else np.full((4, 1), theirs)
    return Labelled(LABELS, np.full((4, 1), ours), reference)


def mean(_labels, scores):
    """A statistic of which more is better."""
    return float(scores.mean())


def test_a_floor_is_reached_or_not():
    """Exactly on the floor is held."""
    assert decide_floor(mean, samples(0.875), 0.875).status is Status.HELD
    assert decide_floor(mean, samples(0.8749), 0.875).status is Status.BROKEN


def test_a_drop_of_exactly_the_margin_is_held_although_it_rounds():
    """0.92 - 0.878 is above 0.042 in float64."""
    assert 0.92 - 0.878 > 0.042
    decision = decide_drop(mean, samples(0.878, 0.92), 0.042)
    assert (decision.status, decision.candidate, decision.reference) == (Status.HELD, 0.878, 0.92)
    assert decide_drop(mean, samples(0.877, 0.92), 0.042).status is Status.BROKEN


def test_a_rise_is_held():
    """A candidate above its reference has a negative drop."""
    decision = decide_drop(mean, samples(0.95, 0.92), 0.0)
    assert decision.status is Status.HELD
    assert decision.value == pytest.approx(-0.03)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_never_held(value):
    """A statistic that is not finite cannot pass a floor, nor hide a drop."""
    assert decide_floor(mean, samples(value), 0.5).status is Status.ERROR
    assert decide_drop(mean, samples(value, 0.9), 0.5).status is Status.ERROR
    assert decide_drop(mean, samples(0.9, value), 0.5).status is Status.ERROR


def test_a_drop_needs_two():
    """A drop without a reference is a fault of the check."""
    with pytest.raises(ValueError, match="reference"):
        decide_drop(mean, samples(0.9), 0.1)
