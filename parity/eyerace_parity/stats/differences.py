"""How far two arrays of numbers are apart. All reckoning is in float64; the first axis counts samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Floats = NDArray[np.float64]

RELATIVE_FLOOR = 1e-3
"""Share of an output's root mean square below which an element counts as that large in a relative difference."""


def absolute(candidate: Array, reference: Array) -> Floats:
    """Absolute differences, element by element.

    Integers beyond 2^53 that float64 cannot tell apart still differ by one.

    Args:
        candidate: Any shape, any dtype of numbers or truth values, no NaN.
        reference: The same shape.

    Returns:
        float64 of that shape.
    """
    with np.errstate(over="ignore"):  # two opposite ends of float64 are infinitely far apart, and that is the answer
        apart: Floats = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    return np.where((apart == 0) & (candidate != reference), 1.0, apart)


def relative(candidate: Array, reference: Array) -> Floats:
    """Differences in proportion to the reference's element.

    An element smaller than ``RELATIVE_FLOOR`` of the output's root mean square counts as that large: the relative
    error of a number that happens to be near zero says nothing.

    Returns:
        float64 of the arrays' shape; infinite where the reference is zero throughout and the candidate is not.
    """
    apart = absolute(candidate, reference)
    magnitude = np.abs(reference.astype(np.float64))
    scale = np.maximum(magnitude, RELATIVE_FLOOR * _root_mean_square(magnitude))
    with np.errstate(over="ignore"):
        found: Floats = np.divide(apart, scale, out=np.where(apart > 0, np.inf, 0.0), where=scale > 0)
    return found


def _root_mean_square(magnitude: Floats) -> float:
    # Scaled to one first, so that squares neither overflow nor vanish.
    tallest = float(magnitude.max(initial=0.0))
    return tallest * math.sqrt(float(np.mean(np.square(magnitude / tallest)))) if tallest > 0 else 0.0


def quantile_at_least(values: Floats, share: float) -> float:
    """The smallest value that at least ``share`` of all values do not exceed: an element, never an interpolation."""
    flat = np.sort(values, axis=None)
    # The product may lie a rounding error above a whole number.
    rank = math.ceil(share * flat.size - 1e-9)
    return float(flat[min(max(rank, 1), flat.size) - 1])


def sqnr_db(candidate: Array, reference: Array) -> float:
    """Ratio of signal to quantisation noise, 10·log10(Σ r² / Σ (c - r)²), in dB.

    Source: R. M. Gray and D. L. Neuhoff, "Quantization", IEEE Trans. Inf. Theory 44(6), 1998, section I, with the power
    of the signal in place of its variance, as ONNX Runtime's quantisation debugger has it.

    Returns:
        Decibels; +inf for equal arrays, -inf where noise stands against a signal of nothing but zeros.
    """
    noise = _root_mean_square(absolute(candidate, reference))
    signal = _root_mean_square(np.abs(reference.astype(np.float64)))
    if noise == 0:
        return math.inf
    return 20.0 * (math.log10(signal) - math.log10(noise)) if signal > 0 else -math.inf


def cosines(candidate: Array, reference: Array) -> Floats:
    """Cosine of the angle between the two answers to each sample, flattened.

    Returns:
        float64 [n]; 1 where both are zero throughout, 0 where one of them is.
    """
    ours = candidate.reshape(len(candidate), -1).astype(np.float64)
    theirs = reference.reshape(len(reference), -1).astype(np.float64)
    # Scaled to one first, so that squares neither overflow nor vanish.
    ours, theirs = _at_most_one(ours), _at_most_one(theirs)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    alike = np.where(~ours.any(axis=1) & ~theirs.any(axis=1), 1.0, 0.0)
    found = np.divide(np.sum(ours * theirs, axis=1), lengths, out=alike, where=lengths > 0)
    # Rounding must not make equal answers differ, nor take a cosine out of its range.
    return np.where((ours == theirs).all(axis=1), 1.0, np.clip(found, -1.0, 1.0))


def _at_most_one(rows: Floats) -> Floats:
    tallest = np.max(np.abs(rows), axis=1, keepdims=True, initial=0.0)
    scaled: Floats = np.divide(rows, tallest, out=np.zeros_like(rows), where=tallest > 0)
    return scaled


def log_softmax(scores: Array) -> Floats:
    """Logarithm of the softmax over the last axis, shifted by the maximum so that nothing overflows."""
    shifted = scores.astype(np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    found: Floats = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return found


def log_probabilities(probabilities: Array) -> Floats:
    """Logarithm of probabilities over the last axis, brought to a sum of one; zeros become the smallest float64."""
    positive = np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny)
    found: Floats = np.log(positive / positive.sum(axis=-1, keepdims=True))
    return found


def kl_divergences(reference: Floats, candidate: Floats) -> Floats:
    """KL(reference ‖ candidate) of each sample, in nats: Σ p·(log p - log q) (Kullback & Leibler, 1951).

    Args:
        reference: Logarithms of probabilities, [n, classes].
        candidate: The same.

    Returns:
        float64 [n], never below zero.
    """
    found: Floats = np.sum(np.exp(reference) * (reference - candidate), axis=-1)
    return np.maximum(found, 0.0)
