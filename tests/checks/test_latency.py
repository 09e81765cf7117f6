"""Latency: proof or no proof, on the clock that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.latency import LatencyLimits
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.costs import Disturbance
from eyerace_parity.stats.stopping_rules import MAX_SECONDS
from tests.checks.evidence_factory import contract, judge, planned, series, timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.costs import Timing

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
    """90 runs without one over prove a p95 at 95 %, over all looks together."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(90)))
    assert judgement.status is Status.HELD
    assert (judgement.value, judgement.limit, judgement.unit) == (1.0, 2.0, "ms")
    assert "0 of 90 runs over 2 ms prove the budget held with 95 % confidence" in judgement.reason


def test_too_few_runs_are_unproven_and_say_what_settles():
    """One look fewer decides nothing; how to go on depends on what ended the series."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(80), ended="seconds"))
    assert judgement.status is Status.UNPROVEN
    assert judgement.next_step == "10 further runs, none of them over, would prove it held: set max_seconds = 170"
    capped = verdict("p95", {"p95_ms": 2.0, "max_runs": 80}, timing(steady(80), ended="runs"))
    assert capped.next_step.endswith("set max_runs = 110, and max_seconds to match")


def test_a_series_taken_for_other_limits_may_be_too_short():
    """Proven after thirty runs for a median, it proves nothing of a p95: judged again, that is unproven, not wrong."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(30), ended="proven"))
    assert judgement.status is Status.UNPROVEN
    assert "run the gate with these limits" in judgement.next_step


def test_a_rate_near_the_limit_is_projected():
    """Four of a hundred over a p95 budget: many more runs would be needed at that rate; five never settle it."""
    spread = ([1.0] * 24 + [3.0]) * 4
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(spread, ended="runs"))
    assert judgement.status is Status.UNPROVEN
    assert "at the rate seen so far about" in judgement.next_step
    on_it = verdict("p95", {"p95_ms": 2.0}, timing(([1.0] * 19 + [3.0]) * 5, ended="runs"))
    assert "no number of runs would settle it" in on_it.next_step


