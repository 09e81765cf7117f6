"""The decision about a statistic of labelled samples: a floor that it must reach, a drop that it may not exceed.

``held`` when the statistic is proven to be inside its limit, ``broken`` when it is proven to be outside, else
``unproven``, with what would settle it. Proven means: by a one-sided bound of the contract's confidence
(:mod:`eyerace_parity.stats.bootstrap`). On few clusters a drop must also pass the exact test of its pairs
(:mod:`eyerace_parity.stats.mcnemar`).

Two limits no sample could ever prove, and a contract states them nevertheless: a floor of 1, and a drop of 0. They are
read as demands on this very set. A floor of 1 holds where the statistic is 1 on it. A drop of 0 holds where the two
variants decide every sample alike; where they do not, it is judged like any other margin, so it holds only where the
candidate is proven to be the better one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eyerace_parity.core.result import Status
from eyerace_parity.stats import mcnemar, resampling
from eyerace_parity.stats.bootstrap import Bounds, Clusters, Gain, bound, cluster, worst_cost
from eyerace_parity.stats.measures import BootstrapMeasure, Floats
from eyerace_parity.stats.planning import times_to_settle

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Statistic = Callable[[NDArray[np.int64], "Array"], float]
"""From labels int64 [n] and scores [n, classes] to a number of which more is better. A
:class:`~eyerace_parity.stats.measures.BootstrapMeasure` is one that all draws are reckoned of at once; any other
function is called draw by draw, with fewer draws."""

_SPARE: Final = 1.05
"""By how much more than just enough samples are advised: bounds of drawn sets are not exact to the last digit."""


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
class Rules:
    """How sure a decision must be.

    Attributes:
        confidence: Of a ``held``: the chance that it is wrong is at most the rest.
        alarm: Chance that a ``broken`` is wrong, at most; the rest of ``confidence`` unless it is shared among clauses.
        draws: Draws of the bootstrap, at least.
        seed: Seed of the draws.
        plan: Whether an open question is told how many samples would settle it, which costs twenty times the draws.
    """

    confidence: float = 0.95
    alarm: float = 0.05
    draws: int = 10_000
    seed: int = 0
    plan: bool = True

    def among(self, number: int) -> Rules:
        """The rules of each of several questions that break a clause together: they share its chance of an alarm."""
        return replace(self, alarm=self.alarm / max(number, 1))


@dataclass(frozen=True, slots=True)
class Decision:
    """What the samples say of a statistic.

    Attributes:
        status: The answer; ``error`` where the statistic is not a number.
        value: The statistic, or its drop.
        candidate: The statistic of the candidate.
        reference: The statistic of the reference, for a drop.
        settles: What would settle an ``unproven``, as a sentence.
        bounds: Proven bounds of ``value``, each for itself; ``None`` where nothing was left to chance.
        method: How it was decided, as a sentence.
        exact: Whether it is a decision about this very set, which cannot err.
    """

    status: Status
    value: float
    candidate: float
    reference: float | None = None
    settles: str = ""
    bounds: Bounds | None = None
    method: str = ""
    exact: bool = False

    @property
    def provable(self) -> float | None:
        """The tightest limit that these samples prove held."""
        if self.bounds is None:
            return self.value if math.isfinite(self.value) else None
        return self.bounds.lower if self.reference is None else self.bounds.upper


def decide_floor(statistic: Statistic, samples: Labelled, floor: float, rules: Rules | None = None) -> Decision:
    """Decide whether a statistic reaches its floor."""
    rules = rules or Rules()
    value = statistic(samples.labels, samples.scores)
    if not math.isfinite(value):
        return Decision(Status.ERROR, value, value)
    if isinstance(statistic, BootstrapMeasure) and floor >= 1.0 - _rounding(1.0):
        alike = value >= 1.0 - _rounding(1.0)
        status = Status.HELD if alike else Status.BROKEN
        return Decision(status, value, value, method="a floor of 1 is a demand on this very set", exact=True)
    question, proof = _SampleQuestion(floor, floor=True), _prove_floor(statistic, samples, rules)
    status = question.answer(proof.bounds)
    settles = _settles(proof, samples, question) if status is Status.UNPROVEN and rules.plan else ""
    return Decision(status, value, value, settles=settles, bounds=proof.bounds, method=proof.method)


def decide_drop(statistic: Statistic, samples: Labelled, margin: float, rules: Rules | None = None) -> Decision:
    """Decide whether the candidate's statistic is at most ``margin`` below the reference's.

    Raises:
        ValueError: The samples carry no reference.
    """
    rules = rules or Rules()
    if samples.reference is None:
        raise ValueError("a drop needs the reference's scores")
    candidate = statistic(samples.labels, samples.scores)
    reference = statistic(samples.labels, samples.reference)
    drop = reference - candidate
    if not math.isfinite(drop):
        return Decision(Status.ERROR, drop, candidate, reference)
    if margin == 0.0 and _alike(statistic, samples):
        told = "no sample is decided otherwise, which is what a margin of 0 demands of this very set"
        return Decision(Status.HELD, drop, candidate, reference, method=told, exact=True)
    question, proof = _SampleQuestion(margin, floor=False), _prove_drop(statistic, samples, rules)
    status = question.answer(proof.bounds)
    settles = _settles(proof, samples, question) if status is Status.UNPROVEN and rules.plan else ""
    return Decision(status, drop, candidate, reference, settles, proof.bounds, proof.method)


@dataclass(frozen=True, slots=True)
class _SampleQuestion:
    """A limit, and on which side of it the value must be proven to lie."""

    limit: float
    floor: bool

    def answer(self, bounds: Bounds) -> Status:
        """What the bounds prove. A value exactly on its limit is inside, although the reckoning rounds."""
        slack = _rounding(self.limit)
        inside = bounds.lower >= self.limit - slack if self.floor else bounds.upper <= self.limit + slack
        outside = bounds.upper < self.limit - slack if self.floor else bounds.lower > self.limit + slack
        if inside:
            return Status.HELD
        return Status.BROKEN if outside else Status.UNPROVEN


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is proven of a value.

    Attributes:
        bounds: Of the value.
        method: How they were had, as a sentence.
        more: Of so many times these samples, where that can be reckoned.
    """

    bounds: Bounds
    method: str
    more: Callable[[float], Bounds] | None = None


