"""Flips: the images that a variant decides differently from its reference.

An average hides them: two variants of equal F1 may disagree on every tenth image, and a user sees each one. A reviewed
flip can be accepted in a committed file, with a reason and a last day; only the others count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, either, undecided, unreferenced
from eyerace_parity.checks.guards import GOLDEN, require_scores
from eyerace_parity.checks.phrases import cannot_judge
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Relation
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.flips import BASELINE, FlipLedger, KnownFlips

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.flips import AcceptedFlip, Flip

Count = Annotated[int, Field(ge=0)]

KNOWN: Final[Need[KnownFlips]] = Need(KnownFlips)
"""Need for the accepted flips of the bundle, which are the same for all variants."""

NEXT_STEP_FLIPS: Final = "look at these images; accept what is meant with `eyerace-parity flips accept`, with a reason"

_MOST_NAMED = 10
_ARROWS = {"harmed": "right→wrong", "mended": "wrong→right", "moved": "wrong→wrong", "unlabelled": "no label"}


class FlipLimits(Limits):
    """How many images a variant may decide otherwise than its reference; accepted flips do not count."""

    decision_flips: Count | None = limit(
        "Most images that are decided differently from the reference and are not accepted."
    )
    harmful_flips: Count | None = limit("Most of these that the reference decides rightly and the variant wrongly.")


flips = Family("flips", FlipLimits)


_unreferenced = unreferenced("to differ from")


def unjudged(case: Case, _limits: Limits) -> str:
    """Return why it is not known which variant is right; empty if it is known."""
    return "" if case.labelled else "the golden set has no labels, so it is not known which variant is right"


def flip_needs(case: Case, other: str, *, baseline: bool = False) -> tuple[Need[Any], ...]:
    """Return the needs of a clause about flips: both variants' outputs, their flip ledger, and the accepted flips."""
    return (
        GOLDEN,
        case.need(Outputs),
        case.need(Outputs, other, baseline=baseline),
        case.need(FlipLedger, versus=other, baseline=baseline),
        KNOWN,
    )


def flip_number(case: Case, findings: ClauseEvidence, other: str, *, harmful: bool, baseline: bool = False) -> Number:
    """Count the flips that are not accepted.

    Args:
        case: Who is judged.
        findings: What :func:`flip_needs` asks for.
        other: The variant that is compared to.
        harmful: Whether only right→wrong counts.
        baseline: Whether ``other`` is that of the accepted release.
    """
    golden, candidate, reference, ledger, known = (
        findings[need] for need in flip_needs(case, other, baseline=baseline)
    )
    require_scores(case, candidate, golden, reference)
    if ledger.failure:
        raise cannot_judge(f"decisions cannot be compared: {ledger.failure}", "measure both variants again")
    if known.failure:
        raise cannot_judge(known.failure, "correct the file, or take the entry out")
    whom = f"the release's {other}" if baseline else other
    against = BASELINE if baseline else other
    stated = [entry for entry in known.entries if entry.variant == case.name and entry.against == against]
    sorted_flips = _sort(ledger, stated, known.today, harmful=harmful)
    total = ledger.harmed if harmful else ledger.total
    fresh = total - len(sorted_flips.accepted)
    kind = "harmful flip" if harmful else "flip"
    others = f", {pluralise(len(sorted_flips.accepted), 'further one')} accepted" if sorted_flips.accepted else ""
    return Number(
        fresh,
        f"{pluralise(fresh, kind)} between {whom} and {case.name} on {pluralise(ledger.samples, 'sample')}{others}",
        _details(case, ledger, sorted_flips, whom),
    )


@dataclass(slots=True)
class _Sorted:
    """The listed flips, by their state in the accepted-flips file."""

    fresh: list[Flip] = field(default_factory=list)
    accepted: list[Flip] = field(default_factory=list)
    expired: list[tuple[Flip, AcceptedFlip]] = field(default_factory=list)
    vanished: list[AcceptedFlip] = field(default_factory=list)


def _sort(ledger: FlipLedger, stated: list[AcceptedFlip], today: str, *, harmful: bool) -> _Sorted:
    by_id = {entry.id: entry for entry in stated}
    found = _Sorted()
    for row in ledger.rows:
        if harmful and row.kind != "harmed":
            continue
        entry = by_id.get(row.id)
        if entry is None or entry.decision not in {"", row.decision}:
            found.fresh.append(row)
        elif entry.expires.isoformat() < today:
            found.expired.append((row, entry))
        else:
            found.accepted.append(row)
    if len(ledger.rows) == ledger.total:  # a ledger that is cut short cannot tell what has gone
        still = {row.id for row in ledger.rows}
        found.vanished = [entry for entry in stated if entry.id not in still]
    return found


def _details(case: Case, ledger: FlipLedger, found: _Sorted, whom: str) -> list[str]:
    lines = []
    if case.labelled:
        lines.append(
            f"right→wrong {ledger.harmed}, wrong→right {ledger.mended}, wrong→wrong {ledger.moved};"
            f" {pluralise(ledger.total, 'flip')} in all"
        )
    lines += [_in_words(row) for row in found.fresh[:_MOST_NAMED]]
    if len(found.fresh) > _MOST_NAMED:
        lines.append(f"… and {len(found.fresh) - _MOST_NAMED} more; the record lists them")
    lines += [
        f"{row.id}: accepted until {entry.expires.isoformat()}, which has passed ({entry.reason})"
        for row, entry in found.expired[:_MOST_NAMED]
    ]
    if found.vanished:
        gone = join_names([entry.id for entry in found.vanished], most=_MOST_NAMED)
        lines.append(f"accepted, but no flip any more against {whom}: {gone}; take it out of the file")
    return lines


def _in_words(row: Flip) -> str:
    label = f"{row.label}: " if row.label else ""
    capture = ", ".join(f"{column} {cell}" for column, cell in row.capture.items())
    return (
        f"{row.id}: {label}{row.other} → {row.decision} ({_ARROWS[row.kind]}), by {format_number(row.margin)}"
        f" where it was {format_number(row.other_margin)}{f'; {capture}' if capture else ''}"
    )


_flips = partial(
    compares,
    flips,
    relation=Relation.AT_MOST,
    unit="flips",
    needs=lambda case, _limits: flip_needs(case, case.reference or ""),
    next_step=NEXT_STEP_FLIPS,
)


@_flips("decision_flips", not_applicable=either(undecided, _unreferenced))
def decision_flips(case: Case, findings: ClauseEvidence) -> Number:
    """No more images than allowed are decided differently from the reference."""
    return flip_number(case, findings, case.reference or "", harmful=False)


@_flips("harmful_flips", not_applicable=either(undecided, unjudged, _unreferenced))
def harmful_flips(case: Case, findings: ClauseEvidence) -> Number:
    """No more images than allowed turn from right in the reference to wrong."""
    return flip_number(case, findings, case.reference or "", harmful=True)
