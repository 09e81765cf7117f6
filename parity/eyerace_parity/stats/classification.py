"""Counting right and wrong decisions: confusion matrix, F1, accuracy, flips.

Labels and decisions are int64 [n] indices of classes. Nothing here guards against empty sets; whoever asks must.
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
    """Take the class of the highest score, the first of equals.

    Args:
        scores: [n, classes].

    Returns:
        int64 [n].
    """
    decided: Indices = np.argmax(scores, axis=1).astype(np.int64)
    return decided


def confusion(labels: Indices, decided: Indices, classes: int) -> Indices:
    """Count decisions by label.

    Returns:
        int64 [classes, classes]; row the label, column the decision.
    """
    pairs = labels * classes + decided
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def dependence(counts: Indices) -> float:
    """Say how surely decisions depend on labels: Pearson's test of independence of rows and columns.

    Args:
        counts: Confusion matrix [classes, classes]; empty rows and columns are left out.

    Returns:
        The deviate of a standard normal variable that chi-square corresponds to (Wilson & Hilferty 1931, "The
        distribution of chi-square"): above 3 by chance once in 740 times; 0 where there is nothing to compare.
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
    """F1 of every class: 2·TP / (2·TP + FP + FN), as van Rijsbergen's effectiveness with equal weights.

    Args:
        counts: Confusion matrix [classes, classes]; estimated counts need not be whole.

    Returns:
        float64 [classes]; NaN for a class that was neither there nor decided.
    """
    hits = np.diagonal(counts).astype(np.float64)
    touched = (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.float64)
    found: NDArray[np.float64] = np.divide(2.0 * hits, touched, out=np.full_like(hits, np.nan), where=touched > 0)
    return found


def macro_f1(counts: Indices | NDArray[np.float64]) -> float:
    """Mean of the classes' F1, each class of equal weight (Opitz & Burst, arXiv 1911.03347, "averaged F1").

    NaN where a class is neither there nor decided: such a class must not be averaged away.
    """
    return float(f1_by_class(counts).mean())


def accuracy(counts: Indices) -> float:
    """Share of right decisions."""
    return float(np.trace(counts)) / float(counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class FlipCounts:
    """Samples that two variants decide differently, by who was right. Indices int64, ascending.

    Attributes:
        harmed: The reference was right, the candidate is wrong.
        mended: The reference was wrong, the candidate is right.
        moved: Both are wrong, in different ways.
    """

    harmed: Indices
    mended: Indices
    moved: Indices

    @property
    def total(self) -> int:
        """How many samples flipped."""
        return len(self.harmed) + len(self.mended) + len(self.moved)


def flips(labels: Indices, candidate: Indices, reference: Indices) -> FlipCounts:
    """Sort the samples on which two variants decide differently."""
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
    """Estimate the confusion matrix of somebody who decided only some samples, where another decided all.

    The difference estimator (C.-E. Särndal, B. Swensson, J. Wretman, Model Assisted Survey Sampling, 1992, section
    6.3): the other's counts, corrected by the differences that the samples show, each weighted by how many samples it
    stands for. Where both decide alike it is the other's matrix exactly, whichever samples were drawn.

    Args:
        labels: The truth of all samples, [n].
        known: The other's decisions, [n].
        found: Decisions by index of the sample.
        near: Those of them that were not drawn by lot, and so stand for themselves alone.
        classes: Number of classes.

    Returns:
        float64 [classes, classes], row the label, column the decision; each row adds up to the samples of its class.
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
    # A drawn sample may stand for more than the other had decided so.
    counts = np.clip(counts, 0.0, None)
    total = counts.sum(axis=1)
    scaled: NDArray[np.float64] = counts * np.divide(size, total, out=np.zeros_like(size), where=total > 0)[:, None]
    return scaled


def uncovered(labels: Indices, found: Mapping[int, int], *, near: Sequence[int], classes: int) -> tuple[int, ...]:
    """Classes of which samples are left over, but none was drawn: nothing is known of those."""
    alone = set(near)
    drawn = [index for index in found if index not in alone]
    of_class = np.bincount(labels[drawn], minlength=classes)
    left = np.bincount(labels, minlength=classes) - np.bincount(labels[list(near)], minlength=classes)
    return tuple(index for index in range(classes) if left[index] and not of_class[index])
