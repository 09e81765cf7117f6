"""One-sided bounds of a measure by a paired, stratified cluster bootstrap.

The bootstrap resamples *clusters*: all photographs of one bird, or single samples where the set names no clusters. It
resamples within each class (stratified), and a cluster keeps the answers of all variants (paired). A drop is a
difference of two answers to the same samples, so most of the variance between sets cancels.

Each draw gives every cluster a random weight: the Bayesian bootstrap (D. B. Rubin, Ann. Statist. 9, 1981). Its
exponential weights have the mean of counts drawn with replacement, and the same variance except for a factor
n / (n + 1). It has two advantages. Equal clusters are drawn together, because the sum of m exponentials is Gamma(m):
thousands of photographs cost no more than their few dozen kinds of clusters. And each resampled set has all classes.

A plain bootstrap ignores events that have not happened yet: without a flip among the samples no draw has one, and the
interval has zero width. So each draw for a *lower* bound adds one cluster with the worst possible answer, in the class
where it costs most. Each draw for an upper bound adds one with the best. For a share this makes the bootstrap exact:
its bounds are those of Clopper and Pearson. For weighted sums of rare events it is the gamma method of M. P. Fay and
E. J. Feuer (Statistics in Medicine 16, 1997), for bounded means the bound of N. Gaffke (Preprint 6, Univ. Magdeburg,
2005; see E. Learned-Miller and P. S. Thomas, arXiv 1905.06208). For differences of F1 the coverage is measured in
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
"""Maps tallies float64 [..., parts, 3, classes] to a number [...]; larger is better."""

BEYOND: Final = 50
"""Fewest draws beyond a bound. With fewer the Monte Carlo error of the bound is too large: the count of draws beyond it
has a relative standard error of 1 / √50 = 14 %."""

_CELLS: Final = 1 << 22
"""Numbers in memory at once: 32 MiB of float64."""

_KEPT_CELLS: Final = 1 << 20
"""Largest draw that is cached for the next question about the same clusters, in numbers: 8 MiB, plus as much for each
class."""

_KEPT_SETS: Final = 3
"""Number of cached draws."""

_TRIED: Final = 24
"""Classes that are searched for the costliest answer. The search is quadratic in their number."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """The clusters of a set, grouped into kinds of equal clusters.

    Attributes:
        tallies: float64 [kinds, parts, 3, classes]: tally of one cluster of each kind.
        sizes: int64 [kinds]: number of clusters of each kind.
        strata: int64 [kinds]: class within which each kind is resampled.
        samples: Number of samples.
    """

    tallies: Floats
    sizes: Indices
    strata: Indices
    samples: int

    @property
    def number(self) -> int:
        """Number of clusters."""
        return int(self.sizes.sum())

    @property
    def total(self) -> Floats:
        """Tally of the whole set, float64 [parts, 3, classes]."""
        found: Floats = np.tensordot(self.sizes.astype(np.float64), self.tallies, axes=1)
        return found


def cluster(labels: Indices, decided: Indices, classes: int, together: Sequence[str] | None = None) -> Clusters:
    """Group samples into clusters, and clusters into kinds.

    A cluster with several classes is not split. Its stratum is the class of most of its samples.

    Args:
        labels: int64 [n].
        decided: int64 [parts, n].
        classes: Number of classes.
        together: Cluster name of each sample; by default each sample is a cluster.
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
    """One-sided confidence bounds.

    Attributes:
        lower: Lower bound, at its own confidence.
        upper: Upper bound, at its own confidence.
    """

    lower: float
    upper: float


