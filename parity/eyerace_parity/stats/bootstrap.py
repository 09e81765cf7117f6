"""What a measure could be, were other samples drawn: one-sided bounds by a paired, stratified bootstrap.

What is drawn again are *clusters* (all photographs of one bird, or a single sample where nothing belongs together),
within the class that they belong to, and a cluster always with the answers of all variants: a drop is a difference of
two answers to the same samples, and most of what varies between sets cancels in it.

Each draw gives every cluster a random weight: the Bayesian bootstrap (D. B. Rubin, Ann. Statist. 9, 1981), whose
exponential weights have the mean and, but for a factor n / (n + 1), the spread of counts drawn with replacement. Two
reasons. Clusters that look the same are drawn together, the sum of m exponentials being a Gamma(m): a set of thousands
of photographs costs no more than its few dozen kinds of clusters. And a resampled set has all of its classes.

A plain bootstrap cannot see what has not happened yet: no flip among the samples, no flip in any draw, and a width of
zero. So each draw of a *lower* bound contains one further cluster with the worst answer that there could have been, in
the class where it costs most; each draw of an upper bound one with the best. For a share this makes the bootstrap
exact: its bounds are Clopper and Pearson's. For weighted sums of rare events it is the gamma method of M. P. Fay and
E. J. Feuer (Statistics in Medicine 16, 1997), for bounded means the bound of N. Gaffke (Preprint 6, Univ. Magdeburg,
2005; see E. Learned-Miller and P. S. Thomas, arXiv 1905.06208). What it does for the differences of F1 is measured, in
``docs/statistics.md``: a plain percentile bootstrap errs in up to 21 of 100 small sets where it promises 5.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.stats.measures import DECIDED, HITS, LABELLED, Floats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.stats.classification import Indices

Gain = Callable[[Floats], Floats]
"""From tallies float64 [..., parts, 3, classes] to a number of which more is better."""

BEYOND: Final = 50
"""Draws that must lie beyond a bound: with fewer its place among the draws would be chance."""

_CELLS: Final = 1 << 22
"""Numbers held in memory at once: 32 MiB."""

_KEPT_CELLS: Final = 1 << 20
"""Numbers of a draw that is kept for the next question about the same clusters: 8 MiB, and as much for each class."""

_KEPT_SETS: Final = 3

_TRIED: Final = 24
"""Classes among which the costliest answer is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What is drawn, kind by kind.

    Attributes:
        tallies: float64 [kinds, parts, 3, classes]: the tally of one cluster of each kind.
        sizes: int64 [kinds]: clusters of each kind.
        strata: int64 [kinds]: the class within which it is drawn.
        samples: Number of samples.
    """

    tallies: Floats
    sizes: Indices
    strata: Indices
    samples: int

    @property
    def number(self) -> int:
        """How many clusters there are."""
        return int(self.sizes.sum())

    @property
    def total(self) -> Floats:
        """The tally of the set itself, [parts, 3, classes]."""
        found: Floats = np.tensordot(self.sizes.astype(np.float64), self.tallies, axes=1)
        return found


def cluster(labels: Indices, decided: Indices, classes: int, together: Sequence[str] | None = None) -> Clusters:
    """Sort samples into clusters, and clusters into kinds.

    A cluster that spans classes stays whole, and is drawn within the class of most of its samples.

    Args:
        labels: int64 [n].
        decided: int64 [parts, n].
        classes: Number of classes.
        together: One text a sample, equal for samples that belong together; by default each stands alone.
    """
    codes = labels.copy()
    for one in decided:
        codes = codes * classes + one
    owner = np.arange(len(labels)) if together is None else np.unique(np.asarray(together), return_inverse=True)[1]
    order = np.lexsort((codes, owner))
    ends = [*(np.flatnonzero(np.diff(owner[order])) + 1).tolist(), len(order)]
    ordered = codes[order].tolist()
    kinds = Counter(tuple(ordered[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    members = [np.asarray(kind, dtype=np.int64) for kind in kinds]
    tallies = np.zeros((len(members), len(decided), 3, classes))
    strata = np.empty(len(members), dtype=np.int64)
    for row, codes_of_kind in enumerate(members):
        left = codes_of_kind
        answers = []
        for _ in decided:
            left, answer = np.divmod(left, classes)
            answers.append(answer)
        strata[row] = np.bincount(left).argmax()
        for part, answer in enumerate(reversed(answers)):
            np.add.at(tallies[row, part, HITS], left[left == answer], 1.0)
            np.add.at(tallies[row, part, LABELLED], left, 1.0)
            np.add.at(tallies[row, part, DECIDED], answer, 1.0)
    return Clusters(tallies, np.fromiter(kinds.values(), dtype=np.int64), strata, len(labels))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How low and how high the gain could be.

    Attributes:
        lower: At least this, with the confidence asked for.
        upper: At most this, with the confidence asked for.
    """

    lower: float
    upper: float


