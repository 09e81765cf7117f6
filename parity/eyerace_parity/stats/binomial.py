"""Exact bounds of a share, from the binomial distribution (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS: Final = 50
"""Steps of the bisection: 2^-50 is about 1e-15, the rounding of a share."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """One-sided confidence bounds.

    Attributes:
        lower: Lower bound, at its own confidence.
        upper: Upper bound, at its own confidence.
    """

    lower: float
    upper: float

    def map(self, change: Callable[[float], float]) -> Bounds:
        """Apply an increasing function to both bounds."""
        return Bounds(change(self.lower), change(self.upper))

    @property
    def turned(self) -> Bounds:
        """Bounds of the negative number."""
        return Bounds(-self.upper, -self.lower)


def share_bounds(successes: int, trials: int, *, below: float, above: float) -> Bounds:
    """Bound the share of which ``successes`` of ``trials`` independent trials are a sample.

    Args:
        successes: Between 0 and ``trials``.
        trials: Number of trials; without one, nothing is known.
        below: Error probability of the lower bound.
        above: Error probability of the upper bound.
    """
    # A lower bound of successes is an upper bound of failures.
    return Bounds(
        1.0 - share_at_most(trials - successes, trials, below),
        share_at_most(successes, trials, above),
    )


def share_at_most(successes: int, trials: int, chance: float) -> float:
    """Return the upper Clopper-Pearson bound of a share at this error probability.

    It is the share at which so few successes have this probability.
    """
    if successes >= trials:
        return 1.0
    counts = np.arange(successes + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    ways = factorials[trials] - factorials[counts] - factorials[trials - counts]
    low, high = successes / trials, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle >= 1.0:
            break
        terms = ways + counts * np.log(middle) + (trials - counts) * np.log1p(-middle)
        few = float(np.exp(terms).sum())
        low, high = (middle, high) if few > chance else (low, middle)
    return high
