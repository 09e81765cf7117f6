"""The exact test of paired right and wrong: how often a variant loses what its reference had, and how often it gains.

Only pairs that disagree speak (Q. McNemar, Psychometrika 12, 1947): were neither variant better, each would be a harm
or a mend with equal chance, which is binomial and needs no approximation however few there are. For a margin the
question is how large the share of harms less the share of mends can be: the share of pairs that disagree is bounded by
its binomial, the share of harms among them by its own, each at half of the allowed chance, so that together they err no
more often than allowed (Bonferroni).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.stats.classification import Indices

SMALL: Final = 100
"""Clusters below which the exact test must agree with the bootstrap, which alone carries no decision on so few."""

_STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class Pairs:
    """Clusters by what became of them.

    Attributes:
        harmed: More of its samples are right in the reference than in the candidate.
        mended: Fewer.
        number: All clusters.
    """

    harmed: int
    mended: int
    number: int

    @property
    def discordant(self) -> int:
        """Clusters that speak."""
        return self.harmed + self.mended

    def times(self, factor: float) -> Pairs:
        """So many times these pairs, of the same kind."""
        return Pairs(round(self.harmed * factor), round(self.mended * factor), round(self.number * factor))


def pairs(labels: Indices, candidate: Indices, reference: Indices, together: Sequence[str] | None = None) -> Pairs:
    """Count harmed and mended clusters; what belongs together counts once, however many samples it has."""
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    lost = (reference == labels).astype(np.int64) - (candidate == labels).astype(np.int64)
    net = np.bincount(owner, weights=lost)
    return Pairs(int((net > 0).sum()), int((net < 0).sum()), len(net))


def harm_p(found: Pairs) -> float:
    """Chance of at least so many harms among the discordant, were harms and mends equally likely (exact, one-sided)."""
    return _at_least(found.harmed, found.discordant, 0.5)


def most_net_harm(found: Pairs, chance: float) -> float:
    """Bound the share of harmed clusters less that of mended ones from above.

    Args:
        found: The counts.
        chance: That the true share is larger, at most.

    Returns:
        0 to 1; 0 where mends are proven to outweigh harms.
    """
    discordant = share_at_most(found.discordant, found.number, chance / 2)
    harms = share_at_most(found.harmed, found.discordant, chance / 2)
    return discordant * max(2.0 * harms - 1.0, 0.0)


def share_at_most(successes: int, trials: int, chance: float) -> float:
    """The upper bound of a share that errs with at most this chance (Clopper and Pearson, Biometrika 26, 1934)."""
    if successes >= trials:
        return 1.0
    return _crossing(lambda share: _at_least(successes + 1, trials, share) < 1.0 - chance)


def share_at_least(successes: int, trials: int, chance: float) -> float:
    """The lower bound of a share that errs with at most this chance."""
    if successes <= 0:
        return 0.0
    return _crossing(lambda share: _at_least(successes, trials, share) <= chance)


def _at_least(successes: int, trials: int, share: float) -> float:
    """P(at least so many of so few), term by term."""
    terms = (
        math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(max(successes, 0), trials + 1)
    )
    return min(math.fsum(terms), 1.0)


def _crossing(before: Callable[[float], bool]) -> float:
    """Where a condition that holds from 0 on ceases to hold, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if before(middle) else (low, middle)
    return high