def test_runs_over_the_budget_prove_it_broken():
    """Twelve of thirty, at the first look; the rest of the series answers other limits."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing([*steady(30, 12), *steady(70)]))
    assert judgement.status is Status.BROKEN
    assert "12 of 30 runs over 2 ms prove the budget broken" in judgement.reason
    assert "proven after 30 of 100 runs; the rest answer other limits" in judgement.details
    assert "smallest budget that these runs would have held: 3 ms" in judgement.details


def test_each_quantile_has_its_budget():
    """The same 300 runs, each thirtieth over: held at p90, broken at p99, and what p50 says of them."""
    times = timing(([1.0] * 29 + [3.0]) * 10)
    assert verdict("p50", {"p50_ms": 2.0}, times).status is Status.HELD
    assert verdict("p90", {"p90_ms": 2.0}, times).status is Status.HELD
    assert verdict("p99", {"p99_ms": 2.0}, times).status is Status.BROKEN


def test_the_median_has_its_own_budget():
    """p50 looks at half of the runs."""
    assert verdict("p50", {"p50_ms": 2.0}, timing(steady(30, 8))).status is Status.HELD
    assert verdict("p50", {"p50_ms": 2.0}, timing(steady(30, 22))).status is Status.BROKEN


def test_cpu_time_decides_unless_the_contract_says_wall():
    """Wall times are over the budget, CPU times within it; both are shown."""
    times = timing(steady(90))
    cpu = verdict("p95", {"p95_ms": 1.5}, times)
    assert cpu.status is Status.HELD
    assert any(line.startswith("wall time of 90 runs") for line in cpu.details)
    wall = verdict("p95", {"p95_ms": 1.5, "clock": "wall"}, times)
    assert (wall.status, wall.value) == (Status.BROKEN, 2.0)


def test_a_higher_confidence_takes_more_runs():
    """90 runs are not enough at 99 %, whether the limits or the contract ask for it."""
    sure = {"statistics": {"confidence": 0.99}}
    assert verdict("p95", {"p95_ms": 2.0, "confidence": 0.99}, timing(steady(90))).status is Status.UNPROVEN
    assert verdict("p95", {"p95_ms": 2.0}, timing(steady(90)), **sure).status is Status.UNPROVEN
    assert verdict("p95", {"p95_ms": 2.0, "confidence": 0.95}, timing(steady(90)), **sure).status is Status.HELD
    assert verdict("p95", {"p95_ms": 2.0, "confidence": 0.99}, timing(steady(140))).status is Status.HELD


BUSY = Disturbance(
    seconds=4.0, cores=2, others=1.9, steal=0.05, throttled=3, thermal=1, slowest_mhz=900, fastest_mhz=3000
)
QUIET = Disturbance(seconds=4.0, cores=2, others=0.01, steal=0.0, throttled=0)


def test_what_disturbed_the_machine_is_told():
    """Other processes, stolen time, throttling; and that nothing did, where that is known."""
    told = "; ".join(verdict("p95", {"p95_ms": 2.0}, timing(steady(90), disturbance=BUSY)).details)
    for what in (
        "kept 1.9 of 2 processors busy",
        "took 5 %",
        "held back in 3 periods",
        "heat 1 time",
        "900 and 3000 MHz",
    ):
        assert what in told
    quiet = verdict("p95", {"p95_ms": 2.0}, timing(steady(90), disturbance=QUIET)).details
    assert "not disturbed: other processes kept 0.01 of 2 processors busy, on average" in quiet
    assert not any("disturbed" in line for line in verdict("p95", {"p95_ms": 2.0}, timing(steady(90))).details)


def test_wall_time_on_a_disturbed_machine_breaks_nothing():
    """Wall times over the budget are no proof there, unless CPU time alone breaks it; CPU time is not excused."""
    limits = {"p95_ms": 1.5, "clock": "wall"}
    times = timing(steady(90))  # CPU 1 ms, wall 2 ms
    assert verdict("p95", limits, times.model_copy(update={"disturbance": QUIET})).status is Status.BROKEN
    doubtful = verdict("p95", limits, times.model_copy(update={"disturbance": BUSY}))
    assert doubtful.status is Status.UNPROVEN
    assert "the machine was disturbed" in doubtful.reason
    assert 'clock = "cpu"' in doubtful.next_step
    certain = times.model_copy(update={"disturbance": BUSY})
    assert verdict("p95", limits | {"p95_ms": 0.5}, certain).status is Status.BROKEN
    assert verdict("p95", {"p95_ms": 0.5}, certain).status is Status.BROKEN
    assert verdict("p95", limits | {"p95_ms": 5.0}, certain).status is Status.HELD


def test_a_ratio_of_wall_times_on_a_disturbed_machine_is_in_doubt_too():
    """In turns or not: other processes may have met one of both more often."""
    limits = {"latency_ratio": {"versus": "fp32", "at_most": 1.1}, "clock": "wall"}
    slow = timing(steady(30), versus="fp32", versus_runs=series(steady(30), steady(30)))  # wall 2 : 1, CPU 1 : 1
    assert verdict("latency_ratio", limits, slow).status is Status.BROKEN
    disturbed = slow.model_copy(update={"disturbance": BUSY})
    assert verdict("latency_ratio", limits, disturbed).status is Status.UNPROVEN
    both = disturbed.model_copy(update={"versus_runs": series([0.5] * 30)})
    assert verdict("latency_ratio", limits, both).status is Status.BROKEN


def test_the_measurement_hears_all_that_is_asked():
    """Each budget is a question; in turns with another variant the ratio is one too; of a third nothing is asked."""
    stated = {"p50_ms": 1.0, "p99_ms": 2.0, "preprocess_p95_ms": 3.0, "confidence": 0.9, "max_runs": 500}
    limits = LatencyLimits(**stated, latency_ratio={"versus": "fp32", "at_most": 1.1})
    alone, beside = limits.asked_of_times("", 0.95), limits.asked_of_times("fp32", 0.95)
    assert alone is not None
    assert beside is not None
    assert [(question.part, question.quantile) for question in alone.questions] == [
        ("inference", 0.5),
        ("inference", 0.99),
        ("preprocessing", 0.95),
    ]
    assert {question.confidence for question in alone.questions} == {0.9}
    assert (alone.max_runs, alone.max_seconds) == (500, MAX_SECONDS)
    assert [question.budget for question in beside.of("ratio")] == [1.1]
    assert limits.asked_of_times("int8@v1", 0.95) is None


def test_the_ratio_is_of_runs_side_by_side():
    """A machine that slows down in the middle slows both; their ratio stays."""
    ours = [1.0] * 15 + [10.0] * 15
    theirs = [2.0] * 15 + [20.0] * 15
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
    times = timing(steady(90), first_wall_ms=500.0)
    assert verdict("p95", {"p95_ms": 2.0}, times).status is Status.HELD
    judgement = verdict("first_run", {"first_run_ms": 100.0}, times)
    assert (judgement.status, judgement.value) == (Status.BROKEN, 500.0)
    assert verdict("first_run", {"first_run_ms": 600.0}, times).status is Status.HELD
    torn = timing(steady(90), first_wall_ms=float("nan"))
    assert verdict("first_run", {"first_run_ms": 600.0}, torn).status is Status.ERROR


def test_what_stands_before_and_behind_has_its_budget():
    """Preprocessing and postprocessing are judged on their own series."""
    times = timing(steady(5), preprocess=series(steady(90)), postprocess=series([5.0] * 90))
    limits = {"preprocess_p95_ms": 2.0, "postprocess_p95_ms": 2.0}
    assert verdict("preprocess_p95", limits, times, **IMAGES).status is Status.HELD
    assert verdict("postprocess_p95", limits, times, **IMAGES).status is Status.BROKEN
    assert verdict("preprocess_p95", limits, timing(steady(90)), **IMAGES).status is Status.ERROR


def test_other_threads_than_the_contracts_are_told():
    """Times taken with two threads do not speak of a session with one."""
    judgement = verdict("p95", {"p95_ms": 2.0}, timing(steady(90), threads=2, load_average=1.5))
    assert any("although the contract says 1" in line for line in judgement.details)
    assert "load average of the machine when it began: 1.5" in judgement.details
