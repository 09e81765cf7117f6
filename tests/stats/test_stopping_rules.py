"""The stopping rules: a measurement goes on as long as the most demanding of its limits wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.stats import stopping_rules
from eyerace_parity.stats.stopping_rules import StoppingRule, StoppingRules, asked_of, runs_of_soak
from tests.laboratories import change

if TYPE_CHECKING:
    from pathlib import Path

MEDIAN = StoppingRule("inference", 2.0, 0.5, "cpu", 0.95)
P95 = StoppingRule("inference", 4.0, 0.95, "cpu", 0.95)
RATIO = StoppingRule("ratio", 1.3, 0.5, "cpu", 0.95)


@dataclass(frozen=True)
class Times:
    """Limits of a check that asks for times."""

    asked: StoppingRules | None

    def asked_of_times(self, versus: str, confidence: float) -> StoppingRules | None:
        """What it asks, of the variant alone and at the contract's confidence."""
        assert confidence == 0.9
        return None if versus else self.asked


@dataclass(frozen=True)
class Soaked:
    """Limits of a check that asks for many runs."""

    runs: int | None

    def soak_runs(self) -> int | None:
        """How many."""
        return self.runs


def test_the_longest_series_that_any_limit_allows_is_taken() -> None:
    """Runs and seconds are each the most; what one check allows is not cut by what another would do with."""
    few, many = StoppingRules((MEDIAN,), 100, 30.0), StoppingRules((P95, RATIO), 500, 20.0)
    for limits in ({"a": Times(few), "b": Times(many)}, {"a": Times(many), "b": Times(few)}):
        found = asked_of(limits.values(), "", 0.9)
        assert (found.max_runs, found.max_seconds) == (500, 30.0)
        assert set(found.questions) == {MEDIAN, P95, RATIO}


def test_one_question_of_two_checks_is_asked_once() -> None:
    """In the order in which they were asked."""
    found = asked_of([Times(StoppingRules((P95, MEDIAN))), Times(StoppingRules((MEDIAN, RATIO)))], "", 0.9)
    assert found.questions == (P95, MEDIAN, RATIO)
    assert found.of("ratio") == (RATIO,)
    assert found.of("inference", "ratio") == (P95, MEDIAN, RATIO)
    assert found.of("postprocessing") == ()


def test_a_check_that_asks_nothing_allows_nothing() -> None:
    """Its own numbers are not even looked at; where nobody asks, the defaults stand."""
    short = StoppingRules((MEDIAN,), 10, 1.0)
    assert asked_of([Times(None), Times(short), object()], "", 0.9) == short
    nobody = asked_of([Times(short)], "fp32", 0.9)
    assert (nobody.questions, nobody.max_runs, nobody.max_seconds) == (
        (),
        stopping_rules.MAX_RUNS,
        stopping_rules.MAX_SECONDS,
    )


def test_the_longest_soak_that_any_limit_asks_is_run() -> None:
    """A check that asks for none does not shorten it."""
    assert runs_of_soak([Soaked(300), Soaked(None), Soaked(700), Soaked(500), object()]) == 700
    assert runs_of_soak([Soaked(50)]) == 50
    assert runs_of_soak([Soaked(None)]) == stopping_rules.SOAK_RUNS


@pytest.mark.parametrize(
    ("values", "settled"),
    [([1.0] * 90, True), ([1.0] * 80, False), ([9.0] * 30, True), (([1.0] * 19 + [9.0]) * 5, False)],
    ids=["held", "too few", "broken", "on its limit"],
)
def test_a_question_is_settled_by_a_proof_of_either_answer(values: list[float], settled: bool) -> None:  # noqa: FBT001
    """No proof, no end."""
    assert P95.settled(values) is settled


def test_the_checks_of_the_package_ask_for_what_their_limits_say(image_bundle: Path) -> None:
    """Times and their ratio, at the contract's confidence; and many runs for a leak."""
    limits = (
        "[variants.int8.limits.latency]\np95_ms = 50.0\nmax_runs = 321\nmax_seconds = 9.0\n"
        'latency_ratio = { versus = "fp32", at_most = 1.5 }\n'
        "[variants.int8.limits.memory]\nmemory_leak = 1000\nleak_runs = 432\n"
    )
    change(image_bundle, "[variants.int8.limits.size]", limits + "[variants.int8.limits.size]")
    contract = open_contract(image_bundle / "contract.toml")
    int8, fp32 = (contract.variants[name].limits.values() for name in ("int8", "fp32"))
    confidence = contract.statistics.confidence
    alone, beside = (asked_of(int8, versus, confidence) for versus in ("", "fp32"))
    assert (alone.max_runs, alone.max_seconds) == (beside.max_runs, beside.max_seconds) == (321, 9.0)
    assert [(one.part, one.budget, one.confidence) for one in alone.questions] == [("inference", 50.0, 0.5)]
    assert [(one.part, one.budget) for one in beside.of("ratio")] == [("ratio", 1.5)]
    assert asked_of(fp32, "", confidence) == StoppingRules()
    assert runs_of_soak(int8) == 432
    assert runs_of_soak(fp32) == stopping_rules.SOAK_RUNS
