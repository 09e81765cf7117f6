"""Distribution-free decisions whether a quantile stays within a budget.

Let X be the time of a run. The q-quantile is within the budget exactly if P(X > budget) ≤ 1 - q. If runs are
independent, the number of runs over the budget is binomial, so order statistics decide exactly (Clopper & Pearson,
Biometrika 26, 1934; Conover, *Practical Nonparametric Statistics*, "confidence interval for a quantile").
:func:`decide_quantile` decides for a number of runs fixed in advance, :func:`decide_in_looks` for a growing series.

Consecutive runs are not independent on a real machine: the lag-1 autocorrelation of log CPU time is 0.2 to 0.7
(measured). Near the limit the error is then larger than stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.core.result import Status
from eyerace_parity.stats.sequential import boundaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.stats.sequential import Boundaries

_SEARCH_END = 10_000_000  # largest number of runs that a search returns
_FARTHEST = 20_000  # largest number of runs for which boundaries are computed to project a series


def binomial_cdf(successes: int, trials: int, chance: float) -> float:
    """Return the binomial P(X ≤ ``successes``), summed term by term. Avoids the import time of scipy."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return min(1.0, math.fsum(_binomial_term(k, trials, chance) for k in range(successes + 1)))


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """Return the binomial P(X ≥ ``successes``). Summed directly, so that small probabilities keep their precision."""
    if successes <= 0:
        return 1.0
    return min(1.0, math.fsum(_binomial_term(k, trials, chance) for k in range(successes, trials + 1)))


def _binomial_term(successes: int, trials: int, chance: float) -> float:
    if chance <= 0 or chance >= 1:
        return float(successes == (trials if chance >= 1 else 0))
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return math.exp(ways + successes * math.log(chance) + (trials - successes) * math.log1p(-chance))


@dataclass(frozen=True, slots=True)
class QuantileDecision:
    """The decision about a quantile.

    Attributes:
        status: ``held``, ``broken`` or ``unproven``.
        quantile: The sample quantile, an order statistic.
        bound: The tightest budget that these runs prove; ``None`` if there are too few runs.
        over: Runs above the budget.
        runs: All runs.
        further: For ``unproven``: number of further runs that prove ``held`` if none of them is over the budget.
        looked: Runs at the look that decided; all runs if none did.
        projected: For ``unproven``: number of further runs that decide if the share over the budget stays the same;
            ``None`` if they never do, or only beyond the projection.
    """

    status: Status
    quantile: float
    bound: float | None
    over: int
    runs: int
    further: int = 0
    looked: int = 0
    projected: int | None = None


def decide_quantile(values: Sequence[float], budget: float, *, quantile: float, confidence: float) -> QuantileDecision:
    """Decide whether a quantile stays within a budget.

    Args:
        values: One finite number per run, at least one. The order does not matter; no run may be dropped.
        budget: Upper limit of the quantile, in the unit of the values.
        quantile: The quantile, between 0 and 1.
        confidence: Confidence of ``held`` and of ``broken``, between 0 and 1. It is valid for one look at a number of
            runs fixed in advance.

    Returns:
        The decision. It is monotone in the budget: a larger budget never makes it worse.
    """
    ranked = sorted(values)
    runs, chance, risk = len(ranked), 1.0 - quantile, 1.0 - confidence
    over = sum(value > budget for value in ranked)
    allowed = most_over(runs, quantile=quantile, confidence=confidence)
    shown = quantile_of(ranked, quantile)
    bound = ranked[runs - allowed - 1] if allowed is not None else None
    if allowed is not None and over <= allowed:
        return QuantileDecision(Status.HELD, shown, bound, over, runs, looked=runs)
    if _at_most(binomial_tail(over, runs, chance), risk):
        return QuantileDecision(Status.BROKEN, shown, bound, over, runs, looked=runs)
    further = least_runs(over, quantile=quantile, confidence=confidence) - runs
    return QuantileDecision(Status.UNPROVEN, shown, bound, over, runs, further, looked=runs)


def decide_in_looks(
    values: Sequence[float] | NDArray[np.float64], budget: float, *, quantile: float, confidence: float
) -> QuantileDecision:
    """Decide whether a quantile stays within a budget, by sequential looks at a series.

    The first look with a proof decides (:mod:`eyerace_parity.stats.sequential`). Later runs, taken for another
    question, do not change the decision. The series may stop at any look, for any reason.

    Args:
        values: One finite number per run, in order of measurement, at least one; no run may be dropped.
        budget: Upper limit of the quantile, in the unit of the values.
        quantile: The quantile, between 0 and 1.
        confidence: Confidence of ``held`` and of ``broken`` over all looks together, at least 0.5.

    Returns:
        The decision. Its ``quantile`` and ``over`` describe the runs up to the look that decided. It is monotone in the
        budget: a larger budget never makes it worse.
    """
    series = np.asarray(values, np.float64)
    edges = boundaries(*_edge(quantile, confidence)).until(len(series))
    number, status = _first_crossing(series, budget, edges)
    looked = len(series) if number is None else edges.looks[number]
    over = int((series[:looked] > budget).sum())
    shown = quantile_of(np.sort(series[:looked]), quantile)
    bound = _tightest(series, edges)
    if status is not Status.UNPROVEN:
        return QuantileDecision(status, shown, bound, over, len(series), looked=looked)
    further = next((look for look, most in _ahead(edges, looked) if most >= over), _SEARCH_END) - looked
    projected = _projected(over / looked, looked, edges)
    return QuantileDecision(status, shown, bound, over, len(series), further, looked, projected)


