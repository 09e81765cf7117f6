"""Stability: the same sample gets the same answer, run again or run in company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, needs
from eyerace_parity.checks.guards import GOLDEN, not_finite, worst_place
from eyerace_parity.checks.phrases import broken, cannot_judge
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.numbers import format_number, passing_limit, pluralise
from eyerace_parity.core.result import Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import GoldenFacts, Repeats
from eyerace_parity.stats.differences import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Array

Tolerance = Annotated[float, Field(ge=0.0)]


class StabilityLimits(Limits):
    """How far answers to the same sample may differ."""

    repeatable: Tolerance | None = Field(
        default=0.0, description="Largest absolute difference between two runs of the same sample; 0 by default."
    )
    batch_invariant: Tolerance | None = limit(
        "Largest absolute difference between a sample run alone and run as one of a batch."
    )


stability = Family("stability", StabilityLimits)


def _fixed_batch(case: Case, _limits: StabilityLimits) -> str:
    for port in case.contract.interface.inputs:
        if not port.shape or isinstance(port.shape[0], int):
            return f"the first axis of input {port.name!r} is not dynamic in the contract"
    return ""


@compares(
    stability,
    "repeatable",
    Relation.AT_MOST,
    needs=needs(GoldenFacts, Repeats),
    next_step="look for randomness left in the graph (dropout, noise, random operators), or for sums whose order "
    "changes with the threads",
)
def repeatable(case: Case, findings: ClauseEvidence) -> Number:
    """Two runs of the same sample agree."""
    repeats = findings[case.need(Repeats)]
    return _difference(case, repeats, findings[GOLDEN], repeats.again, second="a second run")


@compares(
    stability,
    "batch_invariant",
    Relation.AT_MOST,
    needs=needs(GoldenFacts, Repeats),
    not_applicable=_fixed_batch,
    next_step="look for operators that mix the samples of a batch: batch normalisation in training mode, or dynamic "
    "quantisation, whose ranges are taken over the whole batch",
)
def batch_invariant(case: Case, findings: ClauseEvidence) -> Number:
    """A sample gets the same answer alone and as one of a batch."""
    repeats, golden = findings[case.need(Repeats)], findings[GOLDEN]
    if repeats.batch_refused:
        raise broken(
            f"{case.name} does not run a batch: {repeats.batch_refused}",
            "export with a dynamic batch axis, and without reshapes to a fixed batch",
        )
    return _difference(case, repeats, golden, repeats.batched, second=f"a batch of {len(repeats.samples)}")


def _difference(
    case: Case, repeats: Repeats, golden: GoldenFacts, others: Mapping[str, Array], *, second: str
) -> Number:
    """The largest difference between the first run and another one."""
    _require_comparable(case, repeats, others, golden, second)
    differences = {name: absolute(others[name], repeats.first[name]) for name in repeats.first}
    value, where = worst_place(differences, golden, repeats.samples)
    if not value:
        return Number(value, f"{second} agrees in every element of {pluralise(len(repeats.samples), 'sample')}")
    return Number(
        value,
        f"{second} differs by at most {format_number(value)}, in {where}",
        [f"smallest tolerance that would have passed: {passing_limit(value, Relation.AT_MOST)}"],
    )


def _require_comparable(
    case: Case, repeats: Repeats, others: Mapping[str, Array], golden: GoldenFacts, second: str
) -> None:
    """Refuse runs that cannot be compared."""
    wanted = {port.name for port in case.contract.interface.outputs}
    if not repeats.samples or max(repeats.samples) >= len(golden.ids):
        raise cannot_judge("no golden sample was run again", "add golden samples, then measure again")
    for arrays, run in ((repeats.first, "the first run"), (others, second)):
        if set(arrays) != wanted:
            raise broken(
                reason=f"{run} answers {join_names(sorted(arrays)) or 'nothing'}, not {join_names(sorted(wanted))}",
                next_step="export exactly the outputs that the contract names",
            )
        short = [name for name, array in arrays.items() if array.size == 0 or len(array) != len(repeats.samples)]
        if short:
            raise broken(
                reason=f"{run} did not answer {join_names(short)} for each of "
                f"{pluralise(len(repeats.samples), 'sample')}",
                next_step="check that the first axis of every output counts the samples of the batch",
            )
        if fault := not_finite(arrays, [golden.ids[i] for i in repeats.samples], f"{case.name}, {run},"):
            raise fault.refusal(accused=True)
    differ = [name for name in wanted if repeats.first[name].shape != others[name].shape]
    if differ:
        raise broken(
            reason=f"{second} answers {join_names(differ)} in another shape",
            next_step="check the axes of the exported graph",
        )
