"""Instructions: what an inference and its loading cost on each target, counted, in one thread, and never as a time.

A count does not depend on load, so a budget may be as narrow as a percent. But it is only believed when the repeats
agree, and where nothing can count, nothing is proven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, needs
from eyerace_parity.checks.limits import other_variant
from eyerace_parity.checks.phrases import cannot_judge, unknown, unproven
from eyerace_parity.core.numbers import format_count, format_number
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.limits import InstructionLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence, Refusal
    from eyerace_parity.checks.limits import RatioLimit
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.extensions.emulation.limits import Budget

AGREEMENT: Final = 0.005
"""Largest spread of repeats, as a share of the least, at which a count is believed."""

_FEWER: Final = "quantise statically, use a smaller network or input, or raise the budget"

counted = Family("arm64", InstructionLimits, on_targets=True, joins=True)


def _ratio_needs(case: Case, limits: InstructionLimits) -> tuple[Need[Any], ...]:
    versus = limits.instructions_ratio.versus if limits.instructions_ratio else None
    return (case.need(InstructionCounts), case.need(InstructionCounts, versus))


def _in_torch(case: Case, _limits: InstructionLimits) -> str:
    if not case.variant.in_onnxruntime:
        return f"{case.name} is a {case.variant.kind} variant, which no target runs"
    return ""


def _no_ratio_for(case: Case, limits: InstructionLimits) -> str:
    demand = limits.instructions_ratio
    if demand and demand.versus in case.contract.variants:
        other = case.contract.variants[demand.versus]
        if not other.in_onnxruntime:
            return f"versus = {demand.versus!r} is a {other.kind} variant, whose instructions are not counted"
    return _in_torch(case, limits) or other_variant(case, demand)


def _no_budget_for(key: str) -> Callable[[Case, InstructionLimits], str]:
    def reason_of(case: Case, limits: InstructionLimits) -> str:
        budget: Budget | None = getattr(limits, key)
        run = case.contract.targets.run
        if isinstance(budget, dict) and not case.contract.cell:
            if not budget:
                return "its table names no target"
            for name in budget:
                if name not in run:
                    return unknown(repr(name), run, name, "target of targets.run")
        return _in_torch(case, limits)

    return reason_of


def _budget(key: str) -> Callable[[Case], int | None]:
    """The number that holds on a case's target, if there is one."""

    def budget(case: Case) -> int | None:
        stated: Budget | None = getattr(counted.limits_of(case), key)
        return stated.get(case.target) if isinstance(stated, dict) else stated

    return budget


def _within_budget(name: str, next_step: str) -> Callable[[Callable[[Case, ClauseEvidence], Number]], Any]:
    """Declare a clause that compares a count with the budget of its name."""
    return compares(
        counted,
        name,
        Relation.AT_MOST,
        limit=name,
        to=_budget(name),
        unit="instructions",
        needs=needs(InstructionCounts),
        not_applicable=_no_budget_for(name),
        next_step=next_step,
    )


@_within_budget("instructions", _FEWER)
def instructions(case: Case, findings: ClauseEvidence) -> Number:
    """A steady inference takes no more instructions on the target than allowed."""
    found = findings[case.need(InstructionCounts)]
    _require_counted(case.name, found, found.steady, "inference")
    value = max(found.steady)
    sentence = f"an inference of {case.name} takes {format_count(value)} instructions on {case.target}, in one thread"
    return Number(value, sentence, _counts(found))


@_within_budget(
    "load_instructions", "save the optimised graph and load that, use the .ort format, or use a smaller network"
)
def load_instructions(case: Case, findings: ClauseEvidence) -> Number:
    """Creating a session takes no more instructions on the target than allowed."""
    found = findings[case.need(InstructionCounts)]
    _require_counted(case.name, found, found.load, "loading")
    value = max(found.load)
    sentence = f"creating a session of {case.name} takes {format_count(value)} instructions on {case.target}"
    return Number(value, sentence, _counts(found))


