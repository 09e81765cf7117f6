"""Quantiles of times, as facts of the record."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING

from eyerace_parity.contract.sections import Statistics
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.costs import Series, Timing
from eyerace_parity.measure.kinds.time_quantiles import QUANTILES, compute_time_quantiles
from eyerace_parity.stats.quantiles import quantile_bounds

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract

SOURCE = Provenance(variant="int8")
TIMES = tuple(10 + (number * 37 % 100) / 100 for number in range(100))


def contract(clock: str = "cpu", confidence: float | None = None) -> Contract:
    """As much of a contract as quantiles ask of it."""
    limits = SimpleNamespace(clock=clock, confidence=confidence)
    return SimpleNamespace(  # type: ignore[return-value]
        statistics=Statistics(confidence=0.9), variants={"int8": SimpleNamespace(limits={"latency": limits})}
    )


def test_each_quantile_has_the_bounds_that_decide() -> None:
    """Of both clocks, with the confidence of the variant's clauses."""
    timing = Timing(provenance=SOURCE, threads=1, first_wall_ms=20, runs=Series(wall_ms=TIMES[::-1], cpu_ms=TIMES))
    found = compute_time_quantiles(contract(confidence=0.8), timing, SOURCE)
    assert (found.clock, found.confidence) == ("cpu", 0.8)
    assert [(one.clock, one.quantile) for one in found.quantiles] == [
        (c, q) for c in ("cpu", "wall") for q in QUANTILES
    ]
    median = found.quantiles[0]
    assert (median.series, median.value) == ("int8", 10.49)
    assert (median.low, median.high) == quantile_bounds(TIMES, quantile=0.5, confidence=0.8)


def test_what_was_timed_in_turns_stands_beside_it() -> None:
    """Too few runs leave bounds open; times that are none have no quantiles."""
    few = Series(wall_ms=(1.0, 2.0), cpu_ms=(math.nan, 1.0))
    timing = Timing(provenance=SOURCE, threads=1, first_wall_ms=20, runs=few, versus="fp32", versus_runs=few)
    found = compute_time_quantiles(contract("wall"), timing, SOURCE)
    assert (found.clock, found.confidence) == ("wall", 0.9)
    assert {(one.series, one.clock) for one in found.quantiles} == {("int8", "wall"), ("fp32", "wall")}
    assert all(one.high is None for one in found.quantiles)
