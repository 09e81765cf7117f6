"""The hybrid deployment: the cloud answers while the phone is online, the phone while it is not.

Both tiers answer the same user, who must not see which one it was. The clauses are judged of the variant on the phone,
beside the one in the cloud; :class:`eyerace_parity.contract.sections.Hybrid` says which they are and how often each
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, SampleStatistic, compares, decides, either, undecided, unlabelled
from eyerace_parity.checks.guards import GOLDEN, furthest, require_same_shape, require_scores, require_whole
from eyerace_parity.checks.phrases import class_name
from eyerace_parity.contract.base import Limits, Share, limit
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Relation
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.stats import differences, measures
from eyerace_parity.stats.classification import decisions
from eyerace_parity.stats.decisions import Labelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.sections import Hybrid
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array, Need

    NotApplicable = Callable[[Case, "HybridLimits"], str]

_MOST_NAMED = 5
_CURVE = (0.0, 0.25, 0.5, 0.75, 1.0)


class HybridLimits(Limits):
    """What may change for a user when the phone loses its connection. Scores are probabilities, agreement a share."""

    tier_agreement: Share | None = limit("Least share of samples on which phone and cloud decide for the same class.")
    score_shift: Share | None = limit("Largest difference of one reported score between phone and cloud.")
    score_shift_p99: Share | None = limit("Largest 99th percentile of these differences, over all samples and classes.")
    order_agreement: Share | None = limit(
        "Least share of samples whose `hybrid.shown` best scores stand in the same order."
    )
    calibration_shift: Annotated[float, Field(ge=-1.0, le=1.0)] | None = limit(
        "Largest rise of the expected calibration error from the cloud to the phone."
    )
    mixture_f1: Share | None = limit("Least macro-F1 of the mixture in which the phone gives `hybrid.offline_share`.")
    waiting: Share | None = limit("Largest share of the phone's answers whose confidence is below `hybrid.confidence`.")
    waiting_f1: Share | None = limit(
        "Least macro-F1 when those answers wait for the cloud and the phone gives the rest."
    )


hybrid = Family("hybrid", HybridLimits)


@dataclass(frozen=True, slots=True, eq=False)
class _Tiers:
    """Both tiers' answers to the golden set.

    Attributes:
        golden: The golden set's facts.
        stated: The deployment.
        cloud: Name of the cloud's variant.
        device: The phone's scores, [n, classes].
        online: The cloud's scores, [n, classes].
    """

    golden: GoldenFacts
    stated: Hybrid
    cloud: str
    device: Array
    online: Array

    def probabilities(self, scores: Array) -> NDArray[np.float64]:
        """Scores as the app reports them, float64 [n, classes]."""
        logarithms = differences.log_softmax if self.stated.scores == "logits" else differences.log_probabilities
        found: NDArray[np.float64] = np.exp(logarithms(scores))
        return found

    @property
    def confidence(self) -> float:
        """Confidence below which an answer of the phone waits for the cloud."""
        if self.stated.confidence is None:  # no clause that reads it is planned without
            raise LookupError("[hybrid] states no confidence")
        return self.stated.confidence

    @property
    def waits(self) -> NDArray[np.bool_]:
        """Which of the phone's answers are too unsure, bool [n]."""
        found: NDArray[np.bool_] = self.probabilities(self.device).max(axis=1) < self.confidence
        return found


def _cloud(case: Case) -> str:
    stated = case.contract.hybrid
    return (stated.of("cloud", case.contract.variants) if stated else None) or ""


def _needs(case: Case, _limits: HybridLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Outputs), case.need(Outputs, _cloud(case)))


def _not_applicable(case: Case, limits: HybridLimits) -> str:
    stated = case.contract.hybrid
    if stated is None:
        return "the contract has no [hybrid] that says which tiers answer, and how often"
    device = stated.of("device", case.contract.variants)
    if case.name != device:
        return f"{case.name} is not the phone's variant of [hybrid], which is {device}"
    return undecided(case, limits)


_no_labels = either(_not_applicable, unlabelled)


