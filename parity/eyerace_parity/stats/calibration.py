"""Confidence: how well scores speak the truth about themselves, and in which order they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Floats = NDArray[np.float64]

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
