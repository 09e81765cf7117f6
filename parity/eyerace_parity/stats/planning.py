"""What a set of samples can decide: the smallest margin before anything is judged, and how many more samples after.

Before: with a share q of clusters decided otherwise, harms and mends in balance, the difference of the shares of right
decisions has the standard error √(q / n) of n clusters. A margin is resolved when a model that loses nothing is proven
to lose less with the power asked for, which takes (z₁₋ₐ + z_power) standard errors (the usual formula for paired
shares, as in R. J. Connor, Biometrics 43, 1987), and the one further worst cluster that the bound reckons with. At 95 %
and 80 % that is n = 6.2 · q / margin² for large n. Macro-F1 weighs the classes alike, whatever their size.

After: the set as it came out, so many times over (:func:`eyerace_parity.stats.bootstrap.bound` with ``times``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.stats.mcnemar import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.stats.classification import Indices

POWER: Final = 0.8
"""Chance that a model which loses nothing is proven to be within the margin."""

_MOST_TIMES: Final = 1024.0
_NEAR: Final = 1.02


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a set resolves of one statistic, macro-F1 or the F1 of a class.

    Attributes:
        error: Standard error of its drop.
        worst: What one further worst cluster weighs.
        unseen: What could be proven if nothing flipped at all: never less.
        confidence: Confidence of the proof.
    """

    error: float
    worst: float
    unseen: float
    confidence: float

    @property
    def margin(self) -> float:
        """Smallest margin that is resolved at :data:`POWER`."""
        normal = NormalDist()
        errors = normal.inv_cdf(self.confidence) + normal.inv_cdf(POWER)
        return min(1.0, max(errors * self.error + self.worst, self.unseen))

    def power(self, margin: float) -> float:
        """Chance that a model which loses nothing is proven to lose less than a margin."""
        if margin < self.unseen:
            return 0.0
        if not self.error:
            return 1.0
        normal = NormalDist()
        return normal.cdf((margin - self.worst) / self.error - normal.inv_cdf(self.confidence))


@dataclass(frozen=True, slots=True)
class SetResolution:
    """What a labelled set can resolve.

    Attributes:
        samples: Number of samples.
        clusters: Number of clusters.
        whole: Of macro-F1; ``None`` where a class has no samples.
        classes: Of each class's F1, in the order of the classes; ``None`` without samples.
    """

    samples: int
    clusters: int
    whole: Resolution | None
    classes: tuple[Resolution | None, ...]

    @property
    def margin(self) -> float:
        """Smallest drop of macro-F1 that is resolved; infinite where it is not defined."""
        return self.whole.margin if self.whole else math.inf

    @property
    def class_margins(self) -> tuple[float, ...]:
        """Smallest drop of each class's F1; infinite without samples."""
        return tuple(each.margin if each else math.inf for each in self.classes)

    def power(self, margin: float, of_class: int | None = None) -> float:
        """Chance that a model which loses nothing is proven to lose less than a margin of macro-F1, or of a class."""
        seen = self.whole if of_class is None else self.classes[of_class]
        return seen.power(margin) if seen else 0.0


def sight(
    labels: Indices, classes: int, together: Sequence[str] | None = None, *, flips: float, confidence: float
) -> SetResolution:
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
    of_class = tuple(_resolution(2.0 * int(count), flips, confidence) for count in counts)
    # The mean of independent classes: their spreads add in squares, and the one worst cluster falls into one of them.
    present = counts[counts > 0]
    whole = None
    if len(present) == classes:
        alike = classes * classes / float((1.0 / present).sum())
        rarest = float(present.min()) * classes
        whole = _resolution(alike, flips, confidence, rarest=rarest)
    return SetResolution(len(labels), len(np.unique(owner)), whole, of_class)


def _resolution(clusters: float, flips: float, confidence: float, *, rarest: float | None = None) -> Resolution | None:
    """What so many clusters resolve; ``None`` where there are none."""
    if clusters <= 0:
        return None
    # Without a single flip the bound is that of none among so many; on few clusters the exact test halves the chance.
    chance = (1.0 - confidence) / (2.0 if clusters < SMALL else 1.0)
    unseen: float = 1.0 - chance ** (1.0 / (rarest or clusters))
    return Resolution(math.sqrt(flips / clusters), 1.0 / ((rarest or clusters) + 1.0), unseen, confidence)


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
