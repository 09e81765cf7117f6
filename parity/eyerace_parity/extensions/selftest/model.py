"""What a fault is, and what can become of one."""

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
    """A clause that must turn red.

    Attributes:
        role: Whose clause it is.
        clause: Its name.
        target: Where it is executed.
    """

    role: Role
    clause: str
    target: str = HOST

    def __str__(self) -> str:
        return f"{self.role}:{self.clause}" + (f"@{self.target}" if self.target != HOST else "")


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One small transformation of a good bundle, and what must be seen of it.

    Attributes:
        name: Its name, ``family-what``.
        summary: What was done wrong, one line.
        plant: Returns the contract of the damaged bundle; raises :class:`Unfit` where nothing can be damaged.
        expected: Clauses that must turn red, each where the contract demands it.
        cause: Pattern that a reason, a cause or a detail of a red clause must match, ignoring case.
        witnesses: Clauses of which at least one must, where the contract demands any.
    """

    name: str
    summary: str
    plant: Callable[[Workshop], Contract]
    expected: tuple[Expected, ...]
    cause: str
    witnesses: tuple[Expected, ...] = ()

    @property
    def family(self) -> str:
        """Where it comes from."""
        return self.name.partition("-")[0]

    def named_in(self, text: str) -> bool:
        """Whether a text names the cause."""
        return re.search(self.cause, text, re.IGNORECASE) is not None


class Detection(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"
    """Every expected clause that the contract demands and one of the witnesses turned red; the cause was named."""
    PARTLY = "partly"
    """It was seen and named, but an expected clause stayed green: its limit is too wide for this fault."""
    MISNAMED = "misnamed"
    """It was seen, but no reason names the cause."""
    MISSED = "missed"
    """All clauses that should see it stayed green."""
    UNCOVERED = "uncovered"
    """The contract demands nothing that could see it."""
    UNFIT = "unfit"
    """There is nothing in this bundle that it could damage."""
    LEFT_OUT = "left out"
    """Only a target would see it, and none was to be executed."""
    FAILED = "failed"
    """It could not be planted or judged, although it should."""

    @property
    def passes(self) -> bool:
        """Whether the self-test stays green."""
        return self in {Detection.CAUGHT, Detection.UNCOVERED, Detection.UNFIT, Detection.LEFT_OUT}


@dataclass(frozen=True, slots=True)
class FaultResult:
    """What became of one fault.

    Attributes:
        fault: The fault.
        answer: What became of it.
        expected: Clauses that should see it, that the contract demands and that hold without it.
        red: Verdicts of clauses that hold in the untouched bundle and not in this one, the expected ones first.
        blind: Expected clauses that stayed green.
        cause: The sentence that names the cause, or why there is none.
        seconds: How long it took.
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
    """Clauses that may see that a variant answers otherwise than its reference."""
    return on(role, *_CLOSENESS, *_QUALITY, *_TOGETHER)


def quality_of(role: Role) -> tuple[Expected, ...]:
    """Clauses that may see that a variant's decisions are wrong."""
    return on(role, *_QUALITY)


def on(role: Role, *clauses: str, target: str = HOST) -> tuple[Expected, ...]:
    """Expect clauses of one variant."""
    return tuple(Expected(role, clause, target) for clause in clauses)