def quantile_bounds(
    values: Sequence[float] | NDArray[np.float64], *, quantile: float, confidence: float
) -> tuple[float | None, float | None]:
    """Return one-sided bounds of a quantile, by :func:`decide_in_looks`. Between them a budget is ``unproven``.

    Args:
        values: One finite number per run, in order of measurement, at least one.
        quantile: The quantile, between 0 and 1.
        confidence: Confidence of each bound alone.

    Returns:
        Lower and upper bound, in the unit of the values; ``None`` for a bound that needs more runs.
    """
    series = np.asarray(values, np.float64)
    edges = boundaries(*_edge(quantile, confidence)).until(len(series))
    return _reached(series, edges), _tightest(series, edges)


def quantile_of(ranked: Sequence[float] | NDArray[np.float64], quantile: float) -> float:
    """Return the sample quantile: the order statistic of rank ⌈q·n⌉.

    Args:
        ranked: The numbers, ascending, at least one.
        quantile: The quantile, between 0 and 1.
    """
    return float(ranked[max(math.ceil(quantile * len(ranked) - 1e-9), 1) - 1])


def _edge(quantile: float, confidence: float) -> tuple[float, float]:
    """Return the allowed share of runs over the budget, and the error. Rounded, because subtraction leaves an error."""
    return round(1.0 - quantile, 12), round(1.0 - confidence, 12)


def _first_crossing(series: NDArray[np.float64], budget: float, edges: Boundaries) -> tuple[int | None, Status]:
    """Return the index of the look that decides, or ``None``, and the status."""
    summed = np.cumsum(series > budget)
    for number, look in enumerate(edges.looks):
        if look > len(series):
            break
        if summed[look - 1] <= edges.held[number]:
            return number, Status.HELD
        if summed[look - 1] >= edges.broken[number]:
            return number, Status.BROKEN
    return None, Status.UNPROVEN


def _tightest(series: NDArray[np.float64], edges: Boundaries) -> float | None:
    """Return the smallest budget that the series proves. Bisection works, as the decision is monotone in the budget."""
    ranked = np.unique(series)
    low, high = 0, len(ranked) - 1
    if _first_crossing(series, ranked[high], edges)[1] is not Status.HELD:
        return None
    while low < high:
        middle = (low + high) // 2
        if _first_crossing(series, ranked[middle], edges)[1] is Status.HELD:
            high = middle
        else:
            low = middle + 1
    return float(ranked[high])


def _reached(series: NDArray[np.float64], edges: Boundaries) -> float | None:
    """Return the largest number below which every budget is proven broken, by bisection; ``None`` without one."""
    ranked = np.unique(series)

    def broken(number: float) -> bool:
        return _first_crossing(series, np.nextafter(number, -np.inf), edges)[1] is Status.BROKEN

    low, high = 0, len(ranked) - 1
    if not broken(ranked[low]):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if broken(ranked[middle]):
            low = middle
        else:
            high = middle - 1
    return float(ranked[low])


def _ahead(edges: Boundaries, runs: int) -> Iterator[tuple[int, int]]:
    """Return the looks after ``runs``, each with the most runs over the budget that prove ``held``."""
    edges.until(_FARTHEST)
    return ((look, most) for look, most in zip(edges.looks, edges.held, strict=True) if look > runs)


def _projected(rate: float, runs: int, edges: Boundaries) -> int | None:
    """Return the further runs after which a series with this share over the budget crosses a boundary."""
    edges.until(_FARTHEST)
    for look, most, fewest in zip(edges.looks, edges.held, edges.broken, strict=True):
        if look > runs and not most < rate * look < fewest:
            return look - runs
    return None


def most_over(runs: int, *, quantile: float, confidence: float) -> int | None:
    """Return the most runs over the budget that still prove the quantile within it; ``None`` if zero do not."""
    chance, risk = 1.0 - quantile, 1.0 - confidence
    total, allowed = 0.0, None
    for over in range(runs):
        total += _binomial_term(over, runs, chance)
        if not _at_most(total, risk):
            break
        allowed = over
    return allowed


def least_runs(over: int, *, quantile: float, confidence: float) -> int:
    """Return the fewest runs that prove the quantile within the budget with ``over`` of them over it."""
    chance, risk = 1.0 - quantile, 1.0 - confidence
    low, high = over, max(2 * over, 1)
    while not _at_most(binomial_cdf(over, high, chance), risk):
        low, high = high, 2 * high
        if high > _SEARCH_END:
            return _SEARCH_END
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most(binomial_cdf(over, middle, chance), risk):
            high = middle
        else:
            low = middle
    return high


def _at_most(probability: float, risk: float) -> bool:
    # ``1 - confidence`` has a rounding error. A probability that equals the risk in exact arithmetic must count.
    return probability <= risk * (1.0 + 1e-9)
