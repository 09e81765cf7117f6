"""The hybrid deployment: the cloud answers while the phone is online, the phone while it is not.

Both tiers answer the same user, who must not see which one it was. The clauses are judged of the variant on the phone,
beside the one in the cloud; :class:`eyerace_parity.contract.sections.Hybrid` says which they are and how often each
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family, SignificanceSource
from eyerace_parity.checks.guards import GOLDEN, output_defect, unusable_scores
from eyerace_parity.checks.phrases import compare_to_limit, decided
from eyerace_parity.contract.base import Limits, Share
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.stats import differences, measures
from eyerace_parity.stats.classification import decisions
from eyerace_parity.stats.decisions import Labelled, decide_floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.sections import Hybrid
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array, Need

_MOST_NAMED = 5
_CURVE = (0.0, 0.25, 0.5, 0.75, 1.0)


class HybridLimits(Limits):
    """What may change for a user when the phone loses its connection. Scores are probabilities, agreement a share."""

    tier_agreement: Share | None = Field(
        default=None, description="Least share of samples on which phone and cloud decide for the same class."
    )
    score_shift: Share | None = Field(
        default=None, description="Largest difference of one reported score between phone and cloud."
    )
    score_shift_p99: Share | None = Field(
        default=None, description="Largest 99th percentile of these differences, over all samples and classes."
    )
    order_agreement: Share | None = Field(
        default=None, description="Least share of samples whose `hybrid.shown` best scores stand in the same order."
    )
    calibration_shift: Annotated[float, Field(ge=-1.0, le=1.0)] | None = Field(
        default=None, description="Largest rise of the expected calibration error from the cloud to the phone."
    )
    mixture_f1: Share | None = Field(
        default=None, description="Least macro-F1 of the mixture in which the phone gives `hybrid.offline_share`."
    )
    waiting: Share | None = Field(
        default=None, description="Largest share of the phone's answers whose confidence is below `hybrid.confidence`."
    )
    waiting_f1: Share | None = Field(
        default=None, description="Least macro-F1 when those answers wait for the cloud and the phone gives the rest."
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


def _cloud(case: Case) -> str:
    stated = case.contract.hybrid
    return (stated.of("cloud", case.contract.variants) if stated else None) or ""


def _needs(case: Case, _limits: HybridLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Outputs), case.need(Outputs, _cloud(case)))


def _unfit(case: Case, _limits: HybridLimits) -> str:
    stated = case.contract.hybrid
    if stated is None:
        return "the contract has no [hybrid] that says which tiers answer, and how often"
    device = stated.of("device", case.contract.variants)
    if case.name != device:
        return f"{case.name} is not the phone's variant of [hybrid], which is {device}"
    if not case.contract.classes and case.contract.golden.scores is None:
        return "the contract names neither classes nor golden.scores, so no output decides"
    return ""


def _unfit_labels(case: Case, limits: HybridLimits) -> str:
    return _unfit(case, limits) or ("" if case.labelled else "the golden set has no labels")


def _unfit_confidence(case: Case, limits: HybridLimits) -> str:
    if reason := _unfit(case, limits):
        return reason
    stated = case.contract.hybrid
    return "" if stated and stated.confidence is not None else "[hybrid] states no confidence below which to wait"


def _unfit_waiting(case: Case, limits: HybridLimits) -> str:
    return _unfit_labels(case, limits) or _unfit_confidence(case, limits)


def _tiers(case: Case, findings: ClauseEvidence) -> _Tiers | Judgement:
    """Take both tiers' scores, or say why there are none to compare."""
    golden, device = findings[GOLDEN], findings[case.need(Outputs)]
    cloud = _cloud(case)
    online = findings[case.need(Outputs, cloud)]
    if refused := unusable_scores(case, device, golden):
        return refused
    if fault := output_defect(case, online, golden):
        return fault.judgement(accused=False)
    name = case.contract.scores_output
    ours, theirs = device.arrays[name], online.arrays[name]
    if ours.shape != theirs.shape:
        return Judgement(
            Status.BROKEN,
            reason=f"{name} has the shape {list(ours.shape[1:])} a sample on the phone, {list(theirs.shape[1:])} in the"
            " cloud",
            next_step="export both tiers from the same network",
        )
    stated = case.contract.hybrid
    if stated is None:  # the clause is not planned without
        message = "the contract has no [hybrid]"
        raise LookupError(message)
    return _Tiers(golden, stated, cloud, ours, theirs)


