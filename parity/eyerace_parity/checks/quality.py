"""Quality: how often a variant decides rightly, and how much worse than its reference it does.

The golden set is a sample: what it shows is decided as such, by :mod:`eyerace_parity.stats.decisions`; here stand the
words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family, SignificanceSource
from eyerace_parity.checks.guards import GOLDEN, unusable_scores
from eyerace_parity.checks.phrases import cannot_judge, decided, first_ids, sentence_for, unknown
from eyerace_parity.contract.base import Limits, Share
from eyerace_parity.contract.extended import metric_of
from eyerace_parity.core.errors import ParityError
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.stats import classification, measures
from eyerace_parity.stats.decisions import Labelled, Statistic, decide_drop, decide_floor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array, Need
    from eyerace_parity.stats.decisions import Decision

Drop = Annotated[float, Field(ge=-1.0, le=1.0)]

_MOST_NAMED = 5


class QualityLimits(Limits):
    """Floors of a variant on the labelled golden set, and drops against its reference. F1 and accuracy are shares."""

    f1: Share | None = Field(
        default=None, description="Least macro-F1: the mean over the classes, each of equal weight."
    )
    micro_f1: Share | None = Field(default=None, description="Least micro-F1: all decisions pooled.")
    accuracy: Share | None = Field(default=None, description="Least share of right decisions.")
    metric: float | None = Field(default=None, description="Least value of the contract's own metric.")
    f1_drop: Drop | None = Field(default=None, description="Largest macro-F1 of the reference minus the variant's.")
    micro_f1_drop: Drop | None = Field(default=None, description="Largest drop of micro-F1 against the reference.")
    accuracy_drop: Drop | None = Field(default=None, description="Largest drop of accuracy against the reference.")
    metric_drop: float | None = Field(default=None, description="Largest drop of the contract's own metric.")
    f1_drop_per_class: Drop | dict[str, Drop] | None = Field(
        default=None,
        description="Largest drop of the F1 of every class against the reference: one number for all, or a table.",
    )
    f1_per_class: Share | dict[str, Share] | None = Field(
        default=None, description="Least F1 of every class: one number for all, or a table from class to number."
    )


quality = Family("quality", QualityLimits)


def _needs(case: Case, _limits: QualityLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Outputs))


def _paired_needs(case: Case, _limits: QualityLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Outputs), case.need(Outputs, case.reference))


def _unfit(case: Case, _limits: QualityLimits) -> str:
    if not case.contract.classes:
        return "the contract names no classes"
    return "" if case.labelled else "the golden set has no labels"


def _unfit_drop(case: Case, limits: QualityLimits) -> str:
    return _unfit(case, limits) or ("" if case.reference else f"{case.name} has no reference to drop below")


def _unfit_metric(case: Case, limits: QualityLimits) -> str:
    return _unfit(case, limits) or ("" if case.contract.metric else "the contract names no metric")


def _unfit_metric_drop(case: Case, limits: QualityLimits) -> str:
    return _unfit_metric(case, limits) or _unfit_drop(case, limits)


def _unfit_classes(case: Case, key: str, demand: object) -> str:
    if isinstance(demand, dict):
        if not demand:
            return f"{key} names no class"
        for name in demand:
            if name not in case.contract.classes:
                return unknown(f"{key}.{name}", case.contract.classes, name, "class")
    return ""


def _unfit_per_class(case: Case, limits: QualityLimits) -> str:
    return _unfit_classes(case, "f1_per_class", limits.f1_per_class) or _unfit(case, limits)


def _unfit_drop_per_class(case: Case, limits: QualityLimits) -> str:
    return _unfit_classes(case, "f1_drop_per_class", limits.f1_drop_per_class) or _unfit_drop(case, limits)


def _gather(case: Case, findings: ClauseEvidence, *, paired: bool) -> Labelled | Judgement:
    """Bring labels and scores together, or judge why they do not come together."""
    golden, outputs = findings[GOLDEN], findings[case.need(Outputs)]
    reference = findings[case.need(Outputs, case.reference)] if paired else None
    if refused := unusable_scores(case, outputs, golden, reference):
        return refused
    labels = golden.labels
    if labels is None or len(labels) != outputs.expected or golden.classes != case.contract.classes:
        return cannot_judge(
            "the golden set's labels do not fit its samples and the contract's classes", "measure the golden set again"
        )
    if labels.min() < 0 or labels.max() >= len(golden.classes):
        return cannot_judge("a label lies outside the contract's classes", "correct the labels, or the classes")
    name = case.contract.scores_output
    other = reference.arrays[name] if reference is not None else None
    return Labelled(labels, outputs.arrays[name], other, golden.clusters)


def _without_samples(
    contract: Contract, labels: NDArray[np.int64], classes: Iterable[str] | None = None
) -> Judgement | None:
    """Judge a set on which the F1 of one of some classes, or of any, is not defined: it must not be averaged away."""
    support = np.bincount(labels, minlength=len(contract.classes))
    there = {name for name, number in zip(contract.classes, support, strict=True) if number}
    absent = [name for name in classes or contract.classes if name not in there]
    if not absent:
        return None
    return cannot_judge(
        f"the golden set has no sample of {join_names(absent)}, so its F1 is not defined",
        "add golden samples of every class, or take the class out of the contract",
    )


def _floor(
    case: Case, findings: ClauseEvidence, name: str, statistic: Statistic, least: float, *, every_class: bool = False
) -> Judgement:
    """Judge a statistic against its floor."""
    samples = _gather(case, findings, paired=False)
    if isinstance(samples, Judgement):
        return samples
    if every_class and (refused := _without_samples(case.contract, samples.labels)):
        return refused
    decision = decide_floor(statistic, samples, least, case.rules)
    return decided(
        case,
        decision,
        Relation.AT_LEAST,
        least,
        found=f"{name} of {case.name} is {format_number(decision.value)} on {pluralise(len(samples.labels), 'sample')}",
        next_step="train or calibrate on more of the classes that it mistakes, or keep more layers in float",
        details=_by_class(case.contract, samples),
    )


def _drop(
    case: Case, findings: ClauseEvidence, name: str, statistic: Statistic, margin: float, *, every_class: bool = False
) -> Judgement:
    """Judge how far a statistic lies below the reference's."""
    samples = _gather(case, findings, paired=True)
    if isinstance(samples, Judgement):
        return samples
    if every_class and (refused := _without_samples(case.contract, samples.labels)):
        return refused
    decision = decide_drop(statistic, samples, margin, case.rules)
    return decided(
        case,
        decision,
        Relation.AT_MOST,
        margin,
        found=f"{name} {_changed(case, decision)}",
        next_step="look at the flipped samples; calibrate on more such images, or keep the last layers in float",
        details=_flips(case, findings[GOLDEN], samples),
    )


