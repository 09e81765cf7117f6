"""Integrity: every sample has an answer, in finite numbers that depend on the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family, Refusal
from eyerace_parity.checks.comparison import Number, compares, constant, needs
from eyerace_parity.checks.guards import GOLDEN, absent_rows, not_finite, require_usable
from eyerace_parity.checks.phrases import compare_equal, unproven
from eyerace_parity.contract.base import Limits, Share
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import SCORES_NDIM, GoldenFacts, Outputs
from eyerace_parity.stats.classification import decisions

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Array


class IntegrityLimits(Limits):
    """What may be asked of outputs before they are compared with anything."""

    least_variation: Share = Field(
        default=1e-4,
        description="Least spread over the samples (standard deviation by magnitude, a share) of an output's liveliest "
        "element; below it the output is all but constant.",
    )


integrity = Family("integrity", IntegrityLimits)


@integrity.clause("complete", needs=needs(GoldenFacts, Outputs))
def complete(case: Case, findings: ClauseEvidence) -> Judgement:
    """All outputs exist, with a row for every sample, in the contract's element types."""
    outputs, golden = findings[case.need(Outputs)], findings[GOLDEN]
    if fault := absent_rows(case, outputs, golden):
        raise fault.refusal(accused=True)
    wanted = {port.name: port.dtype for port in case.contract.interface.outputs}
    wrong = [
        f"{name} is {array.dtype.name}, not {wanted[name]}"
        for name, array in outputs.arrays.items()
        if array.dtype.name != wanted[name]
    ]
    whole = f"{case.name} answers {pluralise(len(wanted), 'output')} of all {pluralise(outputs.expected, 'sample')}"
    return compare_equal(
        not wrong,
        pluralise(len(wrong), "wrong type") if wrong else "complete",
        "complete",
        found=f"{case.name} answers in another element type: {join_names(wrong)}" if wrong else whole,
        next_step="cast the output inside the model, or change dtype in [[interface.outputs]]",
    )


@compares(integrity, "finite", Relation.EQUAL, to=constant(0), unit="elements", needs=needs(GoldenFacts, Outputs))
def finite(case: Case, findings: ClauseEvidence) -> Number:
    """No answer is NaN or infinite."""
    outputs, golden = findings[case.need(Outputs)], findings[GOLDEN]
    if fault := absent_rows(case, outputs, golden):
        raise fault.refusal(accused=True)
    bad = sum(int((~np.isfinite(a)).sum()) for a in outputs.arrays.values() if a.dtype.kind in "fc")
    if fault := not_finite(outputs.arrays, golden.ids, case.name):
        return Number(bad, fault.reason, next_step=fault.next_step)
    return Number(bad, f"all {sum(a.size for a in outputs.arrays.values())} elements are finite")


@compares(
    integrity,
    "varied",
    Relation.AT_LEAST,
    to=lambda case: integrity.limits_of(case).least_variation,
    needs=needs(GoldenFacts, Outputs),
    next_step="an output that does not depend on the sample is a broken export, a wrong input or a collapsed "
    "quantisation: compare the layers with the reference",
)
def varied(case: Case, findings: ClauseEvidence) -> Number:
    """The answers depend on the sample: no output is nearly constant, and not every decision is the same."""
    outputs, golden = findings[case.need(Outputs)], findings[GOLDEN]
    require_usable(case, outputs, golden)
    if outputs.expected == 1:
        raise unproven(
            reason="one sample cannot show whether the answer changes with the sample",
            next_step="add golden samples",
        )
    _require_decisions(case, outputs, golden)
    spreads = {name: _liveliest(array) for name, array in outputs.arrays.items()}
    name = min(spreads, key=lambda output: spreads[output])
    return Number(
        spreads[name],
        f"{name} of {case.name} varies over the samples by {format_number(spreads[name])} of its magnitude",
        [f"{output}: {format_number(spread)} of its magnitude" for output, spread in spreads.items()],
    )


def _liveliest(array: Array) -> float:
    """Return the largest standard deviation over the samples by largest magnitude, of all elements of an output."""
    values = array.reshape(len(array), -1).astype(np.float64)
    magnitude = np.max(np.abs(values), axis=0)
    # Divided first: squares of float64 near its ends would overflow or vanish.
    scaled = np.divide(values, magnitude, out=np.zeros_like(values), where=magnitude > 0)
    return float(np.max(np.std(scaled, axis=0)))


def _require_decisions(case: Case, outputs: Outputs, golden: GoldenFacts) -> None:
    """Refuse a classifier that decides for one class on samples of different classes."""
    scores = outputs.arrays[case.contract.scores_output]
    if golden.labels is None or scores.ndim != SCORES_NDIM or scores.shape[1] != len(golden.classes):
        return
    decided, there = np.unique(decisions(scores)), len(np.unique(golden.labels))
    if there == 1 or len(decided) > 1:
        return
    only = golden.classes[int(decided[0])]
    answer = Judgement(
        Status.BROKEN,
        "1 decision",
        "2 decisions",
        Relation.AT_LEAST,
        reason=f"{case.name} decides for {only!r} on all {outputs.expected} samples, which have {there} labels",
        next_step="check the preprocessing profile and the quantisation of the last layers: they ignore the input",
    )
    raise Refusal(answer)
