"""Measures of decisions as functions of counts, so that thousands of resampled sets are evaluated at once.

What a set of decisions is worth depends on three counts a class only: how many samples were decided rightly for it, how
many bear its label, and how many were decided for it. These *tallies* add up over samples, so a resampled set is a
weighted sum of the tallies of its parts, and all resampled sets together are one product of matrices.
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
"""Rows of a tally: rightly decided, labelled, decided."""


@dataclass(frozen=True, slots=True)
class BootstrapMeasure:
    """A number of which more is better, as a function of tallies. Called like any other statistic, with scores.

    Attributes:
        classes: Number of classes.
        value: From tallies float64 [..., parts, 3, classes] to values [...].
        parts: Answers to one sample that it takes together; their scores stand side by side, [n, parts · classes].
    """

    classes: int
    value: Callable[[Floats], Floats]
    parts: int = 1

    def decided(self, scores: Array) -> Indices:
        """Take the decisions out of scores [n, parts · classes]: int64 [parts, n]."""
        width = scores.shape[1] // self.parts
        return np.stack([decisions(scores[:, part * width : (part + 1) * width]) for part in range(self.parts)])

    def __call__(self, labels: Indices, scores: Array) -> float:
        """The number itself."""
        return float(self.value(tally(labels, self.decided(scores), self.classes)))


def tally(labels: Indices, decided: Indices, classes: int) -> Floats:
    """Count what measures rest on.

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
    """F1 of every class, 2·TP / (labelled + decided): [..., 3, classes] to [..., classes]; NaN for a class nowhere."""
    touched = tallies[..., LABELLED, :] + tallies[..., DECIDED, :]
    hits = 2.0 * tallies[..., HITS, :]
    found: Floats = np.divide(hits, touched, out=np.full(touched.shape, np.nan), where=touched > 0)
    return found


def macro_f1(classes: int) -> BootstrapMeasure:
    """The mean of the classes' F1, as :func:`eyerace_parity.stats.classification.macro_f1`."""
    return BootstrapMeasure(classes, lambda tallies: _f1(tallies[..., 0, :, :]).mean(axis=-1))


def class_f1(classes: int, index: int) -> BootstrapMeasure:
    """The F1 of one class."""
    return BootstrapMeasure(classes, lambda tallies: _f1(tallies[..., 0, :, index : index + 1])[..., 0])


def accuracy(classes: int) -> BootstrapMeasure:
    """The share of right decisions; with one label a sample the micro-F1 is the same number."""
    return BootstrapMeasure(
        classes, lambda tallies: tallies[..., 0, HITS, :].sum(axis=-1) / tallies[..., 0, LABELLED, :].sum(axis=-1)
    )


def mixture_f1(classes: int, share: float) -> BootstrapMeasure:
    """Macro-F1 of users who get the first part's answer so often, and else the second's.

    Args:
        classes: Number of classes.
        share: Share of the first part, 0 to 1.
    """

    def value(tallies: Floats) -> Floats:
        mixed = share * tallies[..., 0, :, :] + (1.0 - share) * tallies[..., 1, :, :]
        found: Floats = _f1(mixed).mean(axis=-1)
        return found

    return BootstrapMeasure(classes, value, parts=2)


BINS: Final = 15
"""Bins of equal width for the expected calibration error, as in the source of its formula."""


def calibration_error(probabilities: Floats, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over bins of confidence, by their size.

    Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    equation 3.

    Args:
        probabilities: [n, classes], each row sums to one.
        labels: int64 [n].
        bins: Bins of equal width on (0, 1].

    Returns:
        A share between 0 and 1.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def same_order(candidate: Array, reference: Array, shown: int) -> NDArray[np.bool_]:
    """Whether the best scores stand in the same order in both answers.

    Scores that are equal keep the order of their classes, as an app that sorts stably shows them.

    Args:
        candidate: [n, classes].
        reference: The same shape.
        shown: How many of the best scores count.

    Returns:
        bool [n].
    """

    def order(scores: Array) -> NDArray[np.int64]:
        # Signed types are needed for the minus; float64 holds every score exactly that an ONNX model answers with.
        ranked: NDArray[np.int64] = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :shown]
        return ranked

    alike: NDArray[np.bool_] = (order(candidate) == order(reference)).all(axis=1)
    return alike