_EVERY_CLASS = "add samples of every class"
_SAME_NETWORK = "make both tiers from the same checkpoint with the same preprocessing, or quantise more finely"


@hybrid.clause("tier_agreement", limit="tier_agreement", needs=_needs, unfit=_unfit)
def tier_agreement(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """Phone and cloud decide for the same class."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    ours, theirs = decisions(tiers.device), decisions(tiers.online)
    differ = np.flatnonzero(ours != theirs)
    return compare_to_limit(
        Relation.AT_LEAST,
        limits.tier_agreement or 0.0,
        1.0 - len(differ) / len(ours),
        found=f"{case.name} on the phone and {tiers.cloud} in the cloud decide {pluralise(len(differ), 'sample')} of"
        f" {len(ours)} differently",
        next_step=_SAME_NETWORK,
        details=[
            f"{tiers.golden.ids[int(i)]}: phone {_class(case, int(ours[i]))}, cloud {_class(case, int(theirs[i]))}"
            for i in differ[:_MOST_NAMED]
        ],
    )


@hybrid.clause("score_shift", limit="score_shift", needs=_needs, unfit=_unfit)
def score_shift(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """No reported score moves by more than the limit when the phone goes offline."""
    return _shift(case, findings, limits.score_shift or 0.0, 1.0, "the largest shift of a reported score")


@hybrid.clause("score_shift_p99", limit="score_shift_p99", needs=_needs, unfit=_unfit)
def score_shift_p99(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """All but a hundredth of the reported scores move by no more than the limit."""
    return _shift(
        case, findings, limits.score_shift_p99 or 0.0, 0.99, "the 99th percentile of the shifts of reported scores"
    )


def _shift(case: Case, findings: ClauseEvidence, limit: float, share: float, what: str) -> Judgement:
    """Judge a quantile of the shifts, and name the samples that move furthest."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    phone, cloud = tiers.probabilities(tiers.device), tiers.probabilities(tiers.online)
    apart = differences.absolute(phone, cloud)
    value = differences.quantile_at_least(apart, share)
    worst = np.argsort(-apart.max(axis=1), kind="stable")[:_MOST_NAMED]
    details = []
    for row in (int(row) for row in worst if apart[int(row)].max() > 0):
        which = int(np.argmax(apart[row]))
        shown = f"phone {format_number(float(phone[row, which]))}, cloud {format_number(float(cloud[row, which]))}"
        details.append(f"{tiers.golden.ids[row]}: {_class(case, which)} {shown}")
    return compare_to_limit(
        Relation.AT_MOST,
        limit,
        value,
        found=f"{what} between {case.name} and {tiers.cloud} is {format_number(value)}",
        next_step=_SAME_NETWORK,
        details=details,
    )


@hybrid.clause("order_agreement", limit="order_agreement", needs=_needs, unfit=_unfit)
def order_agreement(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """The best scores that the app shows stand in the same order in both tiers."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    alike = measures.same_order(tiers.device, tiers.online, tiers.stated.shown)
    differ = np.flatnonzero(~alike)
    return compare_to_limit(
        Relation.AT_LEAST,
        limits.order_agreement or 0.0,
        1.0 - len(differ) / len(alike),
        found=f"the {pluralise(tiers.stated.shown, 'best score')} stand in another order on the phone for {len(differ)}"
        f" of {pluralise(len(alike), 'sample')}",
        next_step=_SAME_NETWORK,
        details=[str(tiers.golden.ids[int(i)]) for i in differ[:_MOST_NAMED]],
    )


@hybrid.clause("calibration_shift", limit="calibration_shift", needs=_needs, unfit=_unfit_labels)
def calibration_shift(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """The phone's confidence is as true as the cloud's."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    labels = _labels(tiers.golden)
    phone, cloud = (
        measures.calibration_error(tiers.probabilities(scores), labels) for scores in (tiers.device, tiers.online)
    )
    return compare_to_limit(
        Relation.AT_MOST,
        limits.calibration_shift or 0.0,
        phone - cloud,
        found=f"the expected calibration error is {format_number(phone)} on the phone and "
        f"{format_number(cloud)} in the cloud",
        next_step="calibrate the quantisation on more images, or give the phone's scores a temperature of their own",
        details=[f"over {measures.BINS} bins of confidence"],
    )


@hybrid.clause(
    "mixture_f1", limit="mixture_f1", needs=_needs, unfit=_unfit_labels, rests=SignificanceSource.ON_STATISTICS
)
def mixture_f1(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """Users who are offline as often as stated still see enough right answers."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    classes = tiers.online.shape[1]
    # Both tiers' scores side by side, so that a sample is drawn with both of its answers.
    samples = Labelled(_labels(tiers.golden), np.hstack([tiers.device, tiers.online]), clusters=tiers.golden.clusters)

    share = tiers.stated.offline_share
    decision = decide_floor(measures.mixture_f1(classes, share), samples, limits.mixture_f1 or 0.0, case.rules)
    values = {at: measures.mixture_f1(classes, at)(samples.labels, samples.scores) for at in _CURVE}
    curve = ", ".join(f"{format_number(value)} at {at:.0%}" for at, value in values.items())
    return decided(
        case,
        decision,
        Relation.AT_LEAST,
        limits.mixture_f1 or 0.0,
        found=f"with {share:.0%} of the answers from the phone the macro-F1 is {format_number(decision.value)}",
        next_step=_SAME_NETWORK,
        details=[f"by the share that the phone answers: {curve}"],
        undefined=_EVERY_CLASS,
    )


@hybrid.clause("waiting", limit="waiting", needs=_needs, unfit=_unfit_confidence)
def waiting(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """Few enough of the phone's answers are too unsure to be shown without the cloud."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    wait = _waits(tiers)
    return compare_to_limit(
        Relation.AT_MOST,
        limits.waiting or 0.0,
        float(wait.mean()),
        found=f"{int(wait.sum())} of {pluralise(len(wait), 'answer')} of the phone are less sure than"
        f" {format_number(tiers.stated.confidence or 0.0)}",
        next_step="lower hybrid.confidence, or train for the images that are unsure",
        details=[str(tiers.golden.ids[int(i)]) for i in np.flatnonzero(wait)[:_MOST_NAMED]],
    )


@hybrid.clause(
    "waiting_f1", limit="waiting_f1", needs=_needs, unfit=_unfit_waiting, rests=SignificanceSource.ON_STATISTICS
)
def waiting_f1(case: Case, limits: HybridLimits, findings: ClauseEvidence) -> Judgement:
    """Answers are right often enough when the phone leaves those to the cloud that it is unsure of."""
    tiers = _tiers(case, findings)
    if isinstance(tiers, Judgement):
        return tiers
    wait, labels = _waits(tiers), _labels(tiers.golden)
    answered = np.where(wait[:, None], tiers.online, tiers.device)
    macro_f1 = measures.macro_f1(answered.shape[1])
    samples = Labelled(labels, answered, clusters=tiers.golden.clusters)
    decision = decide_floor(macro_f1, samples, limits.waiting_f1 or 0.0, case.rules)
    alone = macro_f1(labels, tiers.device)
    return decided(
        case,
        decision,
        Relation.AT_LEAST,
        limits.waiting_f1 or 0.0,
        found=f"the macro-F1 is {format_number(decision.value)} when {int(wait.sum())} of "
        f"{pluralise(len(wait), 'answer')} wait"
        f" for the cloud, and {format_number(alone)} when none does",
        next_step=_SAME_NETWORK,
        details=[f"an answer waits whose confidence is below {format_number(tiers.stated.confidence or 0.0)}"],
        undefined=_EVERY_CLASS,
    )


def _waits(tiers: _Tiers) -> NDArray[np.bool_]:
    """Which of the phone's answers are too unsure, bool [n]."""
    sure = tiers.probabilities(tiers.device).max(axis=1)
    found: NDArray[np.bool_] = sure < (tiers.stated.confidence or 0.0)
    return found


def _labels(golden: GoldenFacts) -> NDArray[np.int64]:
    if golden.labels is None:  # the clause is not planned without
        message = "the golden set has no labels"
        raise LookupError(message)
    return golden.labels


def _class(case: Case, index: int) -> str:
    return case.contract.classes[index] if case.contract.classes else f"class {index}"
