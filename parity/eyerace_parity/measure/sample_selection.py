"""Selects the golden samples that a target runs.

Emulation is slow (0.6 to 3 s for each inference of an EfficientNet-B0), so a target runs a selection. A processor with
slightly different arithmetic changes a decision only if the margin is small. So one half are the samples with the
smallest margins on the host. They do not represent the set, so the other half is drawn at random from the rest, class
by class in turn. Together they are a stratified sample (W. G. Cochran, Sampling Techniques, 3rd ed., 1977, chapter 5):
the samples with small margins are a stratum that is taken completely, and the drawn samples represent their classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.evidence.answers import SCORES_NDIM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Array


@dataclass(frozen=True, slots=True)
class SampleSelection:
    """Indices of golden samples; no index is in both groups.

    Attributes:
        near: Samples with the smallest margins on the host, ascending.
        drawn: Samples drawn at random, ascending.
    """

    near: tuple[int, ...]
    drawn: tuple[int, ...]

    @property
    def samples(self) -> tuple[int, ...]:
        """All indices, ascending."""
        return tuple(sorted(self.near + self.drawn))


NO_SAMPLES: Final = SampleSelection((), ())
"""Selection of kinds that run no samples."""


def margins(scores: Array) -> NDArray[np.float64] | None:
    """Compute margins: the best score minus the second best. A row that is not finite has the margin -inf.

    Args:
        scores: Scores of the host, [n, classes].

    Returns:
        float64 [n]; ``None`` if the scores are not numeric or have fewer than two classes.
    """
    if scores.ndim != SCORES_NDIM or scores.shape[1] <= 1 or scores.dtype.kind not in "biuf":
        return None
    values = scores.astype(np.float64)
    two = np.partition(values, -2, axis=1)[:, -2:]
    with np.errstate(invalid="ignore"):
        margin: NDArray[np.float64] = two[:, 1] - two[:, 0]
    return np.where(np.isfinite(values).all(axis=1), margin, -np.inf)


def choose(
    total: int,
    images: int,
    seed: int,
    *,
    labels: NDArray[np.int64] | None = None,
    margin: NDArray[np.float64] | None = None,
) -> SampleSelection:
    """Choose samples. The result depends only on the arguments, not on the machine.

    Args:
        total: Number of samples of the golden set.
        images: Number of samples to choose; all if the set has no more.
        seed: Seed of the random draw.
        labels: int64 [total], the class of each sample; ``None`` if unknown.
        margin: float64 [total], from :func:`margins`; ``None`` if there are no decisions.
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
    """Draw from each class in turn until there are enough, because macro-F1 weights all classes equally."""
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(rest)
    classes = np.zeros(len(shuffled), np.int64) if labels is None else labels[shuffled]
    # Rank of each sample within its class; all first samples precede all second samples.
    turn = np.zeros(len(shuffled), np.int64)
    for each in np.unique(classes):
        own = classes == each
        turn[own] = np.arange(int(own.sum()))
    return [int(index) for index in shuffled[np.lexsort((classes, turn))][:wanted]]
