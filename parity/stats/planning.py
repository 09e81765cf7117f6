"""What a set of samples can decide: the smallest margin before anything is judged, and how many more samples after.

Before: with a share q of clusters decided otherwise, harms and mends in balance, the difference of the shares of right
decisions has the standard error √(q / n) of n clusters. A margin is resolved when a model that loses nothing is proven
to lose less with the power asked for, which takes (z₁₋ₐ + z_power) standard errors (the usual formula for paired
shares, as in R. J. Connor, Biometrics 43, 1987), and the one further worst cluster that the bound reckons with. At 95 %
and 80 % that is n = 6.2 · q / margin² for large n. Macro-F1 weighs the classes alike, whatever their size.

After: the set as it came out, so many times over (:func:`parity.stats.bootstrap.bound` with ``times``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from parity.stats.mcnemar import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parity.stats.classification import Indices

POWER: Final = 0.8
"""Chance that a model which loses nothing is proven to be within the margin."""

_MOST_TIMES: Final = 1024.0
_NEAR: Final = 1.02


@dataclass(frozen=True, slots=True)
class Sight:
    """What a labelled set can resolve.

    Attributes:
        samples: Number of samples.
        clusters: Number of clusters.
        margin: Smallest drop of macro-F1 that is resolved.
        class_margins: Smallest drop of each class's F1, in the order of the classes; infinite without samples.
    """

    samples: int
    clusters: int
    margin: float
    class_margins: tuple[float, ...]


def sight(
    labels: Indices, classes: int, together: Sequence[str] | None = None, *, flips: float, confidence: float
) -> Sight:
    """Say what a set can resolve, from its labels alone.

    Args:
        labels: int64 [n].
        classes: Number of classes.
        together: One text a sample, equal for samples that belong together: they are taken to flip together.
        flips: Assumed share of samples that two variants decide differently, right and wrong in balance.
        confidence: Confidence of the proof, e.g. 0.95.
    """
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    keys = np.unique(owner * classes + labels)
    counts = np.bincount(keys % classes, minlength=classes)
    # An F1 loses half a sample's weight where its own is missed, and half where another's is taken for it.
    of_class = tuple(_resolved(2.0 * int(count), flips, confidence) for count in counts)
    # The mean of independent classes: their spreads add in squares, and the one worst cluster falls into one of them.
    present = counts[counts > 0]
    margin = math.inf
    if len(present) == classes:
        alike = classes * classes / float((1.0 / present).sum())
        rarest = float(present.min()) * classes
        margin = _resolved(alike, flips, confidence, rarest=rarest)
    return Sight(len(labels), len(np.unique(owner)), margin, of_class)


def _resolved(clusters: float, flips: float, confidence: float, *, rarest: float | None = None) -> float:
    """Smallest margin at :data:`POWER`: so many standard errors, and what one further worst cluster weighs.

    Never less than what could be proven if nothing flipped at all.
    """
    if clusters <= 0:
        return math.inf
    normal = NormalDist()
    errors = normal.inv_cdf(confidence) + normal.inv_cdf(POWER)
    foreseen = errors * math.sqrt(flips / clusters) + 1.0 / ((rarest or clusters) + 1.0)
    # Without a single flip the bound is that of none among so many; on few clusters the exact test halves the chance.
    chance = (1.0 - confidence) / (2.0 if clusters < SMALL else 1.0)
    unseen: float = 1.0 - chance ** (1.0 / (rarest or clusters))
    return min(1.0, max(foreseen, unseen))


def times_to_settle(settled: Callable[[float], bool]) -> float | None:
    """How many times the samples that there are, all of the same kind, would settle a question.

    Args:
        settled: Whether so many times the samples settle it.

    Returns:
        Above 1, to within 2 %; ``None`` where a thousand times do not.
    """
    low, high = 1.0, 2.0
    while not settled(high):
        low, high = high, 2.0 * high
        if high > _MOST_TIMES:
            return None
    while high / low > _NEAR:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high