def _changed(case: Case, decision: Decision) -> str:
    """Say how a statistic differs between the two variants."""
    known = "not known" if decision.reference is None else format_number(decision.reference)
    change = f"{'rises' if decision.value < 0 else 'drops'} by {format_number(abs(decision.value))}"
    return (
        f"{change if decision.value else 'does not change'}: {known} in {case.reference},"
        f" {format_number(decision.candidate)} in {case.name}"
    )


def _by_class(contract: Contract, samples: Labelled) -> list[str]:
    """Tell the F1 of every class with its commonest confusion."""
    counts = classification.confusion(samples.labels, classification.decisions(samples.scores), len(contract.classes))
    scores = classification.f1_by_class(counts)
    return [
        f"{name}: F1 {format_number(float(scores[index]))}{_taken_for(contract, counts, index)}"
        for index, name in enumerate(contract.classes)
    ]


def _taken_for(contract: Contract, counts: NDArray[np.int64], label: int) -> str:
    """Say what the samples of a class were mistaken for, most often first."""
    wrong = [(int(counts[label, other]), other) for other in range(len(counts)) if other != label]
    named = [f"{contract.classes[other]} {number}×" for number, other in sorted(wrong, key=lambda w: -w[0]) if number]  # noqa: RUF001
    return f", {int(counts[label].sum())} samples" + (f", taken for {join_names(named, most=3)}" if named else "")