@counted.demand("instructions_ratio", limit="instructions_ratio", needs=_ratio_needs, not_applicable=_no_ratio_for)
def instructions_ratio(case: Case, limit: RatioLimit, findings: ClauseEvidence) -> Judgement:
    """An inference takes few enough instructions beside another variant's on the same target."""
    ours, theirs = findings[case.need(InstructionCounts)], findings[case.need(InstructionCounts, limit.versus)]
    _require_counted(case.name, ours, ours.steady, "inference")
    _require_counted(limit.versus, theirs, theirs.steady, "inference")
    value = max(ours.steady) / max(theirs.steady)
    sentence = (
        f"an inference of {case.name} takes {format_number(value)} times the instructions of {limit.versus} on"
        f" {case.target} ({format_count(max(ours.steady))} of {format_count(max(theirs.steady))})"
    )
    number = Number(value, sentence, _counts(ours))
    return number.against(Relation.AT_MOST, limit.at_most, unit=f"of {limit.versus}", next_step=_FEWER)


def _whole(case: Case, _limits: InstructionLimits) -> bool:
    """Whether the whole gate is judged: in a cell of the matrix it is the runtime that differs from the release's."""
    return not case.contract.cell


@compares(
    counted,
    "instructions_growth",
    Relation.AT_MOST,
    needs=needs(InstructionCounts, baseline=InstructionCounts),
    applies=_whole,
    not_applicable=_in_torch,
    next_step="look for what was added to the graph, or is no longer fused; or accept it as a new release",
)
def instructions_growth(case: Case, findings: ClauseEvidence) -> Number:
    """An inference takes hardly more instructions on the target than that of the accepted release."""
    ours, theirs = findings[case.need(InstructionCounts)], findings[case.need(InstructionCounts, baseline=True)]
    _require_counted(case.name, ours, ours.steady, "inference")
    then, now = theirs.provenance.runtime, ours.provenance.runtime
    if then != now:
        if theirs.provenance.artefact != ours.provenance.artefact:
            raise _another_runtime(case, then, now)
        theirs = ours  # the same file, so the release would be counted the same here
    _require_counted(f"the release's {case.name}", theirs, theirs.steady, "inference")
    value = (max(ours.steady) - max(theirs.steady)) / max(theirs.steady)
    more = f"{format_number(abs(value) * 100)} % {'more' if value > 0 else 'less'}" if value else "exactly as many"
    return Number(
        value,
        f"an inference of {case.name} takes {format_count(max(ours.steady))} instructions on {case.target}, the"
        f" release's {format_count(max(theirs.steady))}: {more}",
        [
            *_counts(ours),
            *((f"it is the release's own file, which was counted with {then}; this is {now}",) if then != now else ()),
        ],
    )


def _another_runtime(case: Case, then: str, now: str) -> Refusal:
    """A runtime's kernels take several per cent more or fewer than another's: between two, nothing is proven."""
    return unproven(
        reason=f"the release's {case.name} was counted with {then}, this one with {now}: counts of two runtimes"
        " do not compare",
        next_step=f"judge with {then}, or accept a new release with --eyerace-parity-accept NAME",
    )


def _require_counted(name: str, found: InstructionCounts, counts: Sequence[int], what: str) -> None:
    """Refuse counts that cannot be believed."""
    target = found.provenance.target
    if found.unavailable:
        next_step = found.next_step or "judge on a machine whose emulator counts instructions"
        raise unproven(reason=found.unavailable, next_step=next_step)
    if found.failure:
        raise cannot_judge(
            f"nothing could be counted of {name} on {target}: {found.failure}",
            "mend what the clause executes says of it",
        )
    if not counts or min(counts) <= 0:
        raise cannot_judge(f"no {what} of {name} was counted on {target}", "measure again")
    spread = (max(counts) - min(counts)) / min(counts)
    if len(counts) < 2 or spread > AGREEMENT:  # noqa: PLR2004 - one count cannot agree with another
        raise unproven(
            reason=f"repeated counts of {name} on {target} differ by {format_number(spread * 100)} %, more than the"
            f" {format_number(AGREEMENT * 100)} % at which a count is believed"
            if len(counts) > 1
            else f"{what} of {name} was counted once on {target}, and not repeated",
            next_step="run again; if they still differ, the model's work depends on chance: look for a random operator",
            details=_counts(found),
        )


def _counts(found: InstructionCounts) -> tuple[str, ...]:
    rows = (("loading", found.load), ("first run", found.first), ("later runs", found.steady))
    return tuple(f"{what}: {join_names([str(number) for number in counts])}" for what, counts in rows if counts)
