"""Decides whether a statistic of labelled samples reaches a floor, or drops by no more than a margin.

The result is ``held`` if the statistic is proven to be inside its limit, ``broken`` if it is proven to be outside, else
``unproven``, with what would settle it. The proof is a one-sided bound at the contract's confidence
(:mod:`eyerace_parity.stats.bootstrap`). On few clusters a drop must also pass an exact paired test
(:mod:`eyerace_parity.stats.mcnemar`).

No sample can prove a floor of 1 or a drop of 0, but contracts state them. They apply to this set only. A floor of 1
holds if the statistic is 1. A drop of 0 holds if both variants decide every sample alike. If they do not, it is judged
like any other margin, so it holds only if the candidate is proven to be better.
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
from eyerace_parity.stats.binomial import Bounds
from eyerace_parity.stats.bootstrap import Clusters, Gain, bound, cluster, enough_draws, worst_cost
from eyerace_parity.stats.measures import BootstrapMeasure, Floats, class_f1
from eyerace_parity.stats.planning import times_to_settle

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

Statistic = Callable[[NDArray[np.int64], "Array"], float]
"""Maps labels int64 [n] and scores [n, classes] to a number; larger is better. A
:class:`~eyerace_parity.stats.measures.BootstrapMeasure` evaluates all draws at once. Any other function is called once
per draw, with fewer draws."""

_PLANNED: Final = 1000
"""Draws for each number of samples that is tried to settle a decision. The search takes about 20 of them."""

_TWO: Final = 2

_SPARE: Final = 1.05
"""Factor on the advised number of samples, because bootstrap bounds have a Monte Carlo error."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Labels with the scores of one variant, or of two in the same order.

    Attributes:
        labels: int64 [n].
        scores: The candidate's scores, [n, classes].
        reference: The reference's scores, [n, classes]; needed for a drop.
        clusters: Cluster name of each sample; ``None`` if each sample is a cluster.
    """

    labels: NDArray[np.int64]
    scores: Array
    reference: Array | None = None
    clusters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Error limits and settings of a decision.

    Attributes:
        confidence: Confidence of ``held``: a false ``held`` has a probability of at most 1 - ``confidence``.
        alarm: Largest probability of a false ``broken``; 1 - ``confidence`` unless clauses share it.
        draws: Fewest draws of the bootstrap.
        seed: Seed of the draws.
        plan: Whether ``unproven`` says how many samples would settle it. It is an estimate, from fewer draws.
        stratified: Whether the class counts of the set were chosen. Else they came as they fell, and are drawn, too.
    """

    confidence: float = 0.95
    alarm: float = 0.05
    draws: int = 10_000
    seed: int = 0
    plan: bool = True
    stratified: bool = False

    def among(self, number: int) -> Rules:
        """Return the rules for each of several questions of one clause, which share its ``alarm`` (Bonferroni)."""
        return replace(self, alarm=self.alarm / max(number, 1))


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a statistic.

    Attributes:
        status: The result; ``error`` if the statistic is not finite.
        value: The statistic, or its drop.
        candidate: The candidate's statistic.
        reference: The reference's statistic, for a drop.
        settles: What would settle ``unproven``, as a sentence.
        bounds: One-sided bounds of ``value``; ``None`` for a decision about this set only.
        method: How it was decided, as a sentence.
        exact: Whether the decision is about this set only and so has no sampling error.
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
        """The tightest limit that these samples prove; ``None`` without a finite value."""
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
    question = _SampleQuestion(floor, floor=True)
    proof = _prove_floor(statistic, samples, question, rules)
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
        method = "no sample is decided otherwise, which is what a margin of 0 demands of this very set"
        return Decision(Status.HELD, drop, candidate, reference, method=method, exact=True)
    question = _SampleQuestion(margin, floor=False)
    proof = _prove_drop(statistic, samples, question, rules)
    status = question.answer(proof.bounds)
    settles = _settles(proof, samples, question) if status is Status.UNPROVEN and rules.plan else ""
    return Decision(status, drop, candidate, reference, settles, proof.bounds, proof.method)


@dataclass(frozen=True, slots=True)
class _SampleQuestion:
    """A limit, and whether it is a floor or a margin."""

    limit: float
    floor: bool

    def answer(self, bounds: Bounds) -> Status:
        """Decide by the bounds. A value equal to its limit is inside; the slack absorbs rounding errors."""
        slack = _rounding(self.limit)
        inside = bounds.lower >= self.limit - slack if self.floor else bounds.upper <= self.limit + slack
        outside = bounds.upper < self.limit - slack if self.floor else bounds.lower > self.limit + slack
        if inside:
            return Status.HELD
        return Status.BROKEN if outside else Status.UNPROVEN