def _flips(case: Case, golden: GoldenFacts, samples: Labelled) -> list[str]:
    """Tell how many decisions flipped, by who was right, with the first images of each kind."""
    if samples.reference is None:
        return []
    ours, theirs = classification.decisions(samples.scores), classification.decisions(samples.reference)
    found = classification.flips(samples.labels, ours, theirs)
    kinds = {"right→wrong": found.harmed, "wrong→right": found.mended, "wrong→wrong": found.moved}
    lines = [f"{found.total} of {len(samples.labels)} decisions flip between {case.reference} and {case.name}"]
    for kind, indices in kinds.items():
        named = [golden.ids[int(i)] for i in indices]
        lines.append(f"{kind}: {len(indices)}" + (f" ({join_names(named, most=_MOST_NAMED)})" if named else ""))
    return lines


def _own_metric(case: Case) -> Statistic:
    """Load the contract's own metric as a statistic.

    Raises:
        ParityError: It cannot be loaded, fails, or returns no number.
    """
    spec = case.contract.metric or ""
    metric = metric_of(case.contract)

    def statistic(labels: NDArray[np.int64], scores: Array) -> float:
        try:
            # Copies, so that a metric that sorts in place cannot spoil what other clauses read.
            return float(metric(labels.copy(), scores.copy()))
        except (Exception, SystemExit) as error:
            raise ParityError(
                f"the metric {spec} failed: {type(error).__name__}: {error}",
                next_step="it is called with labels int64 [n] and scores [n, classes], and must return one number",
            ) from error

    return statistic


def _judge_metric(
    case: Case, findings: ClauseEvidence, *, least: float | None = None, margin: float = 0.0
) -> Judgement:
    name = f"metric {case.contract.metric}"
    try:
        statistic = _own_metric(case)
        if least is not None:
            return _floor(case, findings, name, statistic, least)
        return _drop(case, findings, name, statistic, margin)
    except ParityError as error:
        return cannot_judge(error.reason, error.next_step)


