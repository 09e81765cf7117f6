"""What a whole set would have shown, from a few of its samples and another's answers to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.stats.classification import confusion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.stats.classification import Indices


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