@dataclass(frozen=True, slots=True)
class _Proof:
    """Bounds of a value with their method.

    Attributes:
        bounds: Bounds of the value.
        method: How they were computed, as a sentence.
        more: Returns the bounds for a multiple of these samples; ``None`` if that cannot be computed.
    """

    bounds: Bounds
    method: str
    more: Callable[[float], Bounds] | None = None


def _prove_floor(statistic: Statistic, samples: Labelled, question: _SampleQuestion, rules: Rules) -> _Proof:
    """Bound a statistic."""
    if not isinstance(statistic, BootstrapMeasure):
        return _prove_by_calling(statistic, samples, rules, (samples.scores,))
    measure, clusters = clusters_of(statistic, samples, statistic.decided(samples.scores), rules)
    signs = (1,) * measure.parts
    at = _bounding(clusters, measure.value, signs, rules, lambda upper: question.answer(Bounds(-math.inf, upper)))
    return _Proof(at(1.0), _told("", clusters, samples, rules), at)


def clusters_of(
    measure: BootstrapMeasure, samples: Labelled, decided: NDArray[np.int64], rules: Rules
) -> tuple[BootstrapMeasure, Clusters]:
    """Return the clusters of a set, and the measure as a function of their tallies.

    The F1 of one class is that of two: the class and the rest. That makes few kinds of clusters, whatever the number of
    classes.

    Args:
        measure: The measure.
        samples: Labels and clusters.
        decided: int64 [parts, n].
        rules: Whether class counts are drawn.
    """
    labels, classes = samples.labels, measure.classes
    if measure.label is not None and classes > _TWO:
        labels, decided = (np.asarray(each == measure.label, np.int64) for each in (labels, decided))
        measure, classes = class_f1(_TWO, 1), _TWO
    return measure, cluster(labels, decided, classes, samples.clusters, stratified=rules.stratified)


def _bounding(
    clusters: Clusters, gain: Gain, signs: tuple[int, ...], rules: Rules, answer: Callable[[float], Status]
) -> Callable[[float], Bounds]:
    """Return the function from a multiple of the samples to the bounds of a gain.

    A small chance of a false alarm, shared by many classes, takes many draws. They are spared where the upper bound at
    the confidence of ``held`` shows no alarm: at a smaller chance it lies higher still.

    Args:
        clusters: The set.
        gain: The number to bound.
        signs: See :func:`.bootstrap.bound`.
        rules: Error limits and settings.
        answer: The decision by an upper bound of the gain.
    """

    def at(times: float) -> Bounds:
        below, above = 1.0 - rules.confidence, max(1.0 - rules.confidence, rules.alarm)
        draws = enough_draws(rules.draws, below, above) if times == 1.0 else _PLANNED
        found = bound(clusters, gain, signs, draws=draws, seed=rules.seed, below=below, above=above, times=times)
        if rules.alarm >= above or answer(found.upper) is not Status.BROKEN:
            return found
        draws = max(draws, enough_draws(0, rules.alarm)) if times == 1.0 else draws
        sure = bound(clusters, gain, signs, draws=draws, seed=rules.seed, below=below, above=rules.alarm, times=times)
        return Bounds(found.lower, sure.upper)

    return at


def _prove_drop(statistic: Statistic, samples: Labelled, question: _SampleQuestion, rules: Rules) -> _Proof:
    """Bound a drop."""
    if not isinstance(statistic, BootstrapMeasure):
        proof = _prove_by_calling(statistic, samples, rules, (samples.scores, _reference(samples)))
        return _Proof(proof.bounds.turned, proof.method)
    clusters, gain = _paired(statistic, samples, rules)
    signs = (1,) * statistic.parts + (-1,) * statistic.parts
    small = clusters.number < mcnemar.SMALL and statistic.parts == 1
    exact = _Exact.of(statistic, samples, worst_cost(clusters, gain, signs)) if small else None
    gains = _bounding(clusters, gain, signs, rules, lambda upper: question.answer(Bounds(-upper, math.inf)))

    def at(times: float) -> Bounds:
        drop = gains(times).turned
        return exact.widen(drop, rules, times) if exact else drop

    method = _told("paired ", clusters, samples, rules)
    return _Proof(at(1.0), f"{exact.sentence}; {method}" if exact else method, at)


