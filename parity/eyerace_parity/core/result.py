"""The result of a clause: a verdict with its value, its limit and the next step."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

HOST: Final = "host"
"""Name of the default target: the machine and the runtime of the run itself."""


class Status(StrEnum):
    """The four results of a clause. Only ``HELD`` passes, and missing evidence never gives ``HELD``."""

    HELD = "held"
    BROKEN = "broken"
    UNPROVEN = "unproven"
    ERROR = "error"

    @property
    def passes(self) -> bool:
        """Whether the gate passes."""
        return self is Status.HELD


class Relation(StrEnum):
    """Required relation of a value to its limit."""

    AT_MOST = "≤"
    AT_LEAST = "≥"
    EQUAL = "="

    def holds(self, value: float, limit: float) -> bool:
        """Compare two numbers. The result is false if either is NaN."""
        match self:
            case Relation.AT_MOST:
                return value <= limit
            case Relation.AT_LEAST:
                return value >= limit
            case Relation.EQUAL:
                return value == limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of a clause for its evidence, without the identity of the clause.

    Attributes:
        status: One of the four results.
        value: The measured number, or a short text such as ``opset 18``; ``None`` if nothing could be measured.
        limit: The contract's limit, in the same unit.
        relation: Required relation of ``value`` to ``limit``.
        unit: Unit of both, e.g. ``ms``, ``bytes``, ``dB``; empty for a plain number or a text.
        reason: One sentence: what was found. Empty only for a held clause.
        next_step: One sentence: what to do, or what would settle it.
        details: Further lines for the failure report: worst samples, tolerance that would have passed, spread.
        causes: Probable causes, the most likely first: one sentence each, with the numbers that show it.
    """

    status: Status
    value: float | str | None = None
    limit: float | str | None = None
    relation: Relation = Relation.EQUAL
    unit: str = ""
    reason: str = ""
    next_step: str = ""
    details: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.status.passes and not self.reason:
            message = f"a judgement that is {self.status} must give its reason"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifies a verdict. It is not the pytest node id, because other plugins rewrite node ids.

    Attributes:
        contract: Name of the contract.
        variant: Name of the judged variant.
        check: Name of the check (a family of clauses), e.g. ``quality``.
        clause: Name of the clause, e.g. ``f1``; unique over all checks.
        target: Name of the target that executed the variant.
    """

    contract: str
    variant: str
    check: str
    clause: str
    target: str = HOST

    def __str__(self) -> str:
        place = "" if self.target == HOST else f" on {self.target}"
        return f"{self.variant} {self.clause}{place}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its identity and its evidence.

    Attributes:
        identity: Contract, variant, clause and target of the verdict.
        judgement: The result.
        evidence: Keys of its evidence in the record: first the judged evidence, then that of the causes.
        needs: The ``eyerace_parity.evidence.base.Need`` of each key in ``evidence``, in the same order. Typed ``Any``,
            because the type lives in a higher room.
    """

    identity: Identity
    judgement: Judgement
    evidence: tuple[str, ...] = field(default=())
    needs: tuple[Any, ...] = field(default=())

    @property
    def status(self) -> Status:
        """Status of the judgement."""
        return self.judgement.status
