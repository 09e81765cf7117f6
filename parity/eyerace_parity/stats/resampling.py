"""Bounds of a statistic that only its own function can reckon: samples are drawn again, and the function is called.

Slower than :mod:`eyerace_parity.stats.bootstrap` by far, so there are fewer draws; otherwise alike: clusters are drawn
with replacement within their classes, all variants' scores together, and each bound reckons with one further cluster
that tells against it. What the worst answer is, a foreign statistic does not say; a cluster is taken whose highest
scores have changed places, so that what was decided rightly is decided wrongly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.stats.bootstrap import BEYOND, Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.classification import Indices

DRAWS: Final = 1000
"""Draws, fewer than of a measure: each calls the function once for every variant."""


def bound(
    statistic: Callable[[Indices, Array], float],
    labels: Indices,
    scores: tuple[Array, ...],
    together: Sequence[str] | None,
    *,
    seed: int,
    below: float,
    above: float,
) -> tuple[Bounds, int]:
    """Bound a statistic of one variant, or the gain of the first variant over the second.

    Args:
        statistic: From labels and scores to a number of which more is better.
        labels: int64 [n].
        scores: The candidate's [n, classes], and the reference's for a gain.
        together: One text a sample, equal for samples that belong together.
        seed: Seed of the draws.
        below: Chance that the truth lies below the lower bound.
        above: Chance that it lies above the upper bound.

    Returns:
        The bounds, and the draws of each.
    """
    random = np.random.default_rng(seed)
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    rows = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    strata = np.array([np.bincount(labels[row]).argmax() for row in rows])
    draws = max(DRAWS, *(math.ceil(BEYOND / chance) for chance in (below, above)))
    least, most = (max(math.floor(chance * (draws + 1)), 1) for chance in (below, above))
    low = np.sort(_drawn(statistic, labels, scores, rows, strata, random=random, draws=draws, side=-1))
    high = np.sort(_drawn(statistic, labels, scores, rows, strata, random=random, draws=draws, side=1))
    return Bounds(float(low[least - 1]), float(high[draws - most])), draws


def _drawn(
    statistic: Callable[[Indices, Array], float],
    labels: Indices,
    scores: tuple[Array, ...],
    rows: list[Indices],
    strata: Indices,
    *,
    random: np.random.Generator,
    draws: int,
    side: int,
) -> NDArray[np.float64]:
    """The statistic, or the gain, of sets drawn with one further cluster that lowers (-1) or raises (1) it."""
    further = max(range(len(rows)), key=lambda place: (len(rows[place]) / np.sum(strata == strata[place]), -place))
    made = _with_further(labels, scores, rows[further], side)
    sizes = {int(stratum): np.flatnonzero(strata == stratum) for stratum in np.unique(strata)}
    all_rows = [*rows, np.arange(len(labels), len(made[0][0]))]
    found = np.empty(draws)
    for draw in range(draws):
        chosen: list[int] = []
        for stratum, places in sizes.items():
            pool = np.append(places, len(rows)) if stratum == strata[further] else places
            chosen += random.choice(pool, len(places)).tolist()
        index = np.concatenate([all_rows[place] for place in chosen])
        numbers = [statistic(whose[index], what[index]) for whose, what in made]
        number = numbers[0] - numbers[1] if len(numbers) > 1 else numbers[0]
        # A set on which the function has no answer tells for nothing: it counts as the worst, or the best.
        found[draw] = number if math.isfinite(number) else side * math.inf
    return found


def _with_further(labels: Indices, scores: tuple[Array, ...], row: Indices, side: int) -> list[tuple[Indices, Array]]:
    """Labels and scores of each variant, the further cluster at their end: right where that tells for the side."""
    made = []
    for part, own in enumerate(scores):
        right = (part == 0) == (side > 0)
        further = own[row].copy()
        # The highest score to the label, or away from it: what the scores are is kept, only their places change.
        for place, label in enumerate(labels[row]):
            wanted = int(label) if right else (int(label) + 1) % own.shape[1]
            best = int(np.argmax(further[place]))
            further[place, [best, wanted]] = further[place, [wanted, best]]
        made.append((np.concatenate([labels, labels[row]]), np.concatenate([own, further])))
    return made
