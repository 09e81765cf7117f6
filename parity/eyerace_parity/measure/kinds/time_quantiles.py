"""Computes quantiles of times, with confidence bounds, from a timing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.evidence.quality import TimeQuantile, TimeQuantiles
from eyerace_parity.measure.measurer import Derivation
from eyerace_parity.stats.quantiles import quantile_bounds, quantile_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Provenance
    from eyerace_parity.measure.measurer import Columns

    Clock = Literal["cpu", "wall"]

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)


def clock_of(contract: Contract, variant: str) -> tuple[Clock, float]:
    """The clock that decides for a variant, and the confidence of its proofs."""
    limits = contract.variants[variant].limits.get("latency")
    clock: Clock = getattr(limits, "clock", "cpu")
    return clock, getattr(limits, "confidence", None) or contract.statistics.confidence


def compute_time_quantiles(contract: Contract, timing: Timing, source: Provenance) -> TimeQuantiles:
    """Quantiles of a variant's times, and of the variant that it was interleaved with.

    Args:
        contract: Says which clock decides, and how sure a bound must be.
        timing: The variant's times.
        source: Provenance of the evidence; names the variant.
    """
    variant = source.variant
    clock, confidence = clock_of(contract, variant)
    series = [(variant, timing.runs)]
    if timing.versus_runs is not None:
        series.append((timing.versus, timing.versus_runs))
    found = [
        quantile
        for name, runs in series
        for which, times in _clocks(runs.cpu_ms, runs.wall_ms)
        for quantile in _quantiles(name, which, times, confidence)
    ]
    return TimeQuantiles(provenance=source, clock=clock, confidence=confidence, quantiles=tuple(found))


def _clocks(cpu: Sequence[float], wall: Sequence[float]) -> Iterator[tuple[Clock, Sequence[float]]]:
    """Yield the clocks that the system supports; it may not count CPU time."""
    clocks: tuple[tuple[Clock, Sequence[float]], ...] = (("cpu", cpu), ("wall", wall))
    yield from ((which, times) for which, times in clocks if times and all(map(math.isfinite, times)))


def _quantiles(name: str, clock: Clock, times: Sequence[float], confidence: float) -> Iterator[TimeQuantile]:
    ranked = sorted(times)
    for share in QUANTILES:
        low, high = quantile_bounds(times, quantile=share, confidence=confidence)
        yield TimeQuantile(
            series=name, clock=clock, quantile=share, value=quantile_of(ranked, share), low=low, high=high
        )


def _on_clock(contract: Contract, need: Need[TimeQuantiles], _columns: Columns) -> dict[str, str]:
    clock, confidence = clock_of(contract, need.variant)
    return {"clock": clock, "confidence": str(confidence)}


TIME_QUANTILES: Final = Derivation(
    lambda need: (Need(Timing, need.variant, need.target, need.versus),), compute_time_quantiles, _on_clock
)
