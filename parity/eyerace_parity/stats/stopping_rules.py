"""What a contract wants to know of a series of runs: so that a measurement knows when it may stop.

The types of the limits live above this room. So limits that ask something of times or of memory say it themselves
(:class:`StatesTimingRules`, :class:`StatesSoakRuns`), and whoever measures hands over the limits of a variant.
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
"""Which series: of the variant, of its ratios to the other run by run, of what stands before and behind."""

MAX_RUNS = 2000
"""Runs after which an unproven series ends, where no limit says otherwise."""

MAX_SECONDS = 120.0
"""Seconds after which it ends."""

SOAK_RUNS = 200
"""Runs over which memory is watched, where no limit says otherwise."""


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Whether a quantile of a series stays within a budget.

    Attributes:
        part: Which series.
        budget: What the quantile must not exceed: ms, or a ratio.
        quantile: Which quantile.
        clock: The time that decides.
        confidence: Of either proof.
    """

    part: Part
    budget: float
    quantile: float
    clock: Literal["cpu", "wall"]
    confidence: float

    def settled(self, values: Sequence[float] | NDArray[np.float64]) -> bool:
        """Whether a series in the order in which it was taken proves an answer."""
        decided = decide_in_looks(values, self.budget, quantile=self.quantile, confidence=self.confidence)
        return decided.status is not Status.UNPROVEN


@dataclass(frozen=True, slots=True)
class StoppingRules:
    """All that is asked of one measurement of times.

    Attributes:
        questions: The questions; a series nobody asks of ends at its first look.
        max_runs: Runs after which it ends unproven.
        max_seconds: Seconds after which it ends unproven.
    """

    questions: tuple[StoppingRule, ...] = ()
    max_runs: int = MAX_RUNS
    max_seconds: float = MAX_SECONDS

    def of(self, *parts: Part) -> tuple[StoppingRule, ...]:
        """Those that are asked of some of the series."""
        return tuple(question for question in self.questions if question.part in parts)


@runtime_checkable
class StatesTimingRules(Protocol):
    """Limits that ask something of times."""

    def asked_of_times(self, versus: str, confidence: float) -> StoppingRules | None:
        """Say what is asked of the times of the variant that the limits are of.

        Args:
            versus: The variant that takes turns with it in this measurement, or an empty string.
            confidence: The contract's, where the limits name none of their own.

        Returns:
            The questions, or ``None`` where these limits ask nothing of this measurement.
        """


def asked_of(limits: Iterable[object], versus: str, confidence: float) -> StoppingRules:
    """Collect what the limits of a variant ask of its times.

    Args:
        limits: Limits of all families.
        versus: The variant that takes turns with it, or an empty string.
        confidence: The contract's.
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
    """Limits that ask for many runs in one process."""

    def soak_runs(self) -> int | None:
        """Say over how many runs memory is to be watched, or ``None`` where these limits ask for no such thing."""


def runs_of_soak(limits: Iterable[object]) -> int:
    """Over how many runs the memory of a variant is to be watched: the most that any of its limits asks."""
    asked = [family.soak_runs() for family in limits if isinstance(family, StatesSoakRuns)]
    return max((runs for runs in asked if runs is not None), default=SOAK_RUNS)
