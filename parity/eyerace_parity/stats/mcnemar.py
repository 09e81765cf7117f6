"""Exact McNemar test of a candidate against its reference, and exact binomial bounds.

The test uses discordant pairs only (Q. McNemar, Psychometrika 12, 1947). If neither variant is better, each discordant
pair is a harm or a mend with equal probability, so the number of harms is binomial. This is exact for any number of
pairs. A margin needs an upper bound of the share of harms minus the share of mends. Two binomial bounds give it: the
share of discordant pairs, and the share of harms among them, each at half of the error probability (Bonferroni).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.stats.binomial import share_at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.stats.classification import Indices

SMALL: Final = 100
"""Number of clusters below which the exact test must confirm the bootstrap, which is not reliable on so few."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Numbers of harmed and mended clusters.

    Attributes:
        harmed: Clusters with more right samples in the reference than in the candidate.
        mended: Clusters with fewer.
        number: All clusters.
    """

    harmed: int
    mended: int
    number: int

    @property
    def discordant(self) -> int:
        """Number of discordant clusters."""
        return self.harmed + self.mended

    def times(self, factor: float) -> Pairs:
        """Multiply all counts by a factor."""
        return Pairs(round(self.harmed * factor), round(self.mended * factor), round(self.number * factor))


def pairs(labels: Indices, candidate: Indices, reference: Indices, together: Sequence[str] | None = None) -> Pairs:
    """Count harmed and mended clusters. A cluster counts once, whatever its number of samples.

    Args:
        labels: int64 [n].
        candidate: The candidate's decisions, int64 [n].
        reference: The reference's decisions, int64 [n].
        together: Cluster name of each sample; by default each sample is a cluster.
    """
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    lost = (reference == labels).astype(np.int64) - (candidate == labels).astype(np.int64)
    net = np.bincount(owner, weights=lost)
    return Pairs(int((net > 0).sum()), int((net < 0).sum()), len(net))


def harm_p(found: Pairs) -> float:
    """Return the one-sided exact p-value: the probability of at least so many harms if both are equally likely."""
    return _at_least(found.harmed, found.discordant, 0.5)


def most_net_harm(found: Pairs, chance: float) -> float:
    """Return an upper bound of the share of harmed clusters minus the share of mended clusters.

    Args:
        found: The counts.
        chance: Error probability of the bound.

    Returns:
        0 to 1; 0 if more mends than harms are proven.
    """
    discordant = share_at_most(found.discordant, found.number, chance / 2)
    harms = share_at_most(found.harmed, found.discordant, chance / 2)
    return discordant * max(2.0 * harms - 1.0, 0.0)


def _at_least(successes: int, trials: int, share: float) -> float:
    """Return the binomial P(X ≥ ``successes``), summed term by term, for few trials."""
    terms = (
        math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(max(successes, 0), trials + 1)
    )
    return min(math.fsum(terms), 1.0)
