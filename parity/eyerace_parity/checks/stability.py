"""Stability: the same sample gets the same answer, run again or run in company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.guards import GOLDEN, element, not_finite
from eyerace_parity.checks.phrases import cannot_judge, compare_to_limit, passing_limit
from eyerace_parity.contract.base import Limits
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Repeats
from eyerace_parity.stats.differences import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array, Need

Tolerance = Annotated[float, Field(ge=0.0)]


class StabilityLimits(Limits):
    """How far answers to the same sample may lie apart."""

    repeatable: Tolerance | None = Field(
        default=0.0, description="Largest absolute difference between two runs of the same sample; 0 by default."
    )
    batch_invariant: Tolerance | None = Field(
        default=None,
        description="Largest absolute difference between a sample run alone and run as one of a batch.",
    )


stability = Family("stability", StabilityLimits)


def _needs(case: Case, _limits: StabilityLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Repeats))


def _fixed_batch(case: Case, _limits: StabilityLimits) -> str:
    for port in case.contract.interface.inputs:
        if not port.shape or isinstance(port.shape[0], int):
            return f"the first axis of input {port.name!r} is not dynamic in the contract"
    return ""


@stability.clause("repeatable", limit="repeatable", needs=_needs)
def repeatable(case: Case, limits: StabilityLimits, findings: ClauseEvidence) -> Judgement:
    """Two runs of the same sample agree."""
    repeats, golden = findings[case.need(Repeats)], findings[GOLDEN]
    return _apart(
        case,
        repeats,
        golden,
        repeats.again,
        limit=limits.repeatable or 0.0,
        second="a second run",
        next_step="look for randomness left in the graph (dropout, noise, random operators), or for sums whose order "
        "changes with the threads",
    )


@stability.clause("batch_invariant", limit="batch_invariant", needs=_needs, unfit=_fixed_batch)
def batch_invariant(case: Case, limits: StabilityLimits, findings: ClauseEvidence) -> Judgement:
    """A sample gets the same answer alone and as one of a batch."""
    repeats, golden = findings[case.need(Repeats)], findings[GOLDEN]
    limit = limits.batch_invariant or 0.0
    if repeats.batch_refused:
        return Judgement(
            Status.BROKEN,
            limit=limit,
            relation=Relation.AT_MOST,
            reason=f"{case.name} does not run a batch: {repeats.batch_refused}",
            next_step="export with a dynamic batch axis, and without reshapes to a fixed batch",
        )
    return _apart(
        case,
        repeats,
        golden,
        repeats.batched,
        limit=limit,
        second=f"a batch of {len(repeats.samples)}",
        next_step="look for operators that mix the samples of a batch: batch normalisation in training mode, or "
        "dynamic quantisation, whose ranges are taken over the whole batch",
    )


def _apart(
    case: Case,
    repeats: Repeats,
    golden: GoldenFacts,
    others: Mapping[str, Array],
    *,
    limit: float,
    second: str,
    next_step: str,
) -> Judgement:
    """Judge the largest difference between the first run and another one."""
    if refused := _unusable(case, repeats, others, golden, second):
        return refused
    apart = {name: absolute(others[name], repeats.first[name]) for name in repeats.first}
    worst = max(apart, key=lambda name: float(apart[name].max()))
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart[worst])), apart[worst].shape))
    value = float(apart[worst][place])
    where = f"{element(worst, place[1:])} of {golden.ids[repeats.samples[place[0]]]}"
    return compare_to_limit(
        Relation.AT_MOST,
        limit,
        value,
        found=f"{second} differs by at most {format_number(value)}, in {where}"
        if value
        else f"{second} agrees in every element of {pluralise(len(repeats.samples), 'sample')}",
        next_step=next_step,
        details=(f"smallest tolerance that would have passed: {passing_limit(value, Relation.AT_MOST)}",)
        if value
        else (),
    )


def _unusable(
    case: Case, repeats: Repeats, others: Mapping[str, Array], golden: GoldenFacts, second: str
) -> Judgement | None:
    """Judge runs that cannot be compared; ``None`` where they can."""
    wanted = {port.name for port in case.contract.interface.outputs}
    if not repeats.samples or max(repeats.samples) >= len(golden.ids):
        return cannot_judge("no golden sample was run again", "add golden samples, then measure again")
    for arrays, run in ((repeats.first, "the first run"), (others, second)):
        if set(arrays) != wanted:
            return Judgement(
                Status.BROKEN,
                reason=f"{run} answers {join_names(sorted(arrays)) or 'nothing'}, not {join_names(sorted(wanted))}",
                next_step="export exactly the outputs that the contract names",
            )
        short = [name for name, array in arrays.items() if array.size == 0 or len(array) != len(repeats.samples)]
        if short:
            return Judgement(
                Status.BROKEN,
                reason=f"{run} did not answer {join_names(short)} for each of "
                f"{pluralise(len(repeats.samples), 'sample')}",
                next_step="check that the first axis of every output counts the samples of the batch",
            )
        if fault := not_finite(arrays, [golden.ids[i] for i in repeats.samples], f"{case.name}, {run},"):
            return fault.judgement(accused=True)
    differ = [name for name in wanted if repeats.first[name].shape != others[name].shape]
    if differ:
        return Judgement(
            Status.BROKEN,
            reason=f"{second} answers {join_names(differ)} in another shape",
            next_step="check the axes of the exported graph",
        )
    return None