def enough_draws(draws: int, *chances: float) -> int:
    """So many draws that :data:`BEYOND` of them lie beyond a bound that errs with the least of these chances."""
    return max(draws, *(math.ceil(BEYOND / chance) for chance in chances))


def bound(
    clusters: Clusters,
    gain: Gain,
    signs: Sequence[int],
    *,
    draws: int,
    seed: int,
    below: float,
    above: float,
    times: float = 1.0,
) -> Bounds:
    """Bound a gain from both sides, each for itself.

    Args:
        clusters: What is drawn.
        gain: The number that is asked about.
        signs: For each part, 1 where its being right raises the gain, -1 where it lowers it.
        draws: Resampled sets; raised where the chances ask for more.
        seed: Seed of the draws.
        below: Chance that the true gain lies below the lower bound, e.g. 0.05.
        above: Chance that it lies above the upper bound.
        times: As though there were so many times these samples: what further ones of the same kind would show.
    """
    count = enough_draws(draws, below, above)
    lows, highs = _gains(clusters, gain, signs, draws=count, seed=seed, times=times)
    least = max(math.floor(below * (count + 1)), 1)
    most = max(math.floor(above * (count + 1)), 1)
    return Bounds(
        lower=float(np.partition(lows, least - 1)[least - 1]),
        upper=float(np.partition(highs, count - most)[count - most]),
    )


def worst_cost(clusters: Clusters, gain: Gain, signs: Sequence[int]) -> float:
    """How much one further cluster with the worst possible answer would lower the gain."""
    further, _ = _extreme(clusters, gain, signs, -1)
    before, after = gain(clusters.total), gain(clusters.total + further)
    return max(float(before - after), 0.0)


def _gains(
    clusters: Clusters, gain: Gain, signs: Sequence[int], *, draws: int, seed: int, times: float
) -> tuple[Floats, Floats]:
    """The gain of every resampled set, with a further worst cluster, and with a further best: float64 [draws] each."""
    extremes = [_extreme(clusters, gain, signs, side) for side in (-1, 1)]
    strata = np.unique(clusters.strata)
    found = np.empty((2, draws))
    start = 0
    for sets in _resampled(clusters, draws, seed, times):
        stop = start + len(sets.further)
        for side, (tallies, stratum) in enumerate(extremes):
            drawn, weight = sets.with_further(int(np.searchsorted(strata, stratum)))
            drawn = drawn + weight[:, None] * tallies.ravel()
            found[side, start:stop] = gain(drawn.reshape(-1, *clusters.tallies.shape[1:]))
        start = stop
    return found[0], found[1]


@dataclass(frozen=True, slots=True, eq=False)
class _ResampledSets:
    """Sets drawn from the same clusters, before it is known which cluster is added to each.

    Attributes:
        weights: float64 [draws, kinds].
        further: float64 [draws]: the weight of the further cluster.
        flat: float64 [kinds, cells]: the tally of a cluster of each kind.
        place: int64 [kinds]: the stratum's number.
        whole: float64 [strata]: clusters a stratum.
        made: What :meth:`with_further` made, by stratum.
    """

    weights: Floats
    further: Floats
    flat: Floats
    place: Indices
    whole: Floats
    made: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)

    def with_further(self, stratum: int) -> tuple[Floats, Floats]:
        """Leave room for one more cluster in a stratum.

        Args:
            stratum: The stratum's number.

        Returns:
            The tally of each set without it, float64 [draws, cells], and how much it weighs in each, [draws].
        """
        if stratum not in self.made:
            scale = self.weights @ _members(self.place)
            scale[:, stratum] += self.further
            # Each stratum keeps its number of clusters: a draw is as large as the set.
            scale = self.whole / scale
            tallies = (self.weights * scale[:, self.place]) @ self.flat
            self.made[stratum] = (tallies, self.further * scale[:, stratum])
        return self.made[stratum]


