"""What a record says of one clause: its verdict, or why it got none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.result import HOST, Identity, Relation, Status, Verdict


class Entry(BaseModel):
    """Base of everything in a record."""

    # Validators are built when a model is first used: most runs use half of them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, defer_build=True
    )


class RecordRow(Entry):
    """A row about one clause.

    Attributes:
        contract: Name of the contract.
        variant: The form of the model that the clause speaks of.
        check: The family.
        clause: What is demanded.
        target: Where it is executed.
    """

    contract: str
    variant: str
    check: str
    clause: str
    target: str = HOST

    @property
    def identity(self) -> Identity:
        """Whose row it is."""
        return Identity(self.contract, self.variant, self.check, self.clause, self.target)


class VerdictEntry(RecordRow):
    """One verdict.

    Attributes:
        status: The answer.
        value: The measured number, or a short text; ``null`` where nothing could be measured.
        relation: How ``value`` must stand to ``limit``.
        limit: What the contract demands.
        unit: Unit of both.
        reason: What was found.
        next: What to do, or what would settle it.
        details: Further lines.
        causes: What likely caused it, the likeliest first; docs/causes.md.
        line: 1-based line of the contract that demands it, where it stands in the contract.
        evidence: Keys into the record's ``evidence``.
    """

    status: Status
    value: int | float | str | None = None
    relation: Relation = Relation.EQUAL
    limit: int | float | str | None = None
    unit: str = ""
    reason: str = ""
    next: str = ""
    details: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    line: int | None = None
    evidence: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict, *, line: int | None = None) -> Self:
        """Write a verdict down."""
        what = verdict.judgement
        return cls(
            **asdict(verdict.identity),
            status=what.status,
            value=_exact(what.value),
            relation=what.relation,
            limit=_exact(what.limit),
            unit=what.unit,
            reason=what.reason,
            next=what.next_step,
            details=what.details,
            causes=what.causes,
            line=line,
            evidence=verdict.evidence,
        )


class Unjudged(RecordRow):
    """A clause of the contract that got no verdict in this run.

    Attributes:
        why: Why it was not judged, e.g. ``deselected``.
    """

    why: str

    @classmethod
    def of(cls, identity: Identity, why: str) -> Self:
        """Write down that a clause was not judged."""
        return cls(**asdict(identity), why=why)


def _exact(value: float | str | None) -> float | str | None:
    """A value in a type of Python's own: checks compute in numpy's, which no other process need understand."""
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    return int(value) if isinstance(value, int) else float(value)
