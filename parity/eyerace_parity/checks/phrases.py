"""Wording of judgements, shared by all families."""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING

from eyerace_parity.checks.base import Refusal
from eyerace_parity.core.numbers import INFINITE, format_number, passing_limit, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eyerace_parity.checks.base import Case
    from eyerace_parity.stats.decisions import Decision
    from eyerace_parity.stats.quantiles import QuantileDecision

_FIRST = (Status.BROKEN, Status.ERROR, Status.UNPROVEN, Status.HELD)
"""Order of statuses, the worst first: one broken class breaks the clause."""

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
    """Turn a decision into a judgement.

    Args:
        case: Who is judged.
        decision: The decision.
        relation: Required relation of the value to the limit.
        limit: The limit.
        found: What the samples show, one sentence.
        next_step: What to do where the limit is broken.
        details: Further lines.
        undefined: What to do where the value is no number.
    """
    if decision.status is Status.ERROR:
        raise cannot_judge(f"{found}, which is no number to compare", undefined, details)
    lines = [*details, *_proof(case, decision, relation)]
    if decision.status is Status.UNPROVEN and decision.bounds is not None:
        low, high = format_number(decision.bounds.lower), format_number(decision.bounds.upper)
        found = f"{found}; the samples prove it neither way, the truth may be anything from {low} to {high}"
    settles = {Status.HELD: "", Status.UNPROVEN: decision.settles}.get(decision.status, next_step)
    return Judgement(decision.status, decision.value, limit, relation, "", found, settles, tuple(lines))


def decided_quantile(
    decision: QuantileDecision,
    limit: float,
    confidence: float,
    *,
    unit: str,
    noun: str,
    found: str,
    next_step: str,
    settles: str,
    details: Iterable[str] = (),
) -> Judgement:
    """Turn a decision about a quantile into a judgement.

    Args:
        decision: The decision.
        limit: The largest quantile that is allowed.
        confidence: Of the proof.
        unit: Unit of quantile and limit.
        noun: What the limit is called.
        found: What the runs show, up to how many of them are over the limit.
        next_step: What to do where the limit is broken.
        settles: What would settle it where nothing is proven.
        details: Further lines.
    """
    proven = {Status.HELD: f"the {noun} held", Status.BROKEN: f"the {noun} broken"}
    answer = proven.get(decision.status, "neither held nor broken")
    reason = f"{found} prove {answer} with {format_number(100 * confidence)} % confidence"
    step = {Status.HELD: "", Status.BROKEN: next_step}.get(decision.status, settles)
    return Judgement(decision.status, decision.quantile, limit, Relation.AT_MOST, unit, reason, step, tuple(details))


def _proof(case: Case, decision: Decision, relation: Relation) -> list[str]:
    """Say what is proven, how, and which limit would have passed."""
    lines = []
    if decision.bounds is not None:
        rules = case.rules
        low, high = format_number(decision.bounds.lower), format_number(decision.bounds.upper)
        surely = {Relation.AT_LEAST: f"at least {low}", Relation.AT_MOST: f"at most {high}"}[relation]
        lines.append(f"with {100 * rules.confidence:g} % confidence {surely}; it may be anything from {low} to {high}")
    lines.append(f"decided by: {decision.method}")
    if decision.provable is not None:
        lines.append(f"tightest limit that would have passed: {passing_limit(decision.provable, relation)}")
    return lines


def worst_class(found: Mapping[str, Decision], limits: Mapping[str, float]) -> tuple[str, str]:
    """Choose the class that a verdict over classes speaks of.

    Args:
        found: The decision of each class.
        limits: The limit of each.

    Returns:
        The class furthest beyond its limit among those with the worst status, and words about the others of that
        answer, empty where there is none or all are held.
    """
    status = min((decision.status for decision in found.values()), key=_FIRST.index)
    same = [name for name, decision in found.items() if decision.status is status]
    worst = max(same, key=lambda name: _beyond(found[name], limits[name]))
    if status is Status.HELD or len(same) == 1:
        return worst, ""
    return (
        worst,
        f" ({pluralise(len(same), 'class', 'classes')} {status.value}: {join_names(same, most=_MOST_NAMED)})",
    )


