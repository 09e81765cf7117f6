"""The exact decision about a quantile: known figures, its own confidence, and that it is monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from eyerace_parity.core.result import Status
from eyerace_parity.stats.quantiles import (
    binomial_cdf,
    binomial_tail,
    decide_in_looks,
    decide_quantile,
    least_runs,
    most_over,
    quantile_bounds,
)

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


# ---- a series that grows ---------------------------------------------------------------------------------------------


def p95(values, budget=2.0):
    """The sequential decision about a 95th percentile at 95 %."""
    return decide_in_looks(values, budget, quantile=0.95, confidence=0.95)


def test_a_series_is_decided_at_the_first_look_that_proves_it():
    """Ninety runs with none over; what came later, because another question was open, changes nothing."""
    held = p95(runs(90, 0))
    assert (held.status, held.looked, held.over) == (Status.HELD, 90, 0)
    assert p95(runs(89, 0)).status is Status.UNPROVEN
    later = p95([*runs(90, 0), *[3.0] * 60])
    assert (later.status, later.looked, later.over, later.runs) == (Status.HELD, 90, 0, 150)


def test_the_order_of_the_runs_counts():
    """Five slow ones at the very beginning prove at the first look what at the end they would not."""
    slow_first = p95([*[3.0] * 5, *[1.0] * 200])
    assert (slow_first.status, slow_first.looked) == (Status.BROKEN, 30)
    assert p95([*[1.0] * 200, *[3.0] * 5]).status is Status.HELD


def test_between_two_looks_nothing_is_decided():
    """Thirty-nine runs are judged by the first thirty, and a series too short for any look proves nothing."""
    assert p95([*runs(30, 0), *[3.0] * 9]).status is Status.UNPROVEN
    assert p95([3.0] * 29).status is Status.UNPROVEN
    assert p95([3.0] * 30).status is Status.BROKEN


def test_what_would_settle_a_series_does_settle_it():
    """Further runs, none of them over, at the look that is named; and the rate so far, projected."""
    open_ended = p95([1.0, *[1.0] * 57, 3.0, *[1.0] * 41])
    assert open_ended.status is Status.UNPROVEN
    assert p95([*runs(58, 0), 3.0, *runs(41 + open_ended.further, 0)]).status is Status.HELD
    assert p95([*runs(58, 0), 3.0, *runs(41 + open_ended.further - 10, 0)]).status is Status.UNPROVEN
    near = p95(([1.0] * 39 + [3.0]) * 5)  # one of forty, half of what is allowed
    assert near.status is Status.UNPROVEN
    assert near.projected is not None
    assert p95(([1.0] * 39 + [3.0]) * ((near.runs + near.projected) // 40 + 1)).status is Status.HELD
    assert p95(([1.0] * 19 + [3.0]) * 10).projected is None  # exactly on the limit: nothing ever settles it


series = st.lists(st.floats(0.1, 100), min_size=1, max_size=400)


@given(series, st.floats(0.1, 100), st.floats(0, 50), st.sampled_from([0.5, 0.9, 0.95]))
def test_a_larger_budget_never_makes_a_series_worse(values, budget, more, quantile):
    """The sequential decision is monotone in the budget as well."""
    tight = decide_in_looks(values, budget, quantile=quantile, confidence=0.9)
    loose = decide_in_looks(values, budget + more, quantile=quantile, confidence=0.9)
    assert WORSE.index(loose.status) >= WORSE.index(tight.status)


@given(series, st.sampled_from([0.5, 0.9]))
def test_the_bound_is_the_smallest_budget_that_a_series_holds(values, quantile):
    """What would have passed does pass, and nothing below it does."""
    bound = decide_in_looks(values, 1.0, quantile=quantile, confidence=0.9).bound
    if bound is None:
        assert decide_in_looks(values, 1e9, quantile=quantile, confidence=0.9).status is not Status.HELD
        return
    assert decide_in_looks(values, bound, quantile=quantile, confidence=0.9).status is Status.HELD
    below = float(np.nextafter(bound, 0))
    assert decide_in_looks(values, below, quantile=quantile, confidence=0.9).status is not Status.HELD


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_a_series_on_the_limit_is_rarely_proven(quantile):
    """Where the quantile is exactly the budget, 400 seeded series are called held, or broken, no more than promised.

    The whole of it, with times of inference and 2,000 trials, is benchmarks/test_latency_calibration.py.
    """
    drawn = np.random.default_rng(11).random((400, 1000))
    found = [decide_in_looks(one, quantile, quantile=quantile, confidence=0.95).status for one in drawn]
    for status in (Status.HELD, Status.BROKEN):
        assert found.count(status) / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@given(times, st.sampled_from([0.5, 0.9, 0.95]))
def test_the_bounds_are_where_the_decision_turns(values, quantile):
    """Just below the lower one every budget is broken, at the upper one it is held, and neither is for nothing."""
    low, high = quantile_bounds(values, quantile=quantile, confidence=0.95)
    if low is not None:
        below = decide_in_looks(values, np.nextafter(low, 0), quantile=quantile, confidence=0.95)
        assert below.status is Status.BROKEN
        assert decide_in_looks(values, low, quantile=quantile, confidence=0.95).status is not Status.BROKEN
    if high is not None:
        assert decide_in_looks(values, high, quantile=quantile, confidence=0.95).status is Status.HELD
    assert low is None or high is None or low <= high


def test_many_runs_bound_a_quantile_from_both_sides():
    """A thousand runs of 1 to 1000 ms: the median lies in between, and not far from 500."""
    series = [float(number) for number in np.random.default_rng(0).permutation(1000)]
    low, high = quantile_bounds(series, quantile=0.5, confidence=0.95)
    assert low is not None
    assert high is not None
    assert 400 < low < 500 < high < 600  # in one of twenty series either end may be wrong, and in the next seed one is
    assert quantile_bounds([1.0, 2.0], quantile=0.95, confidence=0.95) == (None, None)
