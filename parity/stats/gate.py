"""The decision about a statistic of labelled samples: a floor that it must reach, a drop that it may not exceed.

The decision rests on the point estimate. Everything that a decision with a stated error needs passes through here:
the statistic as a function of samples (so that samples can be drawn again), both variants' scores in the same order,
and what belongs together. Checks ask for a decision and put it into words; how it is reached is decided in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parity.result import Status

if TYPE_CHECKING:
    from parity.evidence.model import Array

Statistic = Callable[[NDArray[np.int64], "Array"], float]
"""From labels int64 [n] and scores [n, classes] to a number of which more is better."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Scores of one variant, or of two in the same order, beside the truth.

    Attributes:
        labels: int64 [n].
        scores: The candidate's, [n, classes].
        reference: The reference's, [n, classes], where a drop is asked about.
        clusters: One text a sample, equal for samples that belong together.
    """

    labels: NDArray[np.int64]
    scores: Array
    reference: Array | None = None
    clusters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the samples say of a statistic.

    Attributes:
        status: The answer; ``error`` where the statistic is not a number.
        value: The statistic, or its drop.
        candidate: The statistic of the candidate.
        reference: The statistic of the reference, for a drop.
        settles: What would settle an ``unproven``, as a sentence.
    """

    status: Status
    value: float
    candidate: float
    reference: float | None = None
    settles: str = ""


def decide_floor(statistic: Statistic, samples: Labelled, floor: float) -> Decision:
    """Decide whether a statistic reaches its floor."""
    value = statistic(samples.labels, samples.scores)
    return Decision(_point(value, held=value >= floor - _rounding(floor)), value, value)


def decide_drop(statistic: Statistic, samples: Labelled, margin: float) -> Decision:
    """Decide whether the candidate's statistic is at most ``margin`` below the reference's.

    A candidate above its reference has a drop below zero, which any margin from zero up holds.

    Raises:
        ValueError: The samples carry no reference.
    """
    if samples.reference is None:
        raise ValueError("a drop needs the reference's scores")
    candidate = statistic(samples.labels, samples.scores)
    reference = statistic(samples.labels, samples.reference)
    drop = reference - candidate
    return Decision(_point(drop, held=drop <= margin + _rounding(reference)), drop, candidate, reference)


def _rounding(scale: float) -> float:
    # A number that is exactly its limit must hold although the reckoning rounds: 0.92 - 0.878 is above 0.042.
    return 8 * float(np.finfo(np.float64).eps) * max(abs(scale), 1.0) if math.isfinite(scale) else 0.0


def _point(value: float, *, held: bool) -> Status:
    if not math.isfinite(value):
        return Status.ERROR
    return Status.HELD if held else Status.BROKEN
