"""Decisions about times of fresh processes: their factors, their laws, and what each kind of answer needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyerace_parity.core.result import Status
from eyerace_parity.stats import times
from eyerace_parity.stats.times import (
    DISTURBED_TIMES,
    PROCESSES,
    RATIOS,
    TIMES,
    Margins,
    TimeDecision,
    bounds_of_times,
    decide_times,
)

Runs = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def session(number: int = PROCESSES, runs: int = 100, *, spread: float = 0.05, seed: int = 0) -> list[Runs]:
    """Lognormal runs around 1, by process."""
    return list(np.exp(spread * np.random.default_rng(seed).standard_normal((number, runs))))


def decided(
    processes: list[Runs], budget: float, margins: Margins = TIMES, *, quantile: float = 0.95, last: bool = True
) -> TimeDecision:
    """Decide with 95 % confidence."""
    return decide_times(processes, budget, quantile=quantile, confidence=0.95, margins=margins, last=last)


@pytest.mark.parametrize(
    ("number", "confidence", "factor"),
    # Hahn & Meeker, Statistical Intervals, table for 95 % of a population.
    [(6, 0.95, 3.708), (6, 0.99, 5.406), (12, 0.99, 3.410), (24, 0.99, 2.662), (40, 0.975, 2.232)],
)
def test_the_tolerance_factors_are_those_of_the_tables(number: int, confidence: float, factor: float) -> None:
    """The noncentral t distribution is integrated here, so that no run imports scipy."""
    assert times._tolerance(number, confidence) == pytest.approx(factor, abs=5e-4)


@pytest.mark.parametrize(("freedom", "value"), [(5, 2.571), (11, 2.201), (39, 2.023), (200, 1.972)])
def test_students_quantiles_are_those_of_the_tables(freedom: int, value: float) -> None:
    """97.5 %."""
    assert times._student(freedom, 0.975) == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize(("budget", "status"), [(2.0, Status.HELD), (0.5, Status.BROKEN)])
def test_a_clear_answer_takes_six_processes(budget: float, status: Status) -> None:
    """Later processes, taken for another question, do not change it; five are too few."""
    found = decided(session(), budget, last=False)
    assert (found.status, found.why, found.processes, found.runs) == (status, "clear", 6, 600)
    assert decided(session(5), budget).why == "few"


def test_an_early_answer_survives_a_fifth() -> None:
    """At 25 % from the p95 an early look answers, at 15 % only the last one."""
    p95 = decided(session(), 1.0).quantile
    assert decided(session(), 1.4 * p95, last=False).status is Status.HELD
    assert decided(session(), 1.15 * p95, last=False).status is Status.UNPROVEN
    assert decided(session(), 1.15 * p95).status is Status.HELD
    assert decided(session(), 1.15 * p95, RATIOS, last=False).status is Status.HELD


def test_few_runs_take_a_wider_margin_for_an_early_answer() -> None:
    """Thirty runs may have missed every slow spell: half as much again is not clear, three times is."""
    short = session(6, 5)
    assert decided(short, 1.7, last=False).status is Status.UNPROVEN
    assert decided(short, 3.0, last=False).status is Status.HELD


@pytest.mark.parametrize("share", [0.96, 1.0, 1.04])
def test_no_answer_is_nearer_than_a_twentieth(share: float) -> None:
    """However steady the runs are."""
    steady = session(spread=0.001)
    found = decided(steady, share * decided(steady, 1.0).quantile)
    assert (found.status, found.why) == (Status.UNPROVEN, "near")


def test_a_machine_that_changed_proves_nothing() -> None:
    """All runs together are within the budget, those of the second half are not."""
    runs = session(spread=0.01)
    halves = [*runs[:20], *(np.concatenate([process[:94], 1.3 * process[94:]]) for process in runs[20:])]
    found = decided(halves, 1.2)
    assert found.over < 0.05
    assert (found.status, found.why) == (Status.UNPROVEN, "halves")
    assert found.halves[0] < 1.2 < found.halves[1]


def test_processes_that_differ_widen_the_interval() -> None:
    """The same share of slow runs: a few in each process prove more than all runs of one process."""
    spread_out = [np.concatenate([process[:97], np.full(3, 2.0)]) for process in session()]
    together = session()
    together[7] = together[19] = together[31] = np.full(100, 2.0)
    one, other = (decided(found, 1.3) for found in (spread_out, together))
    assert one.over == pytest.approx(0.03)
    assert other.over == pytest.approx(0.075)
    assert one.status is Status.HELD
    assert other.status is Status.UNPROVEN
    assert other.margin > 3 * one.margin


def test_a_disturbed_session_needs_more_room_to_be_broken() -> None:
    """10 % over the budget may be the neighbours; 30 % is the model. What is held stays held."""
    p95 = decided(session(), 1.0).quantile
    for over, quiet, disturbed in (
        (1.1, Status.BROKEN, Status.UNPROVEN),
        (1.3, Status.BROKEN, Status.BROKEN),
        (0.9, Status.HELD, Status.HELD),
    ):
        assert decided(session(), p95 / over).status is quiet
        assert decided(session(), p95 / over, DISTURBED_TIMES).status is disturbed


def test_a_session_that_time_ends_is_decided_from_twelve_processes_on() -> None:
    """A limit on time ends it, not what was seen; with less room than at forty."""
    p95 = decided(session(), 1.0).quantile
    assert decided(session(12), 1.2 * p95).status is Status.HELD
    assert decided(session(11), 1.2 * p95).why == "few"


def test_the_bounds_are_where_the_decision_turns() -> None:
    """Between them a budget is unproven; a session of too few processes has bounds only far away or none."""
    low, high = bounds_of_times(session(), quantile=0.95, confidence=0.95)
    assert low is not None
    assert high is not None
    assert decided(session(), low).status is Status.BROKEN
    assert decided(session(), high).status is Status.HELD
    assert decided(session(), 1.002 * low).status is decided(session(), high / 1.002).status is Status.UNPROVEN
    assert bounds_of_times(session(3), quantile=0.95, confidence=0.95) == (None, None)


sessions = st.builds(
    session,
    st.integers(1, PROCESSES),
    st.integers(1, 12),
    spread=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
budgets = st.floats(0.2, 5.0)
margins = st.sampled_from((TIMES, DISTURBED_TIMES, RATIOS))


@settings(max_examples=200, deadline=None)
@given(sessions, budgets, budgets, margins, st.sampled_from((0.5, 0.9, 0.95, 0.99)))
def test_no_budget_is_held_below_a_broken_one(
    processes: list[Runs], one: float, other: float, room: Margins, quantile: float
) -> None:
    """Whatever was measured, a larger budget is never broken where a smaller one is held."""
    small, large = sorted((one, other))
    if decided(processes, small, room, quantile=quantile).status is Status.HELD:
        assert decided(processes, large, room, quantile=quantile).status is not Status.BROKEN


@settings(max_examples=100, deadline=None)
@given(sessions, budgets, st.integers(-8, 8), st.integers(0, 1000))
def test_neither_the_unit_nor_the_order_within_a_process_matters(
    processes: list[Runs], budget: float, power: int, seed: int
) -> None:
    """A power of two keeps every digit."""
    factor, random = 2.0**power, np.random.default_rng(seed)
    before = decided(processes, budget)
    after = decided([factor * random.permutation(runs) for runs in processes], factor * budget)
    assert (before.status, before.why, before.over) == (after.status, after.why, after.over)


@settings(max_examples=100, deadline=None)
@given(sessions, budgets)
def test_a_disturbed_session_breaks_no_more_and_holds_the_same(processes: list[Runs], budget: float) -> None:
    """More room takes answers away and adds none."""
    quiet, disturbed = decided(processes, budget), decided(processes, budget, DISTURBED_TIMES)
    if disturbed.status is Status.BROKEN:
        assert quiet.status is Status.BROKEN
    if quiet.status is Status.HELD:
        assert disturbed.status is Status.HELD
