"""Which golden samples a target runs: emulation is slow, so they are chosen, never simply cut off.

A processor that computes a little differently can change a decision only where it hangs by a thread: so one half are
the samples whose decision on the host is nearest to another. They say nothing about the set as a whole, so the other
half is drawn by lot from the rest, class by class in turn. Together they are a stratified sample (W. G. Cochran,
Sampling Techniques, 3rd ed., 1977, chapter 5): the near ones, a stratum taken whole, stand each for itself, the drawn
ones for their class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Array

_FLAT = 2
_TWO = 2


@dataclass(frozen=True, slots=True)
class SampleSelection:
    """Samples by their index in the golden set; no index stands in both.

    Attributes:
        near: Those whose decision on the host is nearest to another, ascending.
        drawn: Those drawn by lot, ascending.
    """

    near: tuple[int, ...]
    drawn: tuple[int, ...]

    @property
    def samples(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted(self.near + self.drawn))


NO_SAMPLES: Final = SampleSelection((), ())
"""For what needs none."""


def margins(scores: Array) -> NDArray[np.float64] | None:
    """How far the best score lies above the second best; a row that is not finite has no margin at all.

    Args:
        scores: What the host answered, samples on the first axis.

    Returns:
        float64 [n], or ``None`` where the scores are not one row of at least two a sample, so that nothing decides.
    """
    if scores.ndim != _FLAT or scores.shape[1] < _TWO or scores.dtype.kind not in "biuf":
        return None
    values = scores.astype(np.float64)
    two = np.partition(values, -2, axis=1)[:, -2:]
    with np.errstate(invalid="ignore"):
        apart: NDArray[np.float64] = two[:, 1] - two[:, 0]
    return np.where(np.isfinite(values).all(axis=1), apart, -np.inf)


def choose(
    total: int,
    images: int,
    seed: int,
    *,
    labels: NDArray[np.int64] | None = None,
    margin: NDArray[np.float64] | None = None,
) -> SampleSelection:
    """Choose samples; the same arguments choose the same ones everywhere.

    Args:
        total: Samples of the golden set.
        images: How many are wanted; where there are no more, all are taken.
        seed: Seed of the lot.
        labels: int64 [total], the class of each, where that is known.
        margin: float64 [total], from :func:`margins`, where something decides.
    """
    if images >= total:
        return SampleSelection((), tuple(range(total)))
    near: set[int] = set()
    if margin is not None:
        # Stable, so that equal margins are taken in the set's own order.
        near = {int(index) for index in np.argsort(margin, kind="stable")[: images // 2]}
    rest = np.array([index for index in range(total) if index not in near], dtype=np.int64)
    drawn = _drawn(rest, images - len(near), seed, labels)
    return SampleSelection(tuple(sorted(near)), tuple(sorted(drawn)))


def _drawn(rest: NDArray[np.int64], wanted: int, seed: int, labels: NDArray[np.int64] | None) -> list[int]:
    """Draw from each class in turn until there are enough: macro-F1 gives every class the same weight."""
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(rest)
    classes = np.zeros(len(shuffled), np.int64) if labels is None else labels[shuffled]
    # The place of each sample within its own class; all firsts come before all seconds.
    turn = np.zeros(len(shuffled), np.int64)
    for each in np.unique(classes):
        own = classes == each
        turn[own] = np.arange(int(own.sum()))
    return [int(index) for index in shuffled[np.lexsort((classes, turn))][:wanted]]
