"""The shipped file on each of the contract's targets, beside the host. Contracts call the family ``arm64``.

Judged on each target: it loads, does not crash, and gives the host's numbers and decisions. The samples are chosen
(:mod:`eyerace_parity.measure.sample_selection`), and every verdict says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family, Refusal
from eyerace_parity.checks.comparison import Number, compares, needs, undecided, unlabelled, unreferenced
from eyerace_parity.checks.guards import (
    GOLDEN,
    chosen,
    on_host,
    require_comparable,
    require_decisive,
    require_samples,
    require_target,
    require_whole,
    worst_place,
)
from eyerace_parity.checks.phrases import cannot_judge, class_name, compare_to_limit, unproven
from eyerace_parity.contract.base import Limits, Share, limit
from eyerace_parity.core.numbers import format_number, passing_limit, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.stats import differences
from eyerace_parity.stats.classification import decisions, macro_f1, projected_confusion, uncovered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence

_MOST_NAMED = 5
_PASSING = "tightest limit"
_FLOATING = "DynamicQuantizeLinear"
"""Operator whose scales are computed in floating point from each input, so that they differ in their last bits."""


class TargetLimits(Limits):
    """What must hold on each target that the contract names in ``targets.run``."""

    parity: Annotated[float, Field(ge=0.0)] | None = limit(
        "Largest absolute difference of any element from the host's answer. Left out: none at all for a "
        "file that is quantised statically; for any other it must be stated, because the last bits of floating point "
        "differ between processors."
    )
    flips: Annotated[int, Field(ge=0)] | None = Field(
        default=0, description="Most samples that may be decided otherwise than on the host; 0 by default."
    )
    f1: Share | None = limit(
        "Least macro-F1 of the golden set, estimated from the samples that the target runs: the host's "
        "decisions, corrected by the differences that these show."
    )
    sqnr_db: float | None = limit(
        "Least ratio of signal to quantisation noise, in dB, against the reference's answers on the host. "
        "It shows saturation on host and target, which parity cannot."
    )

    def demanded(self) -> frozenset[str]:
        """Names of the fields with a demand; always parity, whose tolerance otherwise follows from the file."""
        return super().demanded() | {"parity"}


targets = Family("arm64", TargetLimits, on_targets=True)


def _beside_host(case: Case, _limits: TargetLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), on_host(case))


def _parity_needs(case: Case, limits: TargetLimits) -> tuple[Need[Any], ...]:
    from_file = limits.parity is None and case.variant.kind == "onnx"
    return (*_beside_host(case, limits), *((_graph(case),) if from_file else ()))


def _f1_needs(case: Case, _limits: TargetLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), Need(Outputs, case.name))


def _reference_needs(case: Case, _limits: TargetLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Execution), Need(Outputs, case.reference or ""))


def _graph(case: Case) -> Need[Graph]:
    return Need(Graph, case.name)


@targets.clause("executes", needs=needs(GoldenFacts, Execution))
def executes(case: Case, findings: ClauseEvidence) -> Judgement:
    """The file loads on the target, runs every chosen sample, and answers in finite numbers."""
    golden, there = findings[GOLDEN], findings[case.need(Execution)]
    require_target(case, there, golden, accused=True)
    run = Number(len(there.samples), f"{case.name} loads and runs on {case.target}", [chosen(case, there, golden)])
    return run.against(Relation.EQUAL, len(there.samples), unit="samples")


# Given all limits: where the contract leaves the tolerance out, the file decides whether there is any.
@targets.demand("parity", limit="parity", to=targets.limits_of, needs=_parity_needs)
def parity(case: Case, limits: TargetLimits, findings: ClauseEvidence) -> Judgement:
    """The target's answers are the host's, exactly or within the tolerance."""
    require_comparable(case, findings)
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    difference = {name: differences.absolute(array, here.arrays[name]) for name, array in there.arrays.items()}
    value, where = worst_place(difference, golden, there.samples)
    differing = sum(int((array > 0).any(axis=tuple(range(1, array.ndim))).sum()) for array in difference.values())
    found = f"{case.target} differs from the host by at most {format_number(value)}, in {where}"
    details = [chosen(case, there, golden)]
    if value:
        details += [
            f"{pluralise(differing, 'row')} of {len(there.samples) * len(difference)} differ at all",
            f"smallest tolerance that would have passed: {passing_limit(value, Relation.AT_MOST)}",
        ]
    if limits.parity is None and value and not _exact(case, findings):
        answer = Judgement(
            Status.UNPROVEN,
            value,
            reason=f"{found}; {case.name} computes in floating point, whose last bits differ between processors,"
            " and the contract states no tolerance",
            next_step=f"state what is small enough: variants.{case.name}.limits.arm64.parity",
            details=tuple(details),
        )
        raise Refusal(answer)
    return compare_to_limit(
        Relation.AT_MOST,
        0.0 if limits.parity is None else limits.parity,
        value,
        found=found if value else f"{case.target} answers as the host does, in every bit that counts",
        next_step="if x86 is at fault, quantise with reduce_range; else keep the layers that differ in float, or state"
        " a tolerance",
        details=details,
    )


def _exact(case: Case, findings: ClauseEvidence) -> bool:
    """Whether a file is quantised statically: its integers are the same on every processor."""
    if case.variant.kind != "onnx":
        return False
    operators = {name.rpartition("::")[2] for name in findings[_graph(case)].operators}
    static = "QuantizeLinear" in operators or any(name.startswith("QLinear") for name in operators)
    return static and _FLOATING not in operators


@compares(
    targets,
    "flips",
    Relation.AT_MOST,
    unit="samples",
    needs=_beside_host,
    not_applicable=undecided,
    next_step="look at the parity of the target first: a decision flips because numbers differ",
)
def flips(case: Case, findings: ClauseEvidence) -> Number:
    """The target decides as the host does."""
    require_comparable(case, findings)
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    output = case.contract.scores_output
    require_decisive(case, there.arrays[output])
    ours, theirs = decisions(there.arrays[output]), decisions(here.arrays[output])
    differ = np.flatnonzero(ours != theirs)
    return Number(
        len(differ),
        f"{pluralise(len(differ), 'decision')} of {len(ours)} differ between the host and {case.target}",
        [
            *(
                f"{golden.ids[there.samples[int(i)]]}: {class_name(case, ours[i])}, host {class_name(case, theirs[i])}"
                for i in differ[:_MOST_NAMED]
            ),
            chosen(case, there, golden),
        ],
    )


@compares(
    targets,
    "f1",
    Relation.AT_LEAST,
    needs=_f1_needs,
    not_applicable=unlabelled,
    next_step="look at the samples that flip on this target",
    passing=_PASSING,
)
def f1(case: Case, findings: ClauseEvidence) -> Number:
    """Macro-F1 reaches its floor on the target."""
    golden, there, host = findings[GOLDEN], findings[case.need(Execution)], findings[Need(Outputs, case.name)]
    labels = _labels(case, there, host, golden)
    output, classes = case.contract.scores_output, len(case.contract.classes)
    found = dict(zip(there.samples, (int(i) for i in decisions(there.arrays[output])), strict=True))
    if unknown := uncovered(labels, found, near=there.near, classes=classes):
        raise unproven(
            reason=f"no sample of {join_names(case.contract.classes[i] for i in unknown)} was drawn for {case.target}",
            next_step="raise targets.images, or run all samples with --eyerace-parity-arm64=all",
        )
    known = decisions(host.arrays[output])
    value = macro_f1(projected_confusion(labels, known, found, near=there.near, classes=classes))
    whole = len(there.samples) == len(golden.ids)
    how = "on" if whole else "estimated for"
    return Number(
        value,
        f"macro-F1 of {case.name} on {case.target} is {format_number(value)}, {how} {pluralise(len(known), 'sample')}",
        [
            *(() if whole else ("estimated: the host's decisions, corrected by those that differ on the target",)),
            chosen(case, there, golden),
        ],
    )


def _labels(case: Case, there: Execution, host: Outputs, golden: GoldenFacts) -> NDArray[np.int64]:
    """Return the labels, if an F1 can be estimated with them."""
    require_target(case, there, golden, accused=True)
    require_whole(case, host, golden, accused=False)
    output = case.contract.scores_output
    require_decisive(case, there.arrays[output])
    require_decisive(case, host.arrays[output])
    if golden.labels is None or len(golden.labels) != len(golden.ids):
        raise cannot_judge("the golden set's labels do not fit its samples", "measure the golden set again")
    require_samples(case.contract, golden.labels)
    return golden.labels


@compares(
    targets,
    "sqnr_db",
    Relation.AT_LEAST,
    unit="dB",
    needs=_reference_needs,
    not_applicable=unreferenced("to be close to"),
    next_step="quantise with reduce_range if only x86 is below, where products of unsigned and signed bytes"
    " saturate without VNNI; else calibrate on more images",
    passing=_PASSING,
)
def sqnr_db(case: Case, findings: ClauseEvidence) -> Number:
    """On the target, too, the ratio of the reference's signal to the variant's noise is high enough."""
    golden, there = findings[GOLDEN], findings[case.need(Execution)]
    reference = findings[Need(Outputs, case.reference or "")]
    require_target(case, there, golden, accused=True)
    require_whole(case, reference, golden, accused=False)
    rows = list(there.samples)
    ratios: dict[str, float] = {}
    for name, array in there.arrays.items():
        other = reference.arrays[name][rows]
        if array.shape != other.shape:
            raise cannot_judge(f"{name} has another shape in {case.reference}", "export both from the same network")
        ratios[name] = differences.sqnr_db(array, other)
    worst = min(ratios, key=lambda name: ratios[name])
    value = ratios[worst]
    ratio = f"{format_number(value)} dB" if np.isfinite(value) else "without bound" if value > 0 else "nothing"
    return Number(
        value,
        f"the ratio of signal to quantisation noise of {worst} is {ratio} on {case.target},"
        f" against {case.reference} on the host",
        [chosen(case, there, golden)],
    )
