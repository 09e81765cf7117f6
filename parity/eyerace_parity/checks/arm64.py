"""Arm64 and its kin: the shipped file on the processors of phones, and on x86 as it was before integer dot products.

Judged on each of the contract's targets. Does it load, does it crash, are its numbers those of the host, does it decide
as it does there? The samples are chosen (:mod:`eyerace_parity.measure.sample_selection`), and every verdict says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.guards import (
    GOLDEN,
    chosen,
    incomparable,
    on_host,
    output_defect,
    target_defect,
    undecisive,
    worst_place,
)
from eyerace_parity.checks.limits import InstructionLimits
from eyerace_parity.checks.phrases import cannot_judge, compare_to_limit, passing_limit
from eyerace_parity.contract.base import Share
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Execution, Outputs
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.stats import differences
from eyerace_parity.stats.classification import decisions, macro_f1, projected_confusion, uncovered

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.answers import GoldenFacts

_MOST_NAMED = 5
_FLOATING = "DynamicQuantizeLinear"
"""Operator whose scales are computed in floating point from each input, so that they differ in their last bits."""


class Arm64Limits(InstructionLimits):
    """What must hold on each target that the contract names in ``targets.run``."""

    parity: Annotated[float, Field(ge=0.0)] | None = Field(
        default=None,
        description="Largest absolute difference of any element from the host's answer. Left out: none at all for a "
        "file that is quantised statically; for any other it must be stated, because the last bits of floating point "
        "differ between processors.",
    )
    flips: Annotated[int, Field(ge=0)] | None = Field(
        default=0, description="Most samples that may be decided otherwise than on the host; 0 by default."
    )
    f1: Share | None = Field(
        default=None,
        description="Least macro-F1 of the golden set, estimated from the samples that the target runs: the host's "
        "decisions, corrected by the differences that these show.",
    )
    sqnr_db: float | None = Field(
        default=None,
        description="Least ratio of signal to quantisation noise, in dB, against the reference's answers on the host. "
        "It shows saturation that strikes host and target alike, which parity cannot.",
    )

    def demanded(self) -> frozenset[str]:
        """Names of the fields that hold a demand; parity is one even where its tolerance follows from the file."""
        return super().demanded() | {"parity"}


arm64 = Family("arm64", Arm64Limits, elsewhere=True)


def _executed(case: Case, _limits: Arm64Limits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution))


def _beside_host(case: Case, _limits: Arm64Limits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), on_host(case))


def _parity_needs(case: Case, limits: Arm64Limits) -> tuple[Need[Any], ...]:
    told_by_file = limits.parity is None and case.variant.kind == "onnx"
    return (*_beside_host(case, limits), *((_graph(case),) if told_by_file else ()))


def _f1_needs(case: Case, _limits: Arm64Limits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), Need(Outputs, case.name))


def _reference_needs(case: Case, _limits: Arm64Limits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), Need(Outputs, case.reference or ""))


def _graph(case: Case) -> Need[Graph]:
    return Need(Graph, case.name)


def _undecided(case: Case, _limits: Arm64Limits) -> str:
    if not case.contract.classes and case.contract.golden.scores is None:
        return "the contract names neither classes nor golden.scores, so no output decides"
    return ""


def _unlabelled(case: Case, _limits: Arm64Limits) -> str:
    if not case.contract.classes:
        return "the contract names no classes"
    return "" if case.labelled else "the golden set has no labels"


def _alone(case: Case, _limits: Arm64Limits) -> str:
    return "" if case.reference else f"{case.name} has no reference to be close to"


@arm64.clause("executes", needs=_executed)
def executes(case: Case, _limits: Arm64Limits, findings: ClauseEvidence) -> Judgement:
    """The file loads on the target, runs every chosen sample, and answers in finite numbers."""
    golden, there = findings[GOLDEN], findings[case.need(Execution)]
    if refused := target_defect(case, there, golden, accused=True):
        return refused
    return compare_to_limit(
        Relation.EQUAL,
        len(there.samples),
        len(there.samples),
        unit="samples",
        found=f"{case.name} loads and runs on {case.target}",
        next_step="",
        details=[chosen(case, there, golden)],
    )


@arm64.clause("parity", limit="parity", needs=_parity_needs)
def parity(case: Case, limits: Arm64Limits, findings: ClauseEvidence) -> Judgement:
    """The target's answers are the host's, exactly or within the tolerance."""
    if refused := incomparable(case, findings):
        return refused
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    apart = {name: differences.absolute(array, here.arrays[name]) for name, array in there.arrays.items()}
    value, where = worst_place(apart, golden, there.samples)
    differing = sum(int((array > 0).any(axis=tuple(range(1, array.ndim))).sum()) for array in apart.values())
    found = f"{case.target} differs from the host by at most {format_number(value)}, in {where}"
    details = [chosen(case, there, golden)]
    if value:
        details += [
            f"{pluralise(differing, 'row')} of {len(there.samples) * len(apart)} differ at all",
            f"smallest tolerance that would have passed: {passing_limit(value, Relation.AT_MOST)}",
        ]
    tolerance = limits.parity if limits.parity is not None else _exact(case, findings)
    if tolerance is None and value:
        return Judgement(
            Status.UNPROVEN,
            value,
            reason=f"{found}; {case.name} computes in floating point, whose last bits differ between processors,"
            " and the contract states no tolerance",
            next_step=f"state what is small enough: variants.{case.name}.limits.arm64.parity",
            details=tuple(details),
        )
    return compare_to_limit(
        Relation.AT_MOST,
        tolerance or 0.0,
        value,
        found=found if value else f"{case.target} answers as the host does, in every bit that counts",
        next_step="if x86 is at fault, quantise with reduce_range; else keep the layers that differ in float, or state"
        " a tolerance",
        details=details,
    )


def _exact(case: Case, findings: ClauseEvidence) -> float | None:
    """Zero for a file that is quantised statically: its integers are the same everywhere. ``None`` for any other."""
    if case.variant.kind != "onnx":
        return None
    operators = {name.rpartition("::")[2] for name in findings[_graph(case)].operators}
    static = "QuantizeLinear" in operators or any(name.startswith("QLinear") for name in operators)
    return 0.0 if static and _FLOATING not in operators else None


@arm64.clause("flips", limit="flips", needs=_beside_host, unfit=_undecided)
def flips(case: Case, limits: Arm64Limits, findings: ClauseEvidence) -> Judgement:
    """The target decides as the host does."""
    if refused := incomparable(case, findings):
        return refused
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    output = case.contract.scores_output
    if refused := undecisive(case, there.arrays[output]):
        return refused
    ours, theirs = decisions(there.arrays[output]), decisions(here.arrays[output])
    differ = np.flatnonzero(ours != theirs)
    names = case.contract.classes

    def called(index: int) -> str:
        return names[index] if names else f"class {index}"

    return compare_to_limit(
        Relation.AT_MOST,
        limits.flips or 0,
        len(differ),
        unit="samples",
        found=f"{pluralise(len(differ), 'decision')} of {len(ours)} differ between the host and {case.target}",
        next_step="look at the parity of the target first: a decision flips because numbers differ",
        details=[
            *(
                f"{golden.ids[there.samples[int(i)]]}: {called(int(ours[i]))}, host {called(int(theirs[i]))}"
                for i in differ[:_MOST_NAMED]
            ),
            chosen(case, there, golden),
        ],
    )


@arm64.clause("f1", limit="f1", needs=_f1_needs, unfit=_unlabelled)
def f1(case: Case, limits: Arm64Limits, findings: ClauseEvidence) -> Judgement:
    """Macro-F1 reaches its floor on the target."""
    golden, there, host = findings[GOLDEN], findings[case.need(Execution)], findings[Need(Outputs, case.name)]
    if refused := _unestimable(case, there, host, golden):
        return refused
    output, classes, labels = case.contract.scores_output, len(case.contract.classes), golden.labels
    if labels is None or len(labels) != len(golden.ids):
        return cannot_judge("the golden set's labels do not fit its samples", "measure the golden set again")
    found = dict(zip(there.samples, (int(i) for i in decisions(there.arrays[output])), strict=True))
    if unknown := uncovered(labels, found, near=there.near, classes=classes):
        return Judgement(
            Status.UNPROVEN,
            reason=f"no sample of {join_names(case.contract.classes[i] for i in unknown)} was drawn for {case.target}",
            next_step="raise targets.images, or run all samples with --eyerace-parity-arm64=all",
        )
    known = decisions(host.arrays[output])
    counts = projected_confusion(labels, known, found, near=there.near, classes=classes)
    value = macro_f1(counts)
    whole = len(there.samples) == len(golden.ids)
    how = "on" if whole else "estimated for"
    return compare_to_limit(
        Relation.AT_LEAST,
        limits.f1 or 0.0,
        value,
        found=f"macro-F1 of {case.name} on {case.target} is {format_number(value)}, {how} "
        f"{pluralise(len(known), 'sample')}",
        next_step="look at the samples that flip on this target",
        details=[
            *(() if whole else ("estimated: the host's decisions, corrected by those that differ on the target",)),
            chosen(case, there, golden),
            f"tightest limit that would have passed: {passing_limit(value, Relation.AT_LEAST)}",
        ],
    )


def _unestimable(case: Case, there: Execution, host: Outputs, golden: GoldenFacts) -> Judgement | None:
    """Judge answers from which no F1 can be estimated; ``None`` where one can."""
    if refused := target_defect(case, there, golden, accused=True):
        return refused
    if fault := output_defect(case, host, golden):
        return fault.judgement(accused=False)
    output, classes = case.contract.scores_output, case.contract.classes
    if refused := undecisive(case, there.arrays[output]) or undecisive(case, host.arrays[output]):
        return refused
    support = np.bincount(golden.labels if golden.labels is not None else [], minlength=len(classes))
    if absent := [name for name, number in zip(classes, support, strict=False) if not number]:
        return cannot_judge(
            f"the golden set has no sample of {join_names(absent)}, so its F1 is not defined",
            "add golden samples of every class, or take the class out of the contract",
        )
    return None


@arm64.clause("sqnr_db", limit="sqnr_db", needs=_reference_needs, unfit=_alone)
def sqnr_db(case: Case, limits: Arm64Limits, findings: ClauseEvidence) -> Judgement:
    """On the target, too, the reference's signal stands far enough above the noise that the variant adds."""
    golden, there = findings[GOLDEN], findings[case.need(Execution)]
    reference = findings[Need(Outputs, case.reference or "")]
    if refused := target_defect(case, there, golden, accused=True):
        return refused
    if fault := output_defect(case, reference, golden):
        return fault.judgement(accused=False)
    rows = list(there.samples)
    ratios: dict[str, float] = {}
    for name, array in there.arrays.items():
        other = reference.arrays[name][rows]
        if array.shape != other.shape:
            return cannot_judge(f"{name} has another shape in {case.reference}", "export both from the same network")
        ratios[name] = differences.sqnr_db(array, other)
    worst = min(ratios, key=lambda name: ratios[name])
    value = ratios[worst]
    told = f"{format_number(value)} dB" if np.isfinite(value) else "without bound" if value > 0 else "nothing"
    return compare_to_limit(
        Relation.AT_LEAST,
        limits.sqnr_db or 0.0,
        value,
        unit="dB",
        found=f"the ratio of signal to quantisation noise of {worst} is {told} on {case.target},"
        f" against {case.reference} on the host",
        next_step="quantise with reduce_range if only x86 is below, where products of unsigned and signed bytes"
        " saturate without VNNI; else calibrate on more images",
        details=[
            chosen(case, there, golden),
            f"tightest limit that would have passed: {passing_limit(value, Relation.AT_LEAST)}",
        ],
    )
