"""Power analysis: the smallest margin that a set resolves, and the number of samples that settles a decision.

Before judging: let two variants decide a share q of n clusters differently, with as many harms as mends. Then the
difference of their accuracies has the standard error √(q / n). A margin is resolved if a model that loses nothing is
proven to lose less, with the required power. This takes (z₁₋ₐ + z_power) standard errors (the usual formula for paired
proportions, as in R. J. Connor, Biometrics 43, 1987), plus the additional worst cluster of the bound. With 95 %
confidence and 80 % power, n = 6.2 · q / margin² for large n. Macro-F1 weights all classes equally, whatever their size.

After judging: the bootstrap for a multiple of the set (:func:`eyerace_parity.stats.bootstrap.bound` with ``times``).
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
"""Required probability that a model without loss is proven to be within the margin; the customary 80 %."""

_MOST_TIMES: Final = 1024.0
"""Largest multiple of the set that is tried. More samples are not affordable."""

_NEAR: Final = 1.02
"""Precision of the multiple: the search ends when its interval is at most 2 % wide."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a set resolves of one statistic: macro-F1, or the F1 of a class.

    Attributes:
        error: Standard error of the drop.
        worst: Weight of one additional worst cluster.
        unseen: Smallest margin that can be proven at all: the bound without a single flip.
        confidence: Confidence of the proof.
    """

    error: float
    worst: float
    unseen: float
    confidence: float

    @property
    def margin(self) -> float:
        """Smallest margin that is resolved with :data:`POWER`."""
        normal = NormalDist()
        errors = normal.inv_cdf(self.confidence) + normal.inv_cdf(POWER)
        return min(1.0, max(errors * self.error + self.worst, self.unseen))

    def power(self, margin: float) -> float:
        """Return the probability that a model without loss is proven to lose less than a margin."""
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
        whole: Resolution of macro-F1; ``None`` if a class has no samples.
        classes: Of each class's F1, in the order of the classes; ``None`` without samples.
    """

    samples: int
    clusters: int
    whole: Resolution | None
    classes: tuple[Resolution | None, ...]

    @property
    def margin(self) -> float:
        """Smallest drop of macro-F1 that is resolved; infinite if macro-F1 is not defined."""
        return self.whole.margin if self.whole else math.inf

    @property
    def class_margins(self) -> tuple[float, ...]:
        """Smallest drop of each class's F1 that is resolved; infinite for a class without samples."""
        return tuple(each.margin if each else math.inf for each in self.classes)

    def power(self, margin: float, of_class: int | None = None) -> float:
        """Return the probability that a model without loss is proven to lose less than a margin.

        Args:
            margin: Drop of F1.
            of_class: Index of a class; ``None`` for macro-F1.
        """
        seen = self.whole if of_class is None else self.classes[of_class]
        return seen.power(margin) if seen else 0.0


def sight(
    labels: Indices, classes: int, together: Sequence[str] | None = None, *, flips: float, confidence: float
) -> SetResolution:
    """Compute what a set can resolve, from its labels alone.

    Args:
        labels: int64 [n].
        classes: Number of classes.
        together: Cluster name of each sample. The samples of a cluster are assumed to flip together.
        flips: Assumed share of samples that two variants decide differently, with as many harms as mends.
        confidence: Confidence of the proof, e.g. 0.95.
    """
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    keys = np.unique(owner * classes + labels)
    counts = np.bincount(keys % classes, minlength=classes)
    # A missed sample costs its class half as much F1 as accuracy, and so does a sample decided for the class by
    # mistake: the F1 of a class behaves like the accuracy on twice the clusters.
    of_class = tuple(_resolution(2.0 * int(count), flips, confidence) for count in counts)
    # Macro-F1 is the mean of independent classes: variances add, and the worst cluster falls into the rarest class.
    present = counts[counts > 0]
    whole = None
    if len(present) == classes:
        alike = classes * classes / float((1.0 / present).sum())
        rarest = float(present.min()) * classes
        whole = _resolution(alike, flips, confidence, rarest=rarest)
    return SetResolution(len(labels), len(np.unique(owner)), whole, of_class)


def _resolution(clusters: float, flips: float, confidence: float, *, rarest: float | None = None) -> Resolution | None:
    """Compute what a number of clusters resolves; ``None`` without clusters."""
    if clusters <= 0:
        return None
    # Without a flip the bound is that of 0 events in n. On few clusters the exact test halves the error (Bonferroni).
    chance = (1.0 - confidence) / (2.0 if clusters < SMALL else 1.0)
    unseen: float = 1.0 - chance ** (1.0 / (rarest or clusters))
    return Resolution(math.sqrt(flips / clusters), 1.0 / ((rarest or clusters) + 1.0), unseen, confidence)


def times_to_settle(settled: Callable[[float], bool]) -> float | None:
    """Find the multiple of the set that settles a decision.

    Args:
        settled: Whether a multiple of the samples, of the same kind, settles it.

    Returns:
        Above 1, accurate to 2 %; ``None`` if no multiple up to about 1,000 settles it.
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
