"""Classification measures: confusion matrix, F1, accuracy, flips.

Labels and decisions are int64 [n] indices of classes. The functions do not accept empty sets; callers check first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.evidence.base import Array


Indices = NDArray[np.int64]


def decisions(scores: Array) -> Indices:
    """Return the class of the highest score; the first one in a tie.

    Args:
        scores: [n, classes].

    Returns:
        int64 [n].
    """
    decided: Indices = np.argmax(scores, axis=1).astype(np.int64)
    return decided


def confusion(labels: Indices, decided: Indices, classes: int) -> Indices:
    """Compute the confusion matrix.

    Returns:
        int64 [classes, classes]; rows are labels, columns are decisions.
    """
    pairs = labels * classes + decided
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def dependence(counts: Indices) -> float:
    """Test whether decisions depend on labels: Pearson's chi-square test of independence.

    Args:
        counts: Confusion matrix [classes, classes]; empty rows and columns are ignored.

    Returns:
        The standard normal deviate of chi-square by the Wilson-Hilferty transformation (E. B. Wilson, M. M. Hilferty,
        "The distribution of chi-square", 1931). By chance it exceeds 3 once in 740 times. 0 without degrees of freedom.
    """
    table = counts[counts.any(axis=1)][:, counts.any(axis=0)].astype(np.float64)
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom < 1:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float((np.square(table - expected) / expected).sum())
    spread = 2.0 / (9.0 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1.0 - spread)) / spread**0.5)


def f1_by_class(counts: Indices | NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the F1 of every class: 2·TP / (2·TP + FP + FN) (C. J. van Rijsbergen, Information Retrieval, 1979).

    Args:
        counts: Confusion matrix [classes, classes]; estimated counts may be fractions.

    Returns:
        float64 [classes]; NaN for a class that is neither labelled nor decided.
    """
    hits = np.diagonal(counts).astype(np.float64)
    touched = (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.float64)
    found: NDArray[np.float64] = np.divide(2.0 * hits, touched, out=np.full_like(hits, np.nan), where=touched > 0)
    return found


def macro_f1(counts: Indices | NDArray[np.float64]) -> float:
    """Compute the unweighted mean of the classes' F1 (Opitz & Burst, arXiv 1911.03347, "averaged F1").

    NaN if a class is neither labelled nor decided, so that the mean never hides an absent class.
    """
    return float(f1_by_class(counts).mean())


def accuracy(counts: Indices) -> float:
    """Compute the share of right decisions."""
    return float(np.trace(counts)) / float(counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class FlipCounts:
    """Samples that two variants decide differently, by which variant is right. Indices are int64 and ascending.

    Attributes:
        harmed: The reference was right, the candidate is wrong.
        mended: The reference was wrong, the candidate is right.
        moved: Both are wrong, with different decisions.
    """

    harmed: Indices
    mended: Indices
    moved: Indices

    @property
    def total(self) -> int:
        """Number of flipped samples."""
        return len(self.harmed) + len(self.mended) + len(self.moved)


def flips(labels: Indices, candidate: Indices, reference: Indices) -> FlipCounts:
    """Find the samples that two variants decide differently."""
    differ = candidate != reference
    was_right, is_right = reference == labels, candidate == labels
    return FlipCounts(
        harmed=np.flatnonzero(was_right & ~is_right),
        mended=np.flatnonzero(~was_right & is_right),
        moved=np.flatnonzero(differ & ~was_right & ~is_right),
    )


def projected_confusion(
    labels: Indices, known: Indices, found: Mapping[int, int], *, near: Sequence[int], classes: int
) -> NDArray[np.float64]:
    """Estimate the confusion matrix on a target that ran only some samples, from a host that ran all.

    Uses the difference estimator (C.-E. Särndal, B. Swensson, J. Wretman, Model Assisted Survey Sampling, 1992, section
    6.3): the host's counts, corrected by the differences on the target's samples. Each difference is weighted by the
    number of samples that it represents. If both decide alike, the result is the host's matrix, whatever the sample.

    Args:
        labels: Labels of all samples, int64 [n].
        known: The host's decisions, int64 [n].
        found: The target's decisions by sample index.
        near: Indices in ``found`` that were not drawn at random. Each represents only itself.
        classes: Number of classes.

    Returns:
        float64 [classes, classes]; rows are labels, columns are decisions. Each row sums to the samples of its class.
    """
    counts: NDArray[np.float64] = confusion(labels, known, classes).astype(np.float64)
    size = counts.sum(axis=1)
    alone = set(near)
    drawn = [index for index in found if index not in alone]
    of_class = np.bincount(labels[drawn], minlength=classes)
    left = size - np.bincount(labels[list(near)], minlength=classes)
    for index, decided in found.items():
        label = labels[index]
        weight = 1.0 if index in alone else left[label] / of_class[label]
        counts[label, known[index]] -= weight
        counts[label, decided] += weight
    # A drawn sample may represent more samples than the host's cell holds, which makes the cell negative.
    counts = np.clip(counts, 0.0, None)
    total = counts.sum(axis=1)
    scaled: NDArray[np.float64] = counts * np.divide(size, total, out=np.zeros_like(size), where=total > 0)[:, None]
    return scaled


def uncovered(labels: Indices, found: Mapping[int, int], *, near: Sequence[int], classes: int) -> tuple[int, ...]:
    """Return the classes with samples that no drawn sample represents. Nothing is known of those samples."""
    alone = set(near)
    drawn = [index for index in found if index not in alone]
    of_class = np.bincount(labels[drawn], minlength=classes)
    left = np.bincount(labels, minlength=classes) - np.bincount(labels[list(near)], minlength=classes)
    return tuple(index for index in range(classes) if left[index] and not of_class[index])