_remembered: Final[OrderedDict[tuple[object, ...], _ResampledSets]] = OrderedDict()
"""The last sets that were drawn. F1 and each class's F1 ask about the same draws, and drawing is most of the work."""


def _resampled(clusters: Clusters, draws: int, seed: int, times: float) -> Iterator[_ResampledSets]:
    """Draw sets: as many at once as memory allows, and the same ones again where they are small enough to be kept."""
    flat = clusters.tallies.reshape(len(clusters.sizes), -1)
    key = (clusters.sizes.tobytes(), clusters.strata.tobytes(), flat.tobytes(), flat.shape, draws, seed, times)
    if key in _remembered:
        _remembered.move_to_end(key)
        yield _remembered[key]
        return
    random = np.random.default_rng(seed)
    place: Indices = np.unique(clusters.strata, return_inverse=True)[1]
    whole = clusters.sizes @ _members(place)
    step = max(1, _CELLS // max(flat.shape))
    for start in range(0, draws, step):
        number = min(step, draws - start)
        weights = random.standard_gamma(clusters.sizes * times, (number, len(place)))
        sets = _ResampledSets(weights, random.standard_exponential(number), flat, place, whole)
        if draws * sum(flat.shape) <= _KEPT_CELLS:
            _remembered[key] = sets
            if len(_remembered) > _KEPT_SETS:
                _remembered.popitem(last=False)
        yield sets


def _members(place: Indices) -> Floats:
    """Which kinds belong to which stratum: 1.0 or 0.0, [kinds, strata]."""
    members = np.zeros((len(place), int(place.max()) + 1))
    members[np.arange(len(place)), place] = 1.0
    return members


def _extreme(clusters: Clusters, gain: Gain, signs: Sequence[int], side: int) -> tuple[Floats, int]:
    """The cluster that moves the gain furthest: its tally [parts, 3, classes], and the class that it is drawn within.

    It is as large as the largest of its class. All parts whose sign is the side's are right, all others are wrong, and
    all alike: so it is the worst (side -1) or the best (side 1) that could have come.
    """
    shape = clusters.tallies.shape[1:]
    rarity = np.bincount(clusters.strata, weights=clusters.sizes, minlength=shape[-1])
    present = np.flatnonzero(rarity)
    # One cluster weighs most where there are few; among many classes only the rarest are tried, and those that count.
    matters = _matters(clusters, gain)
    tried = sorted(present, key=lambda label: (-matters[label], rarity[label], label))[:_TRIED]
    candidates, labels = [], []
    for label in tried:
        size = clusters.tallies[clusters.strata == label][:, 0, LABELLED].sum(axis=-1).max()
        for other in tried if len(tried) > 1 else [(int(label) + 1) % shape[-1]]:
            if other == label:
                continue
            made = np.zeros(shape)
            for part, sign in enumerate(signs):
                right = sign == side
                made[part, LABELLED, label] = size
                made[part, HITS, label] = size * right
                made[part, DECIDED, label if right else other] = size
            candidates.append(made)
            labels.append(int(label))
    moved = side * gain(clusters.total + np.stack(candidates))
    best = int(np.argmax(moved))
    return candidates[best], labels[best]


def _matters(clusters: Clusters, gain: Gain) -> Floats:
    """By how much the gain moves when a class loses a hit: float64 [classes]; so a measure of one class finds it."""
    total = clusters.total
    parts, _, classes = total.shape
    if classes <= _TRIED:
        return np.zeros(classes)
    found = np.zeros(classes)
    for label in range(classes):
        changed = total.copy()
        changed[parts - 1, HITS, label] = max(changed[parts - 1, HITS, label] - 1.0, 0.0)
        found[label] = abs(float(gain(changed) - gain(total)))
    return np.round(found, 12)
