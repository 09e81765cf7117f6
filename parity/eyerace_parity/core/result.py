"""What a check answers: a verdict with its number, its limit and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

HOST: Final = "host"
"""Target of everything that is executed on the machine and runtime of the run itself."""


class Status(StrEnum):
    """The four answers. Only ``HELD`` passes; nothing is ever held for want of evidence."""

    HELD = "held"
    BROKEN = "broken"
    UNPROVEN = "unproven"
    ERROR = "error"

    @property
    def passes(self) -> bool:
        """Whether the gate stays green."""
        return self is Status.HELD


class Relation(StrEnum):
    """How a value must stand to its limit."""

    AT_MOST = "≤"
    AT_LEAST = "≥"
    EQUAL = "="

    def holds(self, value: float, limit: float) -> bool:
        """Compare two numbers. A NaN never holds, whichever side it stands on."""
        match self:
            case Relation.AT_MOST:
                return value <= limit
            case Relation.AT_LEAST:
                return value >= limit
            case Relation.EQUAL:
                return value == limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a clause says of its evidence, before it is known whose clause it is.

    Attributes:
        status: One of the four answers.
        value: The measured number (or a short text such as ``opset 18``); ``None`` where nothing could be measured.
        limit: What the contract demands of it, in the same unit.
        relation: How ``value`` must stand to ``limit``.
        unit: Unit of both, e.g. ``ms``, ``bytes``, ``dB``; empty for a bare number or a text.
        reason: One sentence: what was found. Never empty unless held.
        next_step: One sentence: what to do, or what would settle it.
        details: Further lines for the failure report: worst samples, tolerance that would have passed, spread.
        causes: Why it is likely so, the likeliest first: one sentence each with the numbers that show it.
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
    """Whose verdict it is. Never a pytest node id: other plugins rewrite those.

    Attributes:
        contract: Name of the contract.
        variant: The form of the model that is judged.
        check: The family, e.g. ``quality``.
        clause: What is demanded, e.g. ``f1``; unique over all families.
        target: Where it was executed.
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
    """A judgement with its identity and the evidence it rests on.

    Attributes:
        identity: Whose verdict it is.
        judgement: What it says.
        evidence: Keys of the evidence that it rests on, as they stand in the record: what was judged, then what its
            causes were found in.
        needs: What each key of ``evidence`` answers, a ``eyerace_parity.evidence.base.Need`` each, in the same order.
    """

    identity: Identity
    judgement: Judgement
    evidence: tuple[str, ...] = field(default=())
    needs: tuple[Any, ...] = field(default=())

    @property
    def status(self) -> Status:
        """The answer."""
        return self.judgement.status
