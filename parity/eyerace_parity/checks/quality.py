"""Quality: how often a variant decides rightly, and how much worse than its reference.

The golden set is a sample, so :mod:`eyerace_parity.stats.decisions` decides what it proves; this module has the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import (
    SamplesOfClasses,
    SampleStatistic,
    decides,
    decides_per_class,
    either,
    needs,
    unlabelled,
    unreferenced,
)
from eyerace_parity.checks.guards import GOLDEN, labelled_scores, require_samples
from eyerace_parity.checks.phrases import cannot_judge
from eyerace_parity.contract.base import Limits, Share, limit
from eyerace_parity.contract.extended import metric_of
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.stats import classification, measures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.decisions import Decision, Labelled, Statistic

    NotApplicable = Callable[[Case, "QualityLimits"], str]

Drop = Annotated[float, Field(ge=-1.0, le=1.0)]

_MOST_NAMED = 5


class QualityLimits(Limits):
    """Floors of a variant on the labelled golden set, and drops against its reference. F1 and accuracy are shares."""

    renamed = {"micro_f1": "accuracy", "micro_f1_drop": "accuracy_drop"}

    f1: Share | None = limit("Least macro-F1: the mean over the classes, each of equal weight.")
    accuracy: Share | None = limit("Least share of right decisions.")
    metric: float | None = limit("Least value of the contract's own metric.")
    f1_drop: Drop | None = limit("Largest macro-F1 of the reference minus the variant's.")
    accuracy_drop: Drop | None = limit("Largest drop of accuracy against the reference.")
    metric_drop: float | None = limit("Largest drop of the contract's own metric.")
    f1_drop_per_class: Drop | dict[str, Drop] | None = limit(
        "Largest drop of the F1 of every class against the reference: one number for all, or a table."
    )
    f1_per_class: Share | dict[str, Share] | None = limit(
        "Least F1 of every class: one number for all, or a table from class to number."
    )


quality = Family("quality", QualityLimits)

_undropped = either(unlabelled, unreferenced("to drop below"))


def _no_metric(case: Case, limits: QualityLimits) -> str:
    return unlabelled(case, limits) or ("" if case.contract.metric else "the contract names no metric")


@dataclass(frozen=True, slots=True)
class _Measure:
    """A statistic that a contract may limit.

    Attributes:
        name: What it is called, from the contract.
        of: The statistic, from the case.
        every_class: Whether it is not defined on a set without samples of a class.
    """

    name: Callable[[Contract], str]
    of: Callable[[Case], Statistic]
    every_class: bool = False

    def samples(self, case: Case, findings: ClauseEvidence, *, paired: bool) -> Labelled:
        """The samples that it is computed from."""
        found = labelled_scores(case, findings, case.need(Outputs, case.reference) if paired else None)
        if self.every_class:
            require_samples(case.contract, found.labels)
        return found


def _floor(name: str, measure: _Measure, summary: str, *, not_applicable: NotApplicable = unlabelled) -> None:
    """Declare the clause that a measure reaches its floor."""

    def statistic(case: Case, findings: ClauseEvidence) -> SampleStatistic:
        samples = measure.samples(case, findings, paired=False)
        called, number = measure.name(case.contract), pluralise(len(samples.labels), "sample")
        return SampleStatistic(
            measure.of(case),
            samples,
            lambda decision: f"{called} of {case.name} is {format_number(decision.value)} on {number}",
            _by_class(case.contract, samples),
        )

    statistic.__doc__ = summary
    step = "train or calibrate on more of the classes that it mistakes, or keep more layers in float"
    decides(
        quality,
        name,
        Relation.AT_LEAST,
        needs=needs(GoldenFacts, Outputs),
        not_applicable=not_applicable,
        next_step=step,
    )(statistic)


def _drop(name: str, measure: _Measure, summary: str, *, not_applicable: NotApplicable = _undropped) -> None:
    """Declare the clause that a measure is no further below the reference's than a margin."""

    def statistic(case: Case, findings: ClauseEvidence) -> SampleStatistic:
        samples = measure.samples(case, findings, paired=True)
        called = measure.name(case.contract)
        return SampleStatistic(
            measure.of(case),
            samples,
            lambda decision: f"{called} {_changed(case, decision)}",
            _flips(case, findings[GOLDEN], samples),
        )

    statistic.__doc__ = summary
    step = "look at the flipped samples; calibrate on more such images, or keep the last layers in float"
    decides(
        quality,
        name,
        Relation.AT_MOST,
        needs=needs(GoldenFacts, Outputs, reference=Outputs),
        not_applicable=not_applicable,
        next_step=step,
    )(statistic)