def _prove_floor(statistic: Statistic, samples: Labelled, rules: Rules) -> _Proof:
    """Bound a statistic."""
    if not isinstance(statistic, BootstrapMeasure):
        return _prove_by_calling(statistic, samples, rules, (samples.scores,))
    clusters = cluster(samples.labels, statistic.decided(samples.scores), statistic.classes, samples.clusters)
    signs = (1,) * statistic.parts

    def at(times: float) -> Bounds:
        below, above = 1.0 - rules.confidence, rules.alarm
        return bound(
            clusters, statistic.value, signs, draws=rules.draws, seed=rules.seed, below=below, above=above, times=times
        )

    return _Proof(at(1.0), _told("", clusters, samples, rules), at)


def _prove_drop(statistic: Statistic, samples: Labelled, rules: Rules) -> _Proof:
    """Bound a drop."""
    if not isinstance(statistic, BootstrapMeasure):
        proof = _prove_by_calling(statistic, samples, rules, (samples.scores, _reference(samples)))
        return _Proof(_turned(proof.bounds), proof.method)
    clusters, gain = _paired(statistic, samples)
    signs = (1,) * statistic.parts + (-1,) * statistic.parts
    small = clusters.number < mcnemar.SMALL and statistic.parts == 1
    exact = _Exact.of(statistic, samples, worst_cost(clusters, gain, signs)) if small else None

    def at(times: float) -> Bounds:
        below, above = 1.0 - rules.confidence, rules.alarm
        gains = bound(clusters, gain, signs, draws=rules.draws, seed=rules.seed, below=below, above=above, times=times)
        return exact.widen(_turned(gains), rules, times) if exact else _turned(gains)

    told = _told("paired ", clusters, samples, rules)
    return _Proof(at(1.0), f"{exact.told}; {told}" if exact else told, at)


def _prove_by_calling(statistic: Statistic, samples: Labelled, rules: Rules, scores: tuple[Array, ...]) -> _Proof:
    below, above = 1.0 - rules.confidence, rules.alarm
    found, draws = resampling.bound(
        statistic, samples.labels, scores, samples.clusters, seed=rules.seed, below=below, above=above
    )
    return _Proof(found, f"bootstrap of {draws:,} draws, the function called for each")


