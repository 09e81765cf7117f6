"""Latency: proof or no proof, on the clock that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from parity.result import Status
from tests.checks.evidence_factory import contract, judge, planned, series, timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parity.evidence.model import Timing
    from parity.result import Judgement

IMAGES = {
    "golden": {"kind": "images"},
    "preprocess": {"default": {"resize": {"width": 8, "height": 8}}},
}


def verdict(clause: str, limits: Mapping[str, Any], times: Timing, **fields: Any) -> Judgement:
    """Judge int8; where a ratio is asked it is to fp32."""
    return judge(contract({"int8": {"latency": limits}}, **fields), "int8", clause, times)


def steady(number: int, over: int = 0) -> list[float]:
    """CPU times of 1 ms with some of 3 ms; wall times are twice as long."""
    return [1.0] * (number - over) + [3.0] * over


def test_enough_runs_prove_the_budget_held():
    """59 runs without one over prove a p95 at 95 %."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(59)))
    assert judgement.status is Status.HELD
    assert (judgement.value, judgement.limit, judgement.unit) == (1.0, 2.0, "ms")
    assert "0 of 59 runs over 2 ms prove the budget held with 95 % confidence" in judgement.reason


def test_too_few_runs_are_unproven_and_say_what_settles():
    """One run fewer decides nothing."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(58)))
    assert judgement.status is Status.UNPROVEN
    assert judgement.next_step == "1 further run, none of them over, would prove it held"


def test_a_rate_near_the_limit_is_projected():
    """Four of a hundred over a p95 budget: many more runs would be needed at that rate."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(100, 4)))
    assert judgement.status is Status.UNPROVEN
    assert "at the rate seen so far about" in judgement.next_step


def test_runs_over_the_budget_prove_it_broken():
    """Twelve of a hundred."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(100, 12)))
    assert judgement.status is Status.BROKEN
    assert "12 of 100 runs over 2 ms prove the budget broken" in judgement.reason
    assert "smallest budget that these runs would have held: 3 ms" in judgement.details


def test_the_median_has_its_own_budget():
    """p50 looks at half of the runs."""
    assert verdict("p50", {"p50_ms": 2.0}, timing(steady(30, 8))).status is Status.HELD
    assert verdict("p50", {"p50_ms": 2.0}, timing(steady(30, 22))).status is Status.BROKEN


def test_cpu_time_decides_unless_the_contract_says_wall():
    """Wall times are over the budget, CPU times within it; both are shown."""
    times = timing(steady(60))
    cpu = verdict("p95", {"p95_ms": 1.5}, times)
    assert cpu.status is Status.HELD
    assert any(line.startswith("wall time of 60 runs") for line in cpu.details)
    wall = verdict("p95", {"p95_ms": 1.5, "clock": "wall"}, times)
    assert (wall.status, wall.value) == (Status.BROKEN, 2.0)


def test_a_higher_confidence_takes_more_runs():
    """59 runs are not enough at 99 %."""
    assert verdict("p95", {"p95_ms": 2.0, "confidence": 0.99}, timing(steady(59))).status is Status.UNPROVEN
    assert verdict("p95", {"p95_ms": 2.0, "confidence": 0.99}, timing(steady(90))).status is Status.HELD


def test_the_ratio_is_of_runs_side_by_side():
    """A machine that slows down in the middle slows both; their ratio stays."""
    ours = [1.0] * 10 + [10.0] * 10
    theirs = [2.0] * 10 + [20.0] * 10
    limits = {"latency_ratio": {"versus": "fp32", "at_most": 0.6}}
    judgement = verdict("latency_ratio", limits, timing(ours, versus="fp32", versus_runs=series(theirs)))
    assert (judgement.status, judgement.value, judgement.unit) == (Status.HELD, 0.5, "of fp32")
    slower = verdict("latency_ratio", limits, timing(theirs, versus="fp32", versus_runs=series(ours)))
    assert (slower.status, slower.value) == (Status.BROKEN, 2.0)


def test_one_measurement_serves_all_clauses():
    """Where a ratio is asked, the budgets read the same interleaved times."""
    limits = {"p95_ms": 2.0, "latency_ratio": {"versus": "fp32", "at_most": 1.0}}
    read = contract({"int8": {"latency": limits}})
    needs = [planned(read, "int8", clause).needs for clause in ("p95", "latency_ratio")]
    assert needs[0] == needs[1]
    assert needs[0][0].versus == "fp32"


@pytest.mark.parametrize(
    "times",
    [
        timing([]),
        timing([float("nan")] * 60),
        timing([1.0] * 60).model_copy(update={"runs": series([1.0] * 60, [2.0] * 59)}),
        timing([0.0] * 60),
        timing([-1.0] * 60),
    ],
    ids=["none", "nan", "torn", "coarse", "negative"],
)
def test_no_usable_times_are_an_error(times):
    """An empty, torn or meaningless series proves nothing."""
    assert verdict("p95", {"p95_ms": 2.0}, times).status is Status.ERROR


@pytest.mark.parametrize(
    "fields",
    [
        {"versus": "fp32"},
        {"versus": "torch", "versus_runs": series([1.0] * 20)},
        {"versus": "fp32", "versus_runs": series([1.0] * 19)},
        {"versus": "fp32", "versus_runs": series([0.0] * 20)},
    ],
    ids=["none", "another", "fewer", "coarse"],
)
def test_a_ratio_to_nothing_is_an_error(fields):
    """Without the other variant's runs, one for one, there is no ratio."""
    limits = {"latency_ratio": {"versus": "fp32", "at_most": 9.0}}
    assert verdict("latency_ratio", limits, timing([1.0] * 20, **fields)).status is Status.ERROR


def test_the_first_run_stands_apart():
    """It has its own budget, in wall time, and is no part of the p95."""
    times = timing(steady(60), first_wall_ms=500.0)
    assert verdict("p95", {"p95_ms": 2.0}, times).status is Status.HELD
    judgement = verdict("first_run", {"first_run_ms": 100.0}, times)
    assert (judgement.status, judgement.value) == (Status.BROKEN, 500.0)
    assert verdict("first_run", {"first_run_ms": 600.0}, times).status is Status.HELD
    torn = timing(steady(60), first_wall_ms=float("nan"))
    assert verdict("first_run", {"first_run_ms": 600.0}, torn).status is Status.ERROR


def test_what_stands_before_and_behind_has_its_budget():
    """Preprocessing and postprocessing are judged on their own series."""
    times = timing(steady(5), preprocess=series(steady(60)), postprocess=series([5.0] * 60))
    limits = {"preprocess_p95_ms": 2.0, "postprocess_p95_ms": 2.0}
    assert verdict("preprocess_p95", limits, times, **IMAGES).status is Status.HELD
    assert verdict("postprocess_p95", limits, times, **IMAGES).status is Status.BROKEN
    assert verdict("preprocess_p95", limits, timing(steady(60)), **IMAGES).status is Status.ERROR


def test_other_threads_than_the_contracts_are_told():
    """Times taken with two threads do not speak of a session with one."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(60), threads=2, load_average=1.5))
    assert any("although the contract says 1" in line for line in judgement.details)
    assert "load average of the machine when it began: 1.5" in judgement.details