def _changed(case: Case, decision: Decision) -> str:
    """Describe the difference of a statistic between the two variants."""
    known = "not known" if decision.reference is None else format_number(decision.reference)
    change = f"{'rises' if decision.value < 0 else 'drops'} by {format_number(abs(decision.value))}"
    return (
        f"{change if decision.value else 'does not change'}: {known} in {case.reference},"
        f" {format_number(decision.candidate)} in {case.name}"
    )


def _by_class(contract: Contract, samples: Labelled) -> list[str]:
    """Write a line for every class with its F1 and its most frequent confusions."""
    counts = classification.confusion(samples.labels, classification.decisions(samples.scores), len(contract.classes))
    scores = classification.f1_by_class(counts)
    return [
        f"{name}: F1 {format_number(float(scores[index]))}{_taken_for(contract, counts, index)}"
        for index, name in enumerate(contract.classes)
    ]


def _taken_for(contract: Contract, counts: NDArray[np.int64], label: int) -> str:
    """List the classes that samples of a class are mistaken for, the most frequent first."""
    wrong = [(int(counts[label, other]), other) for other in range(len(counts)) if other != label]
    named = [f"{contract.classes[other]} {number}×" for number, other in sorted(wrong, key=lambda w: -w[0]) if number]  # noqa: RUF001
    return f", {int(counts[label].sum())} samples" + (f", taken for {join_names(named, most=3)}" if named else "")


def _flips(case: Case, golden: GoldenFacts, samples: Labelled) -> list[str]:
    """Count the flipped decisions by kind, with the first images of each kind."""
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
        ParityError: It cannot be loaded.
    """
    spec = case.contract.metric or ""
    metric = metric_of(case.contract)

    def statistic(labels: NDArray[np.int64], scores: Array) -> float:
        try:
            # Copies, so that a metric that sorts in place cannot spoil what other clauses read.
            return float(metric(labels.copy(), scores.copy()))
        except (Exception, SystemExit) as error:
            raise cannot_judge(
                f"the metric {spec} failed: {type(error).__name__}: {error}",
                "it is called with labels int64 [n] and scores [n, classes], and must return one number",
            ) from error

    return statistic


_MACRO_F1 = _Measure(lambda _: "macro-F1", lambda case: measures.macro_f1(len(case.contract.classes)), every_class=True)
_ACCURACY = _Measure(lambda _: "accuracy", lambda case: measures.accuracy(len(case.contract.classes)))
_METRIC = _Measure(lambda contract: f"metric {contract.metric}", _own_metric)

_floor("f1", _MACRO_F1, "Macro-F1 reaches its floor.")
_floor("accuracy", _ACCURACY, "The share of right decisions reaches its floor.")
_floor("metric", _METRIC, "The contract's own metric reaches its floor.", not_applicable=_no_metric)
_drop("f1_drop", _MACRO_F1, "Macro-F1 is no further below the reference's than the margin.")
_drop("accuracy_drop", _ACCURACY, "The share of right decisions is no further below the reference's than the margin.")
_drop(
    "metric_drop",
    _METRIC,
    "The contract's own metric is no further below the reference's than the margin.",
    not_applicable=either(_no_metric, _undropped),
)


@decides_per_class(
    quality,
    "f1_drop_per_class",
    Relation.AT_MOST,
    needs=needs(GoldenFacts, Outputs, reference=Outputs),
    not_applicable=_undropped,
)
def f1_drop_per_class(case: Case, margins: Mapping[str, float], findings: ClauseEvidence) -> SamplesOfClasses:
    """The F1 of no single class is further below the reference's than the margin."""
    samples = labelled_scores(case, findings, case.need(Outputs, case.reference))
    require_samples(case.contract, samples.labels, margins)
    return SamplesOfClasses(
        samples,
        found=lambda name, decision: f"F1 of {name} {_changed(case, decision)}",
        next_step=lambda name: f"look at the flipped samples of {name}; calibrate on more of them",
        details=_flips(case, findings[GOLDEN], samples),
    )


@decides_per_class(
    quality,
    "f1_per_class",
    Relation.AT_LEAST,
    needs=needs(GoldenFacts, Outputs),
    not_applicable=unlabelled,
)
def f1_per_class(case: Case, floors: Mapping[str, float], findings: ClauseEvidence) -> SamplesOfClasses:
    """The F1 of every single class reaches its floor."""
    samples = labelled_scores(case, findings)
    require_samples(case.contract, samples.labels, floors)
    classes = case.contract.classes
    counts = classification.confusion(samples.labels, classification.decisions(samples.scores), len(classes))

    def found(name: str, decision: Decision) -> str:
        confusions = _taken_for(case.contract, counts, classes.index(name))
        return f"F1 of {name} is {format_number(decision.value)}{confusions}"

    return SamplesOfClasses(
        samples,
        found=found,
        next_step=lambda name: f"train or calibrate on more samples of {name} and of what it is taken for",
        details=_by_class(case.contract, samples),
    )