def _no_confidence(case: Case, limits: HybridLimits) -> str:
    if reason := _not_applicable(case, limits):
        return reason
    stated = case.contract.hybrid
    return "" if stated and stated.confidence is not None else "[hybrid] states no confidence below which to wait"


def _tiers(case: Case, findings: ClauseEvidence) -> _Tiers:
    """Return both tiers' scores."""
    golden, device = findings[GOLDEN], findings[case.need(Outputs)]
    cloud = _cloud(case)
    online = findings[case.need(Outputs, cloud)]
    require_scores(case, device, golden)
    require_whole(case, online, golden, accused=False)
    name = case.contract.scores_output
    ours, theirs = device.arrays[name], online.arrays[name]
    require_same_shape(name, (ours, "the phone"), (theirs, "the cloud"))
    stated = case.contract.hybrid
    if stated is None:  # the clause is not planned without
        raise LookupError("the contract has no [hybrid]")
    return _Tiers(golden, stated, cloud, ours, theirs)


_EVERY_CLASS = "add samples of every class"
_SAME_NETWORK = "make both tiers from the same checkpoint with the same preprocessing, or quantise more finely"


_compares = partial(compares, hybrid, needs=_needs, not_applicable=_not_applicable, next_step=_SAME_NETWORK)
_decides = partial(
    decides, hybrid, relation=Relation.AT_LEAST, needs=_needs, next_step=_SAME_NETWORK, undefined=_EVERY_CLASS
)


@_compares("tier_agreement", Relation.AT_LEAST)
def tier_agreement(case: Case, findings: ClauseEvidence) -> Number:
    """Phone and cloud decide for the same class."""
    tiers = _tiers(case, findings)
    ours, theirs = decisions(tiers.device), decisions(tiers.online)
    differ = np.flatnonzero(ours != theirs)
    return Number(
        1.0 - len(differ) / len(ours),
        f"{case.name} on the phone and {tiers.cloud} in the cloud decide {pluralise(len(differ), 'sample')} of"
        f" {len(ours)} differently",
        [
            f"{tiers.golden.ids[int(i)]}: phone {class_name(case, ours[i])}, cloud {class_name(case, theirs[i])}"
            for i in differ[:_MOST_NAMED]
        ],
    )


@_compares("score_shift", Relation.AT_MOST)
def score_shift(case: Case, findings: ClauseEvidence) -> Number:
    """No reported score moves by more than the limit when the phone goes offline."""
    return _shift(case, _tiers(case, findings), 1.0, "the largest shift of a reported score")


@_compares("score_shift_p99", Relation.AT_MOST)
def score_shift_p99(case: Case, findings: ClauseEvidence) -> Number:
    """All but a hundredth of the reported scores move by no more than the limit."""
    return _shift(case, _tiers(case, findings), 0.99, "the 99th percentile of the shifts of reported scores")


def _shift(case: Case, tiers: _Tiers, share: float, what: str) -> Number:
    """Compute a quantile of the shifts, with the samples that move furthest."""
    phone, cloud = tiers.probabilities(tiers.device), tiers.probabilities(tiers.online)
    difference = differences.absolute(phone, cloud)
    value = differences.quantile_at_least(difference, share)
    details = []
    for row, which in furthest(difference, _MOST_NAMED):
        shown = f"phone {format_number(float(phone[row, which]))}, cloud {format_number(float(cloud[row, which]))}"
        details.append(f"{tiers.golden.ids[row]}: {class_name(case, which)} {shown}")
    return Number(value, f"{what} between {case.name} and {tiers.cloud} is {format_number(value)}", details)


@_compares("order_agreement", Relation.AT_LEAST)
def order_agreement(case: Case, findings: ClauseEvidence) -> Number:
    """The best scores that the app shows stand in the same order in both tiers."""
    tiers = _tiers(case, findings)
    same_order = measures.same_order(tiers.device, tiers.online, tiers.stated.shown)
    differ = np.flatnonzero(~same_order)
    return Number(
        1.0 - len(differ) / len(same_order),
        f"the {pluralise(tiers.stated.shown, 'best score')} stand in another order on the phone for {len(differ)}"
        f" of {pluralise(len(same_order), 'sample')}",
        [str(tiers.golden.ids[int(i)]) for i in differ[:_MOST_NAMED]],
    )


