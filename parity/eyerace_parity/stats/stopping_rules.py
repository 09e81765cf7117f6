"""Stopping rules: which questions of a contract a series of runs must answer before it may stop.

The types of the limits live in higher rooms. So limits on times or memory state their own rules
(:class:`StatesTimingRules`, :class:`StatesSoakRuns`), and the measurement passes the limits of a variant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from eyerace_parity.core.result import Status
from eyerace_parity.stats.quantiles import decide_in_looks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

Part = Literal["inference", "ratio", "preprocessing", "postprocessing"]
"""The series: times of the variant, its ratios to the other variant run by run, or times of pre- or postprocessing."""

MAX_RUNS = 2000
"""Default number of runs after which an unproven series ends."""

MAX_SECONDS = 120.0
"""Default number of seconds after which an unproven series ends."""

SOAK_RUNS = 200
"""Default number of runs over which memory is watched."""


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """The question whether a quantile of a series stays within a budget.

    Attributes:
        part: The series.
        budget: Upper limit of the quantile, in ms or as a ratio.
        quantile: The quantile, between 0 and 1.
        clock: The clock that decides: process CPU time or wall time.
        confidence: Confidence of either answer.
    """

    part: Part
    budget: float
    quantile: float
    clock: Literal["cpu", "wall"]
    confidence: float

    def settled(self, values: Sequence[float] | NDArray[np.float64]) -> bool:
        """Whether a series, in order of measurement, proves an answer."""
        decided = decide_in_looks(values, self.budget, quantile=self.quantile, confidence=self.confidence)
        return decided.status is not Status.UNPROVEN


@dataclass(frozen=True, slots=True)
class StoppingRules:
    """All questions to one timing measurement.

    Attributes:
        questions: The questions. A series without one ends at its first look.
        max_runs: Number of runs after which the measurement ends unproven.
        max_seconds: Number of seconds after which the measurement ends unproven.
    """

    questions: tuple[StoppingRule, ...] = ()
    max_runs: int = MAX_RUNS
    max_seconds: float = MAX_SECONDS

    def of(self, *parts: Part) -> tuple[StoppingRule, ...]:
        """Return the questions about the given series."""
        return tuple(question for question in self.questions if question.part in parts)


@runtime_checkable
class StatesTimingRules(Protocol):
    """Limits with questions about times."""

    def asked_of_times(self, versus: str, confidence: float) -> StoppingRules | None:
        """Return the questions about the times of the variant that has these limits.

        Args:
            versus: The variant that is interleaved with it in this measurement, or an empty string.
            confidence: The contract's confidence, used if the limits state none.

        Returns:
            The questions, or ``None`` if these limits need nothing from this measurement.
        """


def asked_of(limits: Iterable[object], versus: str, confidence: float) -> StoppingRules:
    """Collect the questions of all limits about the times of a variant.

    Args:
        limits: The variant's limits, of all families.
        versus: The variant that is interleaved with it, or an empty string.
        confidence: The contract's confidence.
    """
    found = [
        asked
        for family in limits
        if isinstance(family, StatesTimingRules) and (asked := family.asked_of_times(versus, confidence)) is not None
    ]
    if not found:
        return StoppingRules()
    return StoppingRules(
        tuple(dict.fromkeys(question for asked in found for question in asked.questions)),
        max(asked.max_runs for asked in found),
        max(asked.max_seconds for asked in found),
    )


@runtime_checkable
class StatesSoakRuns(Protocol):
    """Limits on memory over many runs in one process."""

    def soak_runs(self) -> int | None:
        """Return the number of runs over which memory is watched, or ``None`` if these limits do not need it."""


def runs_of_soak(limits: Iterable[object]) -> int:
    """Return the number of runs over which a variant's memory is watched: the maximum over its limits."""
    asked = [family.soak_runs() for family in limits if isinstance(family, StatesSoakRuns)]
    return max((runs for runs in asked if runs is not None), default=SOAK_RUNS)