def _turned(gains: Bounds) -> Bounds:
    """A drop is a gain the other way round."""
    return Bounds(-gains.upper, -gains.lower)


def _told(kind: str, clusters: Clusters, samples: Labelled, rules: Rules) -> str:
    what = "samples" if samples.clusters is None else "clusters"
    return f"{kind}bootstrap of {clusters.number:,} {what} within their classes, {rules.draws:,} draws"


@dataclass(frozen=True, slots=True)
class _Exact:
    """The exact test of the pairs of a small set: what it does not confirm stays open.

    Attributes:
        pairs: The counts.
        weight: What a share of harmed clusters of 1 would cost, were each as costly as the costliest.
    """

    pairs: mcnemar.Pairs
    weight: float

    @classmethod
    def of(cls, measure: BootstrapMeasure, samples: Labelled, worst: float) -> _Exact:
        """Count the pairs; ``worst`` is what one further cluster costs at most."""
        ours, theirs = measure.decided(samples.scores)[0], measure.decided(_reference(samples))[0]
        pairs = mcnemar.pairs(samples.labels, ours, theirs, samples.clusters)
        return cls(pairs, worst * (pairs.number + 1))

    @property
    def told(self) -> str:
        """What it says, as a sentence."""
        pairs = self.pairs
        counts = f"{pairs.harmed} harmed and {pairs.mended} mended of {pairs.number}"
        return f"exact McNemar, {counts}: p = {mcnemar.harm_p(pairs):.3g}"

    def widen(self, drop: Bounds, rules: Rules, times: float) -> Bounds:
        """Widen the bounds of a drop to what is proven without any assumption."""
        pairs = self.pairs.times(times)
        if pairs.number >= mcnemar.SMALL:  # so many more that the set would no longer be small
            return drop
        most = mcnemar.most_net_harm(pairs, 1.0 - rules.confidence) * self.weight
        harmed = mcnemar.harm_p(pairs) <= rules.alarm
        return Bounds(drop.lower if harmed else min(drop.lower, 0.0), max(drop.upper, most))


def _paired(measure: BootstrapMeasure, samples: Labelled) -> tuple[Clusters, Gain]:
    """Both variants' answers by kind of cluster, and the gain of the candidate's over the reference's."""
    decided = np.concatenate([measure.decided(samples.scores), measure.decided(_reference(samples))])
    parts = measure.parts

    def gain(tallies: Floats) -> Floats:
        difference: Floats = measure.value(tallies[..., :parts, :, :]) - measure.value(tallies[..., parts:, :, :])
        return difference

    return cluster(samples.labels, decided, measure.classes, samples.clusters), gain


def _settles(proof: _Proof, samples: Labelled, question: _SampleQuestion) -> str:
    """Say what would settle a question that is open."""
    more = proof.more
    if more is None:
        return "label further samples, or state a limit that this set can prove"
    times = times_to_settle(lambda times: question.answer(more(times)) is not Status.UNPROVEN)
    if times is None:
        return "no affordable number of samples would settle it, so near is it to its limit: state another limit"
    further = _rounded((_SPARE * times - 1.0) * len(samples.labels))
    return f"about {further:,} further labelled samples like these would settle it, or a limit that this set can prove"


def _rounded(number: float) -> int:
    """Two significant digits, upwards: it is a plan, no measurement."""
    step: int = 10 ** max(math.floor(math.log10(max(number, 1.0))) - 1, 0)
    return max(math.ceil(number / step) * step, 1)


def _alike(statistic: Statistic, samples: Labelled) -> bool:
    """Whether no sample tells the two variants apart: by decision for a measure, by score for what may read scores."""
    reference = _reference(samples)
    if isinstance(statistic, BootstrapMeasure):
        return bool(np.array_equal(statistic.decided(samples.scores), statistic.decided(reference)))
    return bool(np.array_equal(samples.scores, reference))


def _reference(samples: Labelled) -> Array:
    if samples.reference is None:
        raise ValueError("a drop needs the reference's scores")
    return samples.reference


def _rounding(scale: float) -> float:
    # A number that is exactly its limit must hold although the reckoning rounds: 0.92 - 0.878 is above 0.042.
    return 8 * float(np.finfo(np.float64).eps) * max(abs(scale), 1.0)