def _beyond(decision: Decision, limit: float) -> float:
    """Return how far the value is beyond its limit: above a drop if there is a reference, else below a floor."""
    return decision.value - limit if decision.reference is not None else limit - decision.value


def class_lines(found: Mapping[str, Decision], limits: Mapping[str, float], relation: Relation) -> list[str]:
    """Write a line with the decision of every class."""
    lines = []
    for name, decision in found.items():
        line = (
            f"{name}: {format_number(decision.value)} {relation} {format_number(limits[name])}: {decision.status.value}"
        )
        if decision.bounds is not None:
            line += f", from {format_number(decision.bounds.lower)} to {format_number(decision.bounds.upper)}"
        lines.append(line)
    return lines


def unknown(key: str, known: Sequence[str], given: str, what: str) -> str:
    """Say that a limit names something unknown, and list the known names."""
    near = did_you_mean(given, known) or ";"
    return (
        f"{key} names no {what}{near} there are {join_names(known)}"
        if known
        else f"{key} names no {what}; there is none"
    )


def class_name(case: Case, index: int) -> str:
    """Name a class by its place among the scores, also where the contract names none."""
    return case.contract.classes[index] if case.contract.classes else f"class {index}"


def compare_to_limit(
    relation: Relation,
    limit: float,
    value: float,
    *,
    unit: str = "",
    found: str,
    next_step: str,
    details: Iterable[str] = (),
) -> Judgement:
    """Hold a number against its limit.

    Args:
        relation: Required relation of the value to the limit.
        limit: What the contract demands.
        value: What was measured. A NaN is an error, for there is nothing to compare.
        unit: Unit of both.
        found: What was found, one sentence, for both outcomes.
        next_step: What to do when the limit does not hold.
        details: Further lines.
    """
    if math.isnan(value):
        found = f"{found} (the number is not defined)"
        return Judgement(Status.ERROR, None, limit, relation, unit, found, next_step, tuple(details))
    held = relation.holds(value, limit)
    shown: float | str = _plain(value)
    if math.isinf(value):
        shown = INFINITE if value > 0 else f"-{INFINITE}"
    status = Status.HELD if held else Status.BROKEN
    return Judgement(status, shown, _plain(limit), relation, unit, found, "" if held else next_step, tuple(details))


def _plain(number: float) -> float:
    """Make a builtin of a number of any library, which the record can hold; what counts stays whole."""
    return int(number) if isinstance(number, Integral) else float(number)


def compare_equal(
    held: bool,  # noqa: FBT001 - the answer itself
    value: str,
    limit: str,
    *,
    relation: Relation = Relation.EQUAL,
    found: str,
    next_step: str,
    details: Iterable[str] = (),
) -> Judgement:
    """Hold a text against a text: names, shapes, versions."""
    status = Status.HELD if held else Status.BROKEN
    return Judgement(status, value, limit, relation, "", found, "" if held else next_step, tuple(details))


def cannot_judge(reason: str, next_step: str, details: Iterable[str] = ()) -> Refusal:
    """Refusal with status error: no number can be computed from the evidence."""
    return Refusal(Judgement(Status.ERROR, reason=reason, next_step=next_step, details=tuple(details)))


def broken(reason: str, next_step: str) -> Refusal:
    """Refusal with status broken: because of the variant, no number can be computed."""
    return Refusal(Judgement(Status.BROKEN, reason=reason, next_step=next_step))


def unproven(reason: str, next_step: str, details: Iterable[str] = ()) -> Refusal:
    """Refusal with status unproven: the evidence does not decide."""
    return Refusal(Judgement(Status.UNPROVEN, reason=reason, next_step=next_step, details=tuple(details)))
