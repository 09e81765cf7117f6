"""What a fault is, and the possible results of planting it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from eyerace_parity.core.result import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Verdict
    from eyerace_parity.extensions.selftest.workshop import Role, Workshop

FAMILIES = ("preprocessing", "labels", "export", "weights", "quantisation", "runtime", "cost", "hybrid")
"""Where faults come from, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A clause that must detect a fault.

    Attributes:
        role: Role of the variant.
        clause: Name of the clause.
        target: Where it runs.
    """

    role: Role
    clause: str
    target: str = HOST

    def __str__(self) -> str:
        return f"{self.role}:{self.clause}" + (f"@{self.target}" if self.target != HOST else "")


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One small change to a good bundle, and what must detect it.

    Attributes:
        name: Its name, ``family-what``.
        summary: The mistake in one line.
        plant: Returns the contract of the damaged bundle; raises :class:`FaultNotApplicable` if the bundle has no part
            that
            it damages.
        expected: Clauses that must break, each if the contract demands it.
        cause: Pattern that a reason, a cause or a detail of a broken clause must match, ignoring case.
        witnesses: Clauses of which at least one must break, if the contract demands any.
    """

    name: str
    summary: str
    plant: Callable[[Workshop], Contract]
    expected: tuple[Expected, ...]
    cause: str
    witnesses: tuple[Expected, ...] = ()

    @property
    def family(self) -> str:
        """Its family: the first part of its name."""
        return self.name.partition("-")[0]

    def named_in(self, text: str) -> bool:
        """Whether a text names the cause."""
        return re.search(self.cause, text, re.IGNORECASE) is not None


class Detection(StrEnum):
    """The result of planting a fault."""

    CAUGHT = "caught"
    """Every expected clause that the contract demands and one of the witnesses broke; the cause was named."""
    PARTLY = "partly"
    """It was detected and named, but an expected clause held: its limit is too wide for this fault."""
    MISNAMED = "misnamed"
    """It was detected, but no reason names the cause."""
    MISSED = "missed"
    """All clauses that should detect it held."""
    UNCOVERED = "uncovered"
    """No clause of the contract could detect it."""
    UNFIT = "not_applicable"
    """The bundle has no part that it damages."""
    LEFT_OUT = "left out"
    """Only a target could detect it, and no target was run."""
    FAILED = "failed"
    """It could not be planted or judged, although it should."""

    @property
    def passes(self) -> bool:
        """Whether the self-test passes with this result."""
        return self in {Detection.CAUGHT, Detection.UNCOVERED, Detection.UNFIT, Detection.LEFT_OUT}


@dataclass(frozen=True, slots=True)
class FaultResult:
    """The result of one fault.

    Attributes:
        fault: The fault.
        answer: The result.
        expected: Clauses that should detect it, that the contract demands and that hold without it.
        red: Verdicts of clauses that hold in the good bundle and not in this one, the expected ones first.
        blind: Expected clauses that still hold.
        cause: The sentence that names the cause, or why there is none.
        seconds: Duration.
    """

    fault: PlantedFault
    answer: Detection
    expected: tuple[Expected, ...] = ()
    red: tuple[Verdict, ...] = ()
    blind: tuple[Expected, ...] = ()
    cause: str = ""
    seconds: float = 0.0


_QUALITY = (
    "f1",
    "micro_f1",
    "accuracy",
    "metric",
    "f1_drop",
    "micro_f1_drop",
    "accuracy_drop",
    "metric_drop",
    "f1_per_class",
    "f1_drop_per_class",
)
_CLOSENESS = ("max_abs", "p999_abs", "max_rel", "sqnr_db", "cosine", "top1_agreement", "mean_kl")
# Clauses that compare the answers of phone and cloud.
_TOGETHER = (
    "tier_agreement",
    "score_shift",
    "score_shift_p99",
    "order_agreement",
    "calibration_shift",
    "mixture_f1",
    "decision_flips",
    "harmful_flips",
)


def answers_of(role: Role) -> tuple[Expected, ...]:
    """Clauses that may detect that a variant's answers differ from its reference's."""
    return on(role, *_CLOSENESS, *_QUALITY, *_TOGETHER)


def quality_of(role: Role) -> tuple[Expected, ...]:
    """Clauses that may detect that a variant's decisions are wrong."""
    return on(role, *_QUALITY)


def on(role: Role, *clauses: str, target: str = HOST) -> tuple[Expected, ...]:
    """Expect clauses of one variant."""
    return tuple(Expected(role, clause, target) for clause in clauses)
