"""Classification measures as functions of counts, so that thousands of resampled sets are evaluated at once.

The measures depend on three counts per class only: hits, labelled samples and decided samples. These *tallies* add up
over samples. So a resampled set is a weighted sum of tallies, and all resampled sets are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a field is annotated with it
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eyerace_parity.stats.classification import Indices, decisions

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Floats = NDArray[np.float64]

HITS, LABELLED, DECIDED = range(3)
"""Rows of a tally: right decisions, labels and decisions of a class."""

BINS: Final = 15
"""Number of equal-width bins for the expected calibration error, as in Guo et al. (2017)."""


@dataclass(frozen=True, slots=True)
class BootstrapMeasure:
    """A measure that is computed from tallies; larger is better. It is called with scores, like any other statistic.

    Attributes:
        classes: Number of classes.
        value: Maps tallies float64 [..., parts, 3, classes] to values [...].
        parts: Number of answers per sample that the measure combines. Their scores are concatenated,
            [n, parts · classes].
        label: The class that it depends on alone; ``None`` if it depends on several.
    """

    classes: int
    value: Callable[[Floats], Floats]
    parts: int = 1
    label: int | None = None

    def decided(self, scores: Array) -> Indices:
        """Decide every part of scores [n, parts · classes]: int64 [parts, n]."""
        width = scores.shape[1] // self.parts
        return np.stack([decisions(scores[:, part * width : (part + 1) * width]) for part in range(self.parts)])

    def __call__(self, labels: Indices, scores: Array) -> float:
        """Compute the measure of labels int64 [n] and scores [n, parts · classes]."""
        return float(self.value(tally(labels, self.decided(scores), self.classes)))


def tally(labels: Indices, decided: Indices, classes: int) -> Floats:
    """Count hits, labels and decisions.

    Args:
        labels: int64 [n].
        decided: int64 [parts, n].
        classes: Number of classes.

    Returns:
        float64 [parts, 3, classes].
    """
    there = np.bincount(labels, minlength=classes)
    counted = [
        (np.bincount(labels[one == labels], minlength=classes), there, np.bincount(one, minlength=classes))
        for one in decided
    ]
    return np.asarray(counted, dtype=np.float64)


def _f1(tallies: Floats) -> Floats:
    """Compute the F1 of every class, 2·TP / (labelled + decided); NaN for a class with neither.

    Args:
        tallies: float64 [..., 3, classes].

    Returns:
        float64 [..., classes].
    """
    touched = tallies[..., LABELLED, :] + tallies[..., DECIDED, :]
    hits = 2.0 * tallies[..., HITS, :]
    found: Floats = np.divide(hits, touched, out=np.full(touched.shape, np.nan), where=touched > 0)
    return found


def macro_f1(classes: int) -> BootstrapMeasure:
    """Return macro-F1 as a measure; formula in :func:`eyerace_parity.stats.classification.macro_f1`."""
    return BootstrapMeasure(classes, lambda tallies: _f1(tallies[..., 0, :, :]).mean(axis=-1))


def class_f1(classes: int, index: int) -> BootstrapMeasure:
    """Return the F1 of the class at ``index`` as a measure."""
    return BootstrapMeasure(classes, lambda tallies: _f1(tallies[..., 0, :, index : index + 1])[..., 0], label=index)


def accuracy(classes: int) -> BootstrapMeasure:
    """Return the share of right decisions as a measure. With one label per sample, micro-F1 is the same number."""
    return BootstrapMeasure(
        classes, lambda tallies: tallies[..., 0, HITS, :].sum(axis=-1) / tallies[..., 0, LABELLED, :].sum(axis=-1)
    )


def mixture_f1(classes: int, share: float) -> BootstrapMeasure:
    """Return the macro-F1 of a mixture of two parts as a measure.

    Args:
        classes: Number of classes.
        share: Share of answers from the first part, 0 to 1. The others come from the second.
    """

    def value(tallies: Floats) -> Floats:
        mixed = share * tallies[..., 0, :, :] + (1.0 - share) * tallies[..., 1, :, :]
        found: Floats = _f1(mixed).mean(axis=-1)
        return found

    return BootstrapMeasure(classes, value, parts=2)


def calibration_error(probabilities: Floats, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Compute the expected calibration error: mean |confidence - accuracy| over confidence bins, weighted by bin size.

    Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    equation 3.

    Args:
        probabilities: [n, classes], each row sums to one.
        labels: int64 [n].
        bins: Bins of equal width on (0, 1].

    Returns:
        0 to 1.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def same_order(candidate: Array, reference: Array, shown: int) -> NDArray[np.bool_]:
    """Whether the top classes have the same order in both answers.

    The sort is stable: equal scores keep the order of their classes, as in an app.

    Args:
        candidate: [n, classes].
        reference: The same shape.
        shown: Number of top classes that are compared.

    Returns:
        bool [n].
    """

    def order(scores: Array) -> NDArray[np.int64]:
        # Negation needs a signed type, and scores may be unsigned integers.
        ranked: NDArray[np.int64] = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :shown]
        return ranked

    alike: NDArray[np.bool_] = (order(candidate) == order(reference)).all(axis=1)
    return alike