def _prove_by_calling(statistic: Statistic, samples: Labelled, rules: Rules, scores: tuple[Array, ...]) -> _Proof:
    below, above = 1.0 - rules.confidence, rules.alarm
    found, draws = resampling.bound(
        statistic, samples.labels, scores, samples.clusters, seed=rules.seed, below=below, above=above
    )
    return _Proof(found, f"bootstrap of {draws:,} draws, the function called for each")


def _told(kind: str, clusters: Clusters, samples: Labelled, rules: Rules) -> str:
    what = "samples" if samples.clusters is None else "clusters"
    within = " within their classes" if rules.stratified else ""
    return f"{kind}bootstrap of {clusters.number:,} {what}{within}, {rules.draws:,} draws"


@dataclass(frozen=True, slots=True)
class _Exact:
    """Exact paired test of a small set. A decision that it does not confirm stays ``unproven``.

    Attributes:
        pairs: Counts of harmed and mended clusters.
        weight: Drop of the statistic if all clusters were harmed and each cost as much as the costliest.
    """

    pairs: mcnemar.Pairs
    weight: float

    @classmethod
    def of(cls, measure: BootstrapMeasure, samples: Labelled, worst: float) -> _Exact:
        """Count the pairs. ``worst`` is the largest cost of one additional cluster."""
        ours, theirs = measure.decided(samples.scores)[0], measure.decided(_reference(samples))[0]
        pairs = mcnemar.pairs(samples.labels, ours, theirs, samples.clusters)
        return cls(pairs, worst * (pairs.number + 1))

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        pairs = self.pairs
        counts = f"{pairs.harmed} harmed and {pairs.mended} mended of {pairs.number}"
        return f"exact McNemar, {counts}: p = {mcnemar.harm_p(pairs):.3g}"

    def widen(self, drop: Bounds, rules: Rules, times: float) -> Bounds:
        """Widen the bounds of a drop to those of the exact test."""
        pairs = self.pairs.times(times)
        if pairs.number >= mcnemar.SMALL:  # a larger set is decided without the exact test
            return drop
        most = mcnemar.most_net_harm(pairs, 1.0 - rules.confidence) * self.weight
        harmed = mcnemar.harm_p(pairs) <= rules.alarm
        return Bounds(drop.lower if harmed else min(drop.lower, 0.0), max(drop.upper, most))


def _paired(statistic: BootstrapMeasure, samples: Labelled, rules: Rules) -> tuple[Clusters, Gain]:
    """Return the clusters of both variants' answers, and the gain of the candidate over the reference."""
    decided = np.concatenate([statistic.decided(samples.scores), statistic.decided(_reference(samples))])
    measure, clusters = clusters_of(statistic, samples, decided, rules)
    parts = measure.parts

    def gain(tallies: Floats) -> Floats:
        difference: Floats = measure.value(tallies[..., :parts, :, :]) - measure.value(tallies[..., parts:, :, :])
        return difference

    return clusters, gain


def _settles(proof: _Proof, samples: Labelled, question: _SampleQuestion) -> str:
    """Say what would settle an ``unproven`` decision."""
    more = proof.more
    if more is None:
        return "label further samples, or state a limit that this set can prove"
    times = times_to_settle(lambda times: question.answer(more(times)) is not Status.UNPROVEN)
    if times is None:
        return "no affordable number of samples would settle it, so near is it to its limit: state another limit"
    further = _rounded((_SPARE * times - 1.0) * len(samples.labels))
    return f"about {further:,} further labelled samples like these would settle it, or a limit that this set can prove"


def _rounded(number: float) -> int:
    """Round up to two significant digits: the number is an estimate."""
    step: int = 10 ** max(math.floor(math.log10(max(number, 1.0))) - 1, 0)
    return max(math.ceil(number / step) * step, 1)


def _alike(statistic: Statistic, samples: Labelled) -> bool:
    """Whether both variants are equal on every sample: by decision for a measure, else by score."""
    reference = _reference(samples)
    if isinstance(statistic, BootstrapMeasure):
        return bool(np.array_equal(statistic.decided(samples.scores), statistic.decided(reference)))
    return bool(np.array_equal(samples.scores, reference))


def _reference(samples: Labelled) -> Array:
    if samples.reference is None:
        raise ValueError("a drop needs the reference's scores")
    return samples.reference


def _rounding(scale: float) -> float:
    # A value equal to its limit must hold despite rounding: in float64, 0.92 - 0.878 is above 0.042.
    return 8 * float(np.finfo(np.float64).eps) * max(abs(scale), 1.0)