@quality.clause("f1", limit="f1", needs=_needs, unfit=_unfit, rests=SignificanceSource.ON_STATISTICS)
def f1(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """Macro-F1 reaches its floor."""
    statistic = measures.macro_f1(len(case.contract.classes))
    return _floor(case, findings, "macro-F1", statistic, limits.f1 or 0.0, every_class=True)


@quality.clause("micro_f1", limit="micro_f1", needs=_needs, unfit=_unfit, rests=SignificanceSource.ON_STATISTICS)
def micro_f1(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """Micro-F1 reaches its floor."""
    statistic = measures.accuracy(len(case.contract.classes))
    return _floor(case, findings, "micro-F1", statistic, limits.micro_f1 or 0.0)


@quality.clause("accuracy", limit="accuracy", needs=_needs, unfit=_unfit, rests=SignificanceSource.ON_STATISTICS)
def accuracy(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The share of right decisions reaches its floor."""
    statistic = measures.accuracy(len(case.contract.classes))
    return _floor(case, findings, "accuracy", statistic, limits.accuracy or 0.0)


@quality.clause("metric", limit="metric", needs=_needs, unfit=_unfit_metric, rests=SignificanceSource.ON_STATISTICS)
def metric(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The contract's own metric reaches its floor."""
    return _judge_metric(case, findings, least=limits.metric)


@quality.clause(
    "f1_drop", limit="f1_drop", needs=_paired_needs, unfit=_unfit_drop, rests=SignificanceSource.ON_STATISTICS
)
def f1_drop(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """Macro-F1 lies no further below the reference's than the margin."""
    statistic = measures.macro_f1(len(case.contract.classes))
    return _drop(case, findings, "macro-F1", statistic, limits.f1_drop or 0.0, every_class=True)


@quality.clause(
    "micro_f1_drop",
    limit="micro_f1_drop",
    needs=_paired_needs,
    unfit=_unfit_drop,
    rests=SignificanceSource.ON_STATISTICS,
)
def micro_f1_drop(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """Micro-F1 lies no further below the reference's than the margin."""
    statistic = measures.accuracy(len(case.contract.classes))
    return _drop(case, findings, "micro-F1", statistic, limits.micro_f1_drop or 0.0)


@quality.clause(
    "accuracy_drop",
    limit="accuracy_drop",
    needs=_paired_needs,
    unfit=_unfit_drop,
    rests=SignificanceSource.ON_STATISTICS,
)
def accuracy_drop(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The share of right decisions lies no further below the reference's than the margin."""
    statistic = measures.accuracy(len(case.contract.classes))
    return _drop(case, findings, "accuracy", statistic, limits.accuracy_drop or 0.0)


@quality.clause(
    "metric_drop",
    limit="metric_drop",
    needs=_paired_needs,
    unfit=_unfit_metric_drop,
    rests=SignificanceSource.ON_STATISTICS,
)
def metric_drop(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The contract's own metric lies no further below the reference's than the margin."""
    return _judge_metric(case, findings, margin=limits.metric_drop or 0.0)


@quality.clause(
    "f1_drop_per_class",
    limit="f1_drop_per_class",
    needs=_paired_needs,
    unfit=_unfit_drop_per_class,
    rests=SignificanceSource.ON_STATISTICS,
)
def f1_drop_per_class(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The F1 of no single class lies further below the reference's than the margin."""
    samples = _gather(case, findings, paired=True)
    if isinstance(samples, Judgement):
        return samples
    margins = _by_name(case, limits.f1_drop_per_class)
    if refused := _without_samples(case.contract, samples.labels, margins):
        return refused
    classes, rules = case.contract.classes, case.rules.among(len(margins))
    found = {
        name: decide_drop(measures.class_f1(len(classes), classes.index(name)), samples, margin, rules)
        for name, margin in margins.items()
    }
    worst, others = first_ids(found, margins)
    return decided(
        case,
        found[worst],
        Relation.AT_MOST,
        margins[worst],
        found=f"F1 of {worst} {_changed(case, found[worst])}{others}",
        next_step=f"look at the flipped samples of {worst}; calibrate on more of them",
        details=[*sentence_for(found, margins, Relation.AT_MOST), *_flips(case, findings[GOLDEN], samples)],
    )


@quality.clause(
    "f1_per_class", limit="f1_per_class", needs=_needs, unfit=_unfit_per_class, rests=SignificanceSource.ON_STATISTICS
)
def f1_per_class(case: Case, limits: QualityLimits, findings: ClauseEvidence) -> Judgement:
    """The F1 of every single class reaches its floor."""
    samples = _gather(case, findings, paired=False)
    if isinstance(samples, Judgement):
        return samples
    floors = _by_name(case, limits.f1_per_class)
    if refused := _without_samples(case.contract, samples.labels, floors):
        return refused
    classes, rules = case.contract.classes, case.rules.among(len(floors))
    found = {
        name: decide_floor(measures.class_f1(len(classes), classes.index(name)), samples, floor, rules)
        for name, floor in floors.items()
    }
    worst, others = first_ids(found, floors)
    counts = classification.confusion(samples.labels, classification.decisions(samples.scores), len(classes))
    confusions = _taken_for(case.contract, counts, classes.index(worst))
    return decided(
        case,
        found[worst],
        Relation.AT_LEAST,
        floors[worst],
        found=f"F1 of {worst} is {format_number(found[worst].value)}{confusions}{others}",
        next_step=f"train or calibrate on more samples of {worst} and of what it is taken for",
        details=[*sentence_for(found, floors, Relation.AT_LEAST), *_by_class(case.contract, samples)],
    )


def _by_name(case: Case, demand: float | dict[str, float] | None) -> dict[str, float]:
    """The limit of each class that has one."""
    return demand if isinstance(demand, dict) else dict.fromkeys(case.contract.classes, demand or 0.0)