def enough_draws(draws: int, *chances: float) -> int:
    """Return the draws needed for :data:`BEYOND` of them to lie beyond a bound with the smallest of these errors.

    Args:
        draws: Fewest draws.
        chances: Error probabilities of the bounds.
    """
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
    """Compute a lower and an upper bound of a gain. Each holds at its own confidence.

    Args:
        clusters: The set.
        gain: The number to bound.
        signs: For each part, 1 if its right answers raise the gain, -1 if they lower it.
        draws: Fewest resampled sets; small error probabilities need more.
        seed: Seed of the draws.
        below: Error probability of the lower bound, e.g. 0.05.
        above: Error probability of the upper bound.
        times: Factor on the number of samples: 2 gives the bounds of a set of the same kind with twice the samples.
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
    """Return by how much one additional cluster with the worst possible answer lowers the gain."""
    further, _ = _extreme(clusters, gain, signs, -1)
    before, after = gain(clusters.total), gain(clusters.total + further)
    return max(float(before - after), 0.0)


def _gains(
    clusters: Clusters, gain: Gain, signs: Sequence[int], *, draws: int, seed: int, times: float
) -> tuple[Floats, Floats]:
    """Return the gains of all resampled sets with the worst and with the best additional cluster: float64 [draws]."""
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
    """Resampled sets without their additional cluster, so that every measure can reuse them.

    Attributes:
        weights: float64 [draws, kinds].
        further: float64 [draws]: weight of the additional cluster.
        flat: float64 [kinds, cells]: tally of one cluster of each kind.
        place: int64 [kinds]: index of the stratum.
        whole: float64 [strata]: clusters per stratum.
        made: Results of :meth:`with_further`, by stratum.
    """

    weights: Floats
    further: Floats
    flat: Floats
    place: Indices
    whole: Floats
    made: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)

    def with_further(self, stratum: int) -> tuple[Floats, Floats]:
        """Rescale the sets for one additional cluster in a stratum.

        Args:
            stratum: Index of the stratum.

        Returns:
            Tallies without that cluster, float64 [draws, cells], and its weight in each set, float64 [draws].
        """
        if stratum not in self.made:
            scale = _product(self.weights, _members(self.place))
            scale[:, stratum] += self.further
            # Each stratum keeps its number of clusters, so a draw is as large as the set.
            scale = self.whole / scale
            tallies = _product(self.weights * scale[:, self.place], self.flat)
            self.made[stratum] = (tallies, self.further * scale[:, stratum])
        return self.made[stratum]


_ALONE: Final = 1 << 18
"""Multiplications up to which OpenBLAS works alone (its thresholds of 0.3.3 to 0.3.31: 65,536 times 4)."""

_remembered: Final[OrderedDict[tuple[object, ...], _ResampledSets]] = OrderedDict()
"""The last draws. Macro-F1 and the F1 of each class use the same draws, and drawing takes most of the time."""


def _resampled(clusters: Clusters, draws: int, seed: int, times: float) -> Iterator[_ResampledSets]:
    """Yield resampled sets in batches that fit into memory. Small draws are cached."""
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


def _product(many: Floats, few: Floats) -> Floats:
    """Multiply a matrix of many rows, float64 [rows, n], by a small one, float64 [n, cells].

    In blocks of rows, because OpenBLAS hands a larger product to threads, which then spin for milliseconds: on a busy
    machine that takes ten times as long as the product itself.
    """
    found = np.empty((len(many), few.shape[1]))
    step = max(1, _ALONE // few.size)
    for start in range(0, len(many), step):
        np.matmul(many[start : start + step], few, out=found[start : start + step])
    return found


def _members(place: Indices) -> Floats:
    """Return the indicator matrix of kinds in strata, float64 [kinds, strata]."""
    members = np.zeros((len(place), int(place.max()) + 1))
    members[np.arange(len(place)), place] = 1.0
    return members


def _extreme(clusters: Clusters, gain: Gain, signs: Sequence[int], side: int) -> tuple[Floats, int]:
    """Find the worst (``side`` -1) or best (1) possible cluster: its tally [parts, 3, classes], and its class.

    It is as large as the largest cluster of its class. Parts whose sign equals ``side`` are right, and all others are
    wrong with the same wrong class.
    """
    shape = clusters.tallies.shape[1:]
    rarity = np.bincount(clusters.strata, weights=clusters.sizes, minlength=shape[-1])
    present = np.flatnonzero(rarity)
    # One cluster weighs most in a rare class. With many classes try only those that the gain depends on, then the
    # rarest.
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
    """Return the change of the gain when each class loses one hit, float64 [classes].

    A measure of one class depends on that class alone, which need not be among the rarest. All zeros if there are few
    classes, because then all of them are tried.
    """
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
