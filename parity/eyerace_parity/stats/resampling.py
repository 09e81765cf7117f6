"""Bootstrap bounds of a statistic that is an arbitrary function: resample the samples and call the function.

It is much slower than :mod:`eyerace_parity.stats.bootstrap`, so it uses fewer draws. The method is the same otherwise:
clusters are drawn with replacement within their classes, with the scores of all variants, and each bound adds one
unfavourable cluster. A user's function does not say which answer is worst. So the added cluster gets its highest scores
swapped: right decisions become wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.stats.binomial import Bounds
from eyerace_parity.stats.bootstrap import BEYOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.classification import Indices

DRAWS: Final = 1000
"""Fewest draws. Fewer than for a measure, because each draw calls the function once per variant."""


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
    """Compute bounds of one variant's statistic, or of the gain of the first variant over the second.

    Args:
        statistic: Maps labels int64 [n] and scores [n, classes] to a number; larger is better.
        labels: int64 [n].
        scores: The candidate's scores [n, classes]; for a gain also the reference's.
        together: Cluster name of each sample; ``None`` if each sample is a cluster.
        seed: Seed of the draws.
        below: Error probability of the lower bound.
        above: Error probability of the upper bound.

    Returns:
        The bounds, and the number of draws for each.
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
    """Return the statistic or gain of each draw, float64 [draws].

    Every set has one additional cluster that lowers (``side`` -1) or raises (1) the number.
    """
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
        # A draw without a finite result counts as the worst, or the best, so that it never narrows a bound.
        found[draw] = number if math.isfinite(number) else side * math.inf
    return found


def _with_further(labels: Indices, scores: tuple[Array, ...], row: Indices, side: int) -> list[tuple[Indices, Array]]:
    """Append the additional cluster to the labels and scores of each variant: right or wrong, as the side needs."""
    made = []
    for part, own in enumerate(scores):
        right = (part == 0) == (side > 0)
        further = own[row].copy()
        # Swap the highest score to the label, or away from it. The set of scores stays the same.
        for place, label in enumerate(labels[row]):
            wanted = int(label) if right else (int(label) + 1) % own.shape[1]
            best = int(np.argmax(further[place]))
            further[place, [best, wanted]] = further[place, [wanted, best]]
        made.append((np.concatenate([labels, labels[row]]), np.concatenate([own, further])))
    return made
