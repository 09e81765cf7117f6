"""Decisions about samples in words, alike in every family that judges what a golden set shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.checks.words import cannot_judge, counted, figure, passing
from eyerace_parity.core.places import listed
from eyerace_parity.core.result import Judgement, Relation, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eyerace_parity.checks.base import Case
    from eyerace_parity.stats.decisions import Decision

_FIRST = (Status.BROKEN, Status.ERROR, Status.UNPROVEN, Status.HELD)
"""What is certain comes first: one class that is proven worse settles it."""

_MOST_NAMED = 12


def decided(
    case: Case,
    decision: Decision,
    relation: Relation,
    limit: float,
    *,
    found: str,
    next_step: str,
    details: Iterable[str] = (),
    undefined: str = "mend the metric",
) -> Judgement:
    """Put a decision into a judgement.

    Args:
        case: Who is judged.
        decision: The decision.
        relation: How its value must stand to the limit.
        limit: The limit.
        found: What the samples show, one sentence.
        next_step: What to do where the limit is broken.
        details: Further lines.
        undefined: What to do where the value is no number.
    """
    if decision.status is Status.ERROR:
        return cannot_judge(f"{found}, which is no number to compare", undefined, details)
    lines = [*details, *_proof(case, decision, relation)]
    if decision.status is Status.UNPROVEN and decision.bounds is not None:
        low, high = figure(decision.bounds.lower), figure(decision.bounds.upper)
        found = f"{found}; the samples prove it neither way, the truth may be anything from {low} to {high}"
    settles = {Status.HELD: "", Status.UNPROVEN: decision.settles}.get(decision.status, next_step)
    return Judgement(decision.status, decision.value, limit, relation, "", found, settles, tuple(lines))


def _proof(case: Case, decision: Decision, relation: Relation) -> list[str]:
    """Say what is proven, how, and which limit would have passed."""
    lines = []
    if decision.bounds is not None:
        rules = case.rules
        low, high = figure(decision.bounds.lower), figure(decision.bounds.upper)
        surely = {Relation.AT_LEAST: f"at least {low}", Relation.AT_MOST: f"at most {high}"}[relation]
        lines.append(f"with {100 * rules.confidence:g} % confidence {surely}; it may be anything from {low} to {high}")
    lines.append(f"decided by: {decision.method}")
    if decision.provable is not None:
        lines.append(f"tightest limit that would have passed: {passing(decision.provable, relation)}")
    return lines


def first_told(found: Mapping[str, Decision], limits: Mapping[str, float]) -> tuple[str, str]:
    """Choose the class that a verdict over classes speaks of.

    Args:
        found: The decision of each class.
        limits: The limit of each.

    Returns:
        The class furthest beyond its limit among those of the gravest answer, and words about the others of that
        answer, empty where there is none or all are held.
    """
    status = min((decision.status for decision in found.values()), key=_FIRST.index)
    alike = [name for name, decision in found.items() if decision.status is status]
    worst = max(alike, key=lambda name: _beyond(found[name], limits[name]))
    if status is Status.HELD or len(alike) == 1:
        return worst, ""
    return worst, f" ({counted(len(alike), 'class', 'classes')} {status.value}: {listed(alike, most=_MOST_NAMED)})"


def _beyond(decision: Decision, limit: float) -> float:
    """By how much the value lies beyond its limit; a decision with a reference is about a drop, else about a floor."""
    return decision.value - limit if decision.reference is not None else limit - decision.value


def told_of(found: Mapping[str, Decision], limits: Mapping[str, float], relation: Relation) -> list[str]:
    """Tell the decision of every class."""
    lines = []
    for name, decision in found.items():
        line = f"{name}: {figure(decision.value)} {relation} {figure(limits[name])}: {decision.status.value}"
        if decision.bounds is not None:
            line += f", from {figure(decision.bounds.lower)} to {figure(decision.bounds.upper)}"
        lines.append(line)
    return lines
