"""Whether a quantile stays within a budget, decided on counts alone: no distribution is assumed.

With X the time of a run, the q-quantile is within the budget exactly when P(X > budget) ≤ 1 - q. How many of n runs
are over the budget is binomial, so the order statistics decide exactly (Clopper & Pearson, Biometrika 26, 1934;
Conover, *Practical Nonparametric Statistics*, "confidence interval for a quantile"). :func:`decide_quantile` does so
for a number of runs fixed beforehand, :func:`decide_in_looks` for a series that grows until it proves something.
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

_SEARCH_END = 10_000_000
_FARTHEST = 20_000  # runs that are still projected


def binomial_cdf(successes: int, trials: int, chance: float) -> float:
    """P(at most ``successes`` of ``trials``), summed term by term; exact to rounding without scipy's import time."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return min(1.0, math.fsum(_binomial_term(k, trials, chance) for k in range(successes + 1)))


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(at least ``successes`` of ``trials``), summed from its own side so that small chances stay exact."""
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
    """What the runs prove about a quantile.

    Attributes:
        status: ``held``, ``broken`` or ``unproven``.
        quantile: The quantile of the runs themselves, an order statistic.
        bound: The tightest budget that these runs would prove held; ``None`` where there are too few runs for any.
        over: Runs above the budget.
        runs: All runs.
        further: For ``unproven``: how many further runs, none of them over, would prove it held.
        looked: Runs after which it was decided; all of them where nothing was.
        projected: For ``unproven``: how many further runs would prove it held or broken if as many of them were over
            as so far; ``None`` where that is nothing or more than can be projected.
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
        values: One number a run, at least one, all finite; the order does not matter and none may have been dropped.
        budget: What the quantile must not exceed, in the unit of the values.
        quantile: Which one, between 0 and 1.
        confidence: Of either proof, between 0 and 1. It holds for one look at a number of runs fixed beforehand.

    Returns:
        The decision. A larger budget never makes it worse.
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
    """Decide whether a quantile stays within a budget, from a series that was looked at again and again.

    The first look at which either is proven decides (:mod:`eyerace_parity.stats.sequential`); what came later, because
    another question was still open, changes nothing. A series that stopped at any look, for whatever reason, is judged
    soundly.

    Args:
        values: One number a run, in the order they were taken, at least one, all finite, none dropped.
        budget: What the quantile must not exceed, in the unit of the values.
        quantile: Which one, between 0 and 1.
        confidence: Of either proof over all looks together, at least a half.

    Returns:
        The decision; its ``quantile`` and ``over`` speak of all runs up to the look that decided. A larger budget never
        makes it worse.
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
    """Between which budgets a series leaves it open whether the quantile stays within, by :func:`decide_in_looks`.

    Args:
        values: One number a run, in the order they were taken, at least one.
        quantile: Which one, between 0 and 1.
        confidence: Of either bound alone.

    Returns:
        The number that the quantile is proven to reach, and the one that it is proven not to exceed; ``None`` where
        there are too few runs for one.
    """
    series = np.asarray(values, np.float64)
    edges = boundaries(*_edge(quantile, confidence)).until(len(series))
    return _reached(series, edges), _tightest(series, edges)


def quantile_of(ranked: Sequence[float] | NDArray[np.float64], quantile: float) -> float:
    """The quantile of some numbers themselves, the order statistic of rank ⌈q·n⌉.

    Args:
        ranked: The numbers, ascending, at least one.
        quantile: Which one, between 0 and 1.
    """
    return float(ranked[max(math.ceil(quantile * len(ranked) - 1e-9), 1) - 1])


def _edge(quantile: float, confidence: float) -> tuple[float, float]:
    """The share of runs that may be over, and the error; without the dust that subtraction leaves."""
    return round(1.0 - quantile, 12), round(1.0 - confidence, 12)


def _first_crossing(series: NDArray[np.float64], budget: float, edges: Boundaries) -> tuple[int | None, Status]:
    """The look that decides, by its number, and what it decides."""
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
    """The smallest budget that the series proves held: found by halving, for the decision is monotone in the budget."""
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
    """The largest number below which every budget is proven broken, found in the same way."""
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
    """Looks that are still to come, with the most over the budget that prove it held."""
    edges.until(_FARTHEST)
    return ((look, most) for look, most in zip(edges.looks, edges.held, strict=True) if look > runs)


def _projected(rate: float, runs: int, edges: Boundaries) -> int | None:
    """Further runs after which a series that goes on at this rate crosses one of the boundaries."""
    edges.until(_FARTHEST)
    for look, most, fewest in zip(edges.looks, edges.held, edges.broken, strict=True):
        if look > runs and not most < rate * look < fewest:
            return look - runs
    return None


def most_over(runs: int, *, quantile: float, confidence: float) -> int | None:
    """The most runs over the budget that still prove the quantile within it; ``None`` if even zero do not."""
    chance, risk = 1.0 - quantile, 1.0 - confidence
    total, allowed = 0.0, None
    for over in range(runs):
        total += _binomial_term(over, runs, chance)
        if not _at_most(total, risk):
            break
        allowed = over
    return allowed


def least_runs(over: int, *, quantile: float, confidence: float) -> int:
    """The fewest runs that prove the quantile within the budget although ``over`` of them are above it."""
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
    # ``1 - confidence`` carries a rounding error; a probability equal to the risk in exact numbers must count.
    return probability <= risk * (1.0 + 1e-9)
