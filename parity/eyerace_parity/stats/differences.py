"""Differences of two arrays. All computations use float64; the first axis counts samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Floats = NDArray[np.float64]

RELATIVE_FLOOR = 1e-3
"""Smallest denominator of a relative difference, as a share of the output's root mean square (RMS)."""


def absolute(candidate: Array, reference: Array) -> Floats:
    """Compute elementwise absolute differences.

    Different integers beyond 2^53 that are equal in float64 count as a difference of 1.

    Args:
        candidate: Any shape; numbers or booleans without NaN.
        reference: The same shape.

    Returns:
        float64 of that shape.
    """
    with np.errstate(over="ignore"):  # opposite ends of float64 overflow to infinity, which is the right result
        apart: Floats = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    return np.where((apart == 0) & (candidate != reference), 1.0, apart)


def relative(candidate: Array, reference: Array) -> Floats:
    """Compute elementwise differences relative to the reference.

    The denominator is at least ``RELATIVE_FLOOR`` times the output's RMS, because the relative error of a number near
    zero says nothing.

    Returns:
        float64 of the arrays' shape; infinite if the reference is all zeros and the candidate's element is not zero.
    """
    apart = absolute(candidate, reference)
    magnitude = np.abs(reference.astype(np.float64))
    scale = np.maximum(magnitude, RELATIVE_FLOOR * _root_mean_square(magnitude))
    with np.errstate(over="ignore"):
        found: Floats = np.divide(apart, scale, out=np.where(apart > 0, np.inf, 0.0), where=scale > 0)
    return found


def _root_mean_square(magnitude: Floats) -> float:
    # Scale to at most 1 first, so that squares neither overflow nor underflow.
    tallest = float(magnitude.max(initial=0.0))
    return tallest * math.sqrt(float(np.mean(np.square(magnitude / tallest)))) if tallest > 0 else 0.0


def quantile_at_least(values: Floats, share: float) -> float:
    """Return the empirical quantile: the element of rank ⌈share · n⌉, never an interpolation."""
    flat = np.sort(values, axis=None)
    # The product may exceed an integer by a rounding error.
    rank = math.ceil(share * flat.size - 1e-9)
    return float(flat[min(max(rank, 1), flat.size) - 1])


def sqnr_db(candidate: Array, reference: Array) -> float:
    """Compute the signal-to-quantisation-noise ratio, 10·log10(Σ r² / Σ (c - r)²), in dB.

    Source: R. M. Gray and D. L. Neuhoff, "Quantization", IEEE Trans. Inf. Theory 44(6), 1998, section I, with the power
    of the signal instead of its variance, as in ONNX Runtime's quantisation debugger.

    Returns:
        dB; +inf for equal arrays, -inf for noise on a signal of zeros only.
    """
    noise = _root_mean_square(absolute(candidate, reference))
    signal = _root_mean_square(np.abs(reference.astype(np.float64)))
    if noise == 0:
        return math.inf
    return 20.0 * (math.log10(signal) - math.log10(noise)) if signal > 0 else -math.inf


def cosines(candidate: Array, reference: Array) -> Floats:
    """Compute the cosine similarity of the flattened answers to each sample.

    Returns:
        float64 [n]; 1 if both are all zeros, 0 if one of them is.
    """
    ours = candidate.reshape(len(candidate), -1).astype(np.float64)
    theirs = reference.reshape(len(reference), -1).astype(np.float64)
    # Scale to at most 1 first, so that squares neither overflow nor underflow.
    ours, theirs = _at_most_one(ours), _at_most_one(theirs)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    alike = np.where(~ours.any(axis=1) & ~theirs.any(axis=1), 1.0, 0.0)
    found = np.divide(np.sum(ours * theirs, axis=1), lengths, out=alike, where=lengths > 0)
    # Rounding must not make equal answers differ, nor move a cosine out of [-1, 1].
    return np.where((ours == theirs).all(axis=1), 1.0, np.clip(found, -1.0, 1.0))


def _at_most_one(rows: Floats) -> Floats:
    tallest = np.max(np.abs(rows), axis=1, keepdims=True, initial=0.0)
    scaled: Floats = np.divide(rows, tallest, out=np.zeros_like(rows), where=tallest > 0)
    return scaled


def log_softmax(scores: Array) -> Floats:
    """Compute the log-softmax over the last axis, shifted by the maximum to avoid overflow."""
    shifted = scores.astype(np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    found: Floats = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return found


def log_probabilities(probabilities: Array) -> Floats:
    """Normalise probabilities over the last axis and take their logarithm. Zeros become the smallest normal float64."""
    positive = np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny)
    found: Floats = np.log(positive / positive.sum(axis=-1, keepdims=True))
    return found


def kl_divergences(reference: Floats, candidate: Floats) -> Floats:
    """Compute KL(reference ‖ candidate) of each sample: Σ p·(log p - log q) (Kullback & Leibler, 1951).

    Args:
        reference: Log-probabilities, [n, classes].
        candidate: Log-probabilities, [n, classes].

    Returns:
        float64 [n] in nats, at least 0.
    """
    found: Floats = np.sum(np.exp(reference) * (reference - candidate), axis=-1)
    return np.maximum(found, 0.0)
