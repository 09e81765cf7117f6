"""The exact decision about a quantile: known figures, its own confidence, and that it is monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from parity.result import Status
from parity.stats.quantiles import binomial_cdf, binomial_tail, decide_quantile, least_runs, most_over

WORSE = [Status.BROKEN, Status.UNPROVEN, Status.HELD]
times = st.lists(st.floats(0.1, 100), min_size=1, max_size=200)


def runs(within: int, over: int) -> list[float]:
    """Times of 1 ms, and ``over`` of 3 ms; the budget of these tests is 2 ms."""
    return [1.0] * within + [3.0] * over


@pytest.mark.parametrize(("total", "over"), [(59, 0), (93, 1), (124, 2), (181, 4)])
def test_p95_at_95_percent_takes_these_many_runs(total, over):
    """The known figures: so many runs prove it, one fewer does not."""
    held = decide_quantile(runs(total - over, over), 2.0, quantile=0.95, confidence=0.95)
    short = decide_quantile(runs(total - over - 1, over), 2.0, quantile=0.95, confidence=0.95)
    assert held.status is Status.HELD
    assert (short.status, short.further) == (Status.UNPROVEN, 1)


@pytest.mark.parametrize(("total", "over"), [(44, 0), (64, 1), (81, 2), (113, 4)])
def test_p90_at_99_percent_takes_these_many_runs(total, over):
    """The known figures for another quantile and confidence."""
    assert least_runs(over, quantile=0.9, confidence=0.99) == total


def test_a_median_needs_five_runs():
    """Fewer than five runs can prove nothing about a median at 95 %."""
    assert decide_quantile([1.0] * 5, 2.0, quantile=0.5, confidence=0.95).status is Status.HELD
    assert decide_quantile([1.0] * 4, 2.0, quantile=0.5, confidence=0.95).status is Status.UNPROVEN
    assert decide_quantile([3.0] * 5, 2.0, quantile=0.5, confidence=0.95).status is Status.BROKEN


def test_the_empirical_quantile_does_not_decide():
    """A p95 of 100 runs that lies within the budget is not proven by that alone."""
    found = decide_quantile(runs(96, 4), 2.0, quantile=0.95, confidence=0.95)
    assert found.quantile == 1.0
    assert found.status is Status.UNPROVEN
    assert decide_quantile(runs(96 + found.further, 4), 2.0, quantile=0.95, confidence=0.95).status is Status.HELD


def test_enough_runs_over_the_budget_prove_it_broken():
    """Ten of a hundred over a p95 budget are chance in 2.8 % of cases, nine in 6.3 %."""
    assert decide_quantile(runs(90, 10), 2.0, quantile=0.95, confidence=0.95).status is Status.BROKEN
    assert decide_quantile(runs(91, 9), 2.0, quantile=0.95, confidence=0.95).status is Status.UNPROVEN


@given(times, st.floats(0.1, 100), st.floats(0, 50), st.sampled_from([0.5, 0.9, 0.95]))
def test_a_larger_budget_never_makes_it_worse(values, budget, more, quantile):
    """The decision is monotone in the budget."""
    tight = decide_quantile(values, budget, quantile=quantile, confidence=0.95)
    loose = decide_quantile(values, budget + more, quantile=quantile, confidence=0.95)
    assert WORSE.index(loose.status) >= WORSE.index(tight.status)


@given(times, st.sampled_from([0.5, 0.9, 0.95]))
def test_the_bound_is_the_smallest_budget_that_is_held(values, quantile):
    """What the failure says would have passed does pass, and nothing below it does."""
    bound = decide_quantile(values, 1.0, quantile=quantile, confidence=0.95).bound
    if bound is None:
        assert most_over(len(values), quantile=quantile, confidence=0.95) is None
        return
    assert decide_quantile(values, bound, quantile=quantile, confidence=0.95).status is Status.HELD
    below = float(np.nextafter(bound, 0))
    assert decide_quantile(values, below, quantile=quantile, confidence=0.95).status is not Status.HELD


@given(st.integers(1, 400), st.data(), st.sampled_from([0.05, 0.1, 0.5]))
def test_the_binomial_sums_are_exact(trials, data, chance):
    """Both tails agree with scipy's, which is not imported outside of this test."""
    successes = data.draw(st.integers(0, trials))
    assert binomial_cdf(successes, trials, chance) == pytest.approx(binom.cdf(successes, trials, chance), rel=1e-9)
    assert binomial_tail(successes, trials, chance) == pytest.approx(binom.sf(successes - 1, trials, chance), rel=1e-9)


def test_a_model_on_the_budget_is_rarely_called_held():
    """Where the true p95 is exactly the budget, at most 5 % of seeded trials prove it held."""
    random = np.random.default_rng(7)
    over = random.binomial(200, 0.05, 2000)
    allowed = most_over(200, quantile=0.95, confidence=0.95)
    assert allowed is not None
    assert np.mean(over <= allowed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
