"""Whether a quantile stays within a budget, decided on counts alone: no distribution is assumed.

With X the time of a run, the q-quantile is within the budget exactly when P(X > budget) ≤ 1 - q. How many of n runs
are over the budget is binomial, so the order statistics decide exactly (Clopper & Pearson, Biometrika 26, 1934;
Conover, *Practical Nonparametric Statistics*, "confidence interval for a quantile").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parity.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEARCH_END = 10_000_000


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
    """

    status: Status
    quantile: float
    bound: float | None
    over: int
    runs: int
    further: int = 0


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
    shown = ranked[max(math.ceil(quantile * runs - 1e-9), 1) - 1]
    bound = ranked[runs - allowed - 1] if allowed is not None else None
    if allowed is not None and over <= allowed:
        return QuantileDecision(Status.HELD, shown, bound, over, runs)
    if _at_most(binomial_tail(over, runs, chance), risk):
        return QuantileDecision(Status.BROKEN, shown, bound, over, runs)
    further = least_runs(over, quantile=quantile, confidence=confidence) - runs
    return QuantileDecision(Status.UNPROVEN, shown, bound, over, runs, further)


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