@_compares(
    "calibration_shift",
    Relation.AT_MOST,
    not_applicable=_no_labels,
    next_step="calibrate the quantisation on more images, or give the phone's scores a temperature of their own",
)
def calibration_shift(case: Case, findings: ClauseEvidence) -> Number:
    """The phone's confidence is calibrated as well as the cloud's."""
    tiers = _tiers(case, findings)
    labels = _labels(tiers.golden)
    phone, cloud = (
        measures.calibration_error(tiers.probabilities(scores), labels) for scores in (tiers.device, tiers.online)
    )
    return Number(
        phone - cloud,
        f"the expected calibration error is {format_number(phone)} on the phone and "
        f"{format_number(cloud)} in the cloud",
        [f"over {measures.BINS} bins of confidence"],
    )


@_decides("mixture_f1", not_applicable=_no_labels)
def mixture_f1(case: Case, findings: ClauseEvidence) -> SampleStatistic:
    """Users who are offline as often as stated still see enough right answers."""
    tiers = _tiers(case, findings)
    classes, share = tiers.online.shape[1], tiers.stated.offline_share
    # Both tiers' scores side by side, so that a sample is drawn with both of its answers.
    samples = Labelled(_labels(tiers.golden), np.hstack([tiers.device, tiers.online]), clusters=tiers.golden.clusters)
    values = {at: measures.mixture_f1(classes, at)(samples.labels, samples.scores) for at in _CURVE}
    curve = ", ".join(f"{format_number(value)} at {at:.0%}" for at, value in values.items())
    return SampleStatistic(
        measures.mixture_f1(classes, share),
        samples,
        lambda found: f"with {share:.0%} of the answers from the phone the macro-F1 is {format_number(found.value)}",
        [f"by the share that the phone answers: {curve}"],
    )


@_compares(
    "waiting",
    Relation.AT_MOST,
    not_applicable=_no_confidence,
    next_step="lower hybrid.confidence, or train for the images that are unsure",
)
def waiting(case: Case, findings: ClauseEvidence) -> Number:
    """Few enough of the phone's answers are too unsure to be shown without the cloud."""
    tiers = _tiers(case, findings)
    wait = tiers.waits
    return Number(
        float(wait.mean()),
        f"{int(wait.sum())} of {pluralise(len(wait), 'answer')} of the phone are less sure than"
        f" {format_number(tiers.confidence)}",
        [str(tiers.golden.ids[int(i)]) for i in np.flatnonzero(wait)[:_MOST_NAMED]],
    )


@_decides("waiting_f1", not_applicable=either(_no_labels, _no_confidence))
def waiting_f1(case: Case, findings: ClauseEvidence) -> SampleStatistic:
    """Answers are right often enough if the phone leaves its unsure answers to the cloud."""
    tiers = _tiers(case, findings)
    wait, labels = tiers.waits, _labels(tiers.golden)
    answered = np.where(wait[:, None], tiers.online, tiers.device)
    macro_f1 = measures.macro_f1(answered.shape[1])
    alone = macro_f1(labels, tiers.device)
    return SampleStatistic(
        macro_f1,
        Labelled(labels, answered, clusters=tiers.golden.clusters),
        lambda found: (
            f"the macro-F1 is {format_number(found.value)} when {int(wait.sum())} of"
            f" {pluralise(len(wait), 'answer')} wait for the cloud, and {format_number(alone)} when none does"
        ),
        [f"an answer waits whose confidence is below {format_number(tiers.confidence)}"],
    )


def _labels(golden: GoldenFacts) -> NDArray[np.int64]:
    if golden.labels is None:  # the clause is not planned without
        raise LookupError("the golden set has no labels")
    return golden.labels
