"""Decides whether a quantile of run times stays within a budget, from the runs of several fresh processes.

Consecutive runs are not independent: the lag-1 autocorrelation of log CPU time is 0.2 to 0.7, processes differ by about
5 %, and neighbouring processes resemble each other (measured). A test that counts runs as independent is then wrong up
to 60 % of the time at the limit. So the process is the unit: whatever correlates the runs of a process changes one unit
only. The question is about the quantile of all runs over fresh processes of one session.

- *Early looks*, after 6, 12 and 24 processes: a normal tolerance factor on the logarithms of the processes' own
  quantiles (Hahn & Meeker, *Statistical Intervals*, section 4.6). It answers only where nearly all processes lie on one
  side, and still would if they were worse by a stated factor.
- *The last look*: the share of runs over the budget, with the processes as clusters. Its standard error is taken at the
  runs' own quantile (Woodruff, J. Am. Stat. Assoc. 47, 1952), or with the design effect at the budget where that is
  larger (Korn & Graubard, Survey Methodology 24, 1998).
- *No answer nearer than a margin to the budget, and only if both halves of the session agree.* A drift of the machine
  moves both the quantile and its error.

``benchmarks/test_calibration.py`` simulates how often the answers are wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from eyerace_parity.core.result import Status
from eyerace_parity.stats.quantiles import quantile_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Runs = NDArray[np.float64]

EARLY_LOOKS: Final = (6, 12, 24)
"""Numbers of processes after which a clear answer ends the series."""

PROCESSES: Final = 40
"""Number of processes after which the series ends."""

LEAST_PROCESSES: Final = 12
"""Fewest processes of the last look, which a limit on time may bring forward. The error of a spread that is estimated
from fewer is too large."""

_COVERED: Final = 0.95  # share of processes that a tolerance factor covers
_EARLY_RISK: Final = 0.2  # part of the error that each early look may spend
_LAST_RISK: Final = 0.5  # part of the error of the last look
_MANY: Final = 30  # processes; with fewer the last look is as careful as an early one
_TAIL: Final = 10.0  # runs beyond the quantile, at the limit, that an early look needs; else it keeps a wider margin
_FEW_RUNS: Final = 2.0  # that margin: a short series may have missed every slow spell of the machine

Why = Literal["clear", "share", "spread", "near", "halves", "few"]
"""Why a decision came out: all processes on one side; the share of runs; no proof; too near to the budget; the halves
of the session disagree; too few processes."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Factors between a quantile and its budget.

    Attributes:
        early: An early answer would be the same if all processes were worse by this factor.
        last: No answer if the quantile is nearer to the budget than this factor.
        broken: A budget counts as broken only from this multiple of it on.
    """

    early: float = 1.20
    last: float = 1.05
    broken: float = 1.0


TIMES: Final = Margins()
"""Margins of times in ms. What changes all processes of a session alike is not visible in their spread."""

DISTURBED_TIMES: Final = Margins(broken=1.20)
"""Margins of CPU times beside competing work. Busy neighbours raise the p95 of CPU time by 10 to 11 % (measured); the
factor was found by simulation."""

RATIOS: Final = Margins(early=1.05)
"""Margins of ratios of interleaved runs: what slows the machine slows both."""


@dataclass(frozen=True, slots=True)
class TimeDecision:
    """The decision about a quantile of times.

    Attributes:
        status: ``held``, ``broken`` or ``unproven``.
        why: What decided.
        quantile: Sample quantile of the runs of the processes that were looked at.
        over: Share of these runs over the budget.
        margin: Half-width of the confidence interval of the share at the budget.
        processes: Number of processes that were looked at.
        runs: Number of their runs.
        halves: Sample quantiles of the first and of the second half of the processes.
    """

    status: Status
    why: Why
    quantile: float
    over: float
    margin: float
    processes: int
    runs: int
    halves: tuple[float, float]


def decide_times(
    processes: Sequence[Runs],
    budget: float,
    *,
    quantile: float,
    confidence: float,
    margins: Margins = TIMES,
    last: bool = True,
) -> TimeDecision:
    """Decide whether a quantile of the runs of fresh processes stays within a budget.

    Args:
        processes: Runs by process, in the order of measurement: one array float64 [runs] per process, of positive
            finite numbers, none of them empty. The first run of a process is not part of it. At least one process.
        budget: Upper limit of the quantile, in the unit of the runs, above 0.
        quantile: The quantile, between 0 and 1.
        confidence: Confidence of ``held`` and of ``broken``, at least 0.5.
        margins: How far from the budget an answer must lie.
        last: Whether no further process follows. If not, only the early looks decide.

    Returns:
        The decision of the first look with an answer. A budget is never held if a larger one is broken.
    """
    risk = 1.0 - confidence
    own = np.log([quantile_of(np.sort(runs), quantile) for runs in processes])
    for look in EARLY_LOOKS:
        if look > len(own):
            break
        tail = sum(len(runs) for runs in processes[:look]) * (1 - quantile)
        early = margins.early if tail >= _TAIL else max(margins.early, _FEW_RUNS)
        status = _clear(own[:look], budget, _tolerance(look, 1 - _EARLY_RISK * risk), early, margins.broken)
        if status is not Status.UNPROVEN:
            return _Look(processes[:look], quantile).decided(status, "clear", budget, risk)
    whole = _Look(processes, quantile)
    if not last or len(own) < LEAST_PROCESSES:
        return whole.decided(Status.UNPROVEN, "few", budget, risk)
    return whole.decide(own, budget, risk, margins)


def _spent(processes: int) -> float:
    """Return the part of the error that the last look spends."""
    return _LAST_RISK if processes >= _MANY else _EARLY_RISK


def _clear(own: Runs, budget: float, factor: float, early: float, broken: float) -> Status:
    """Answer if nearly all processes lie on one side, and still would if all were worse by the factor ``early``."""
    middle, reach = float(own.mean()), factor * float(own.std(ddof=1)) + math.log(early)
    if middle + reach <= math.log(budget):
        return Status.HELD
    if middle - reach > math.log(budget * broken):
        return Status.BROKEN
    return Status.UNPROVEN


class _Look:
    """All runs of some processes.

    Args:
        processes: Runs by process, in order.
        quantile: The quantile that is asked.
    """

    def __init__(self, processes: Sequence[Runs], quantile: float) -> None:
        self._at = quantile
        self._runs = np.concatenate(processes)
        sizes = np.array([len(runs) for runs in processes])
        self._sizes, self._begins = sizes, np.concatenate([[0], np.cumsum(sizes)[:-1]])
        half = self._begins[len(processes) // 2]
        self._quantile = quantile_of(np.sort(self._runs), quantile)
        parts = (self._runs[:half], self._runs[half:]) if half else (self._runs, self._runs)
        self._halves = (quantile_of(np.sort(parts[0]), quantile), quantile_of(np.sort(parts[1]), quantile))

    def decide(self, own: Runs, budget: float, risk: float, margins: Margins) -> TimeDecision:
        """Decide by the share of runs over the budget, or by the processes' own quantiles where these are clearer.

        Args:
            own: Logarithms of the processes' own quantiles, float64 [processes].
            budget: Upper limit of the quantile.
            risk: Error of either answer.
            margins: How far from the budget an answer must lie.
        """
        over, margin = self._share(budget, risk)
        # A process of few runs shows no quantile of its own.
        whole = len(self._runs) * (1 - self._at) >= len(own)
        reach = _tolerance(len(own), 1 - _spent(len(own)) * risk) * float(own.std(ddof=1)) if whole else math.inf
        allowed = 1 - self._at
        if over + margin <= allowed or float(own.mean()) + reach <= math.log(budget):
            return self._settled(Status.HELD, budget, risk, margins)
        if margins.broken != 1.0:
            over, margin = self._share(budget * margins.broken, risk)
        if over - margin >= allowed or float(own.mean()) - reach > math.log(budget * margins.broken):
            return self._settled(Status.BROKEN, budget, risk, margins)
        near = budget / margins.last < self._quantile <= budget * margins.broken * margins.last
        return self.decided(Status.UNPROVEN, "near" if near else "spread", budget, risk)

    def _settled(self, status: Status, budget: float, risk: float, margins: Margins) -> TimeDecision:
        """Keep an answer only if it is far enough from the budget and both halves of the session give it."""
        if status is Status.HELD:
            far, alike = self._quantile * margins.last <= budget, max(self._halves) <= budget
        else:
            limit = budget * margins.broken
            far, alike = self._quantile > limit * margins.last, min(self._halves) > limit
        if far and alike:
            return self.decided(status, "share", budget, risk)
        return self.decided(Status.UNPROVEN, "halves" if far else "near", budget, risk)

    def decided(self, status: Status, why: Why, budget: float, risk: float) -> TimeDecision:
        """Put an answer beside what was seen."""
        over, margin = self._share(budget, risk)
        return TimeDecision(status, why, self._quantile, over, margin, len(self._sizes), len(self._runs), self._halves)

    def _share(self, budget: float, risk: float) -> tuple[float, float]:
        """Return the share of runs over a number, and the half-width of its interval with processes as clusters."""
        number, allowed = len(self._sizes), 1 - self._at
        if number == 1:
            return float((self._runs > budget).mean()), 1.0
        at_budget, at_quantile = self._shares(budget), self._shares(self._quantile)
        over = float(at_budget.mean())
        error = float(at_quantile.std(ddof=1))
        if 0 < over < 1:
            effect = math.sqrt(allowed * self._at / (over * (1 - over)))
            error = max(error, float(at_budget.std(ddof=1)) * effect)
        return over, _student(number - 1, 1 - _spent(number) * risk) * error / math.sqrt(number)

    def _shares(self, number: float) -> Runs:
        """Share of runs over a number in each process, float64 [processes]."""
        shares: Runs = np.add.reduceat((self._runs > number).astype(np.float64), self._begins) / self._sizes
        return shares


def bounds_of_times(
    processes: Sequence[Runs], *, quantile: float, confidence: float, margins: Margins = TIMES
) -> tuple[float | None, float | None]:
    """Return the largest budget that is broken and the smallest that is held, by :func:`decide_times`.

    Args:
        processes: Runs by process, as for :func:`decide_times`.
        quantile: The quantile, between 0 and 1.
        confidence: Confidence of each bound alone.
        margins: How far from the budget an answer must lie.

    Returns:
        Lower and upper bound, in the unit of the runs, exact to 0.1 %; ``None`` for a bound that needs more processes.
    """
    middle = quantile_of(np.sort(np.concatenate(processes)), quantile)

    def reached(status: Status, direction: float) -> float | None:
        """Search outwards from the quantile, where no budget is decided, in steps of the logarithm."""
        near, far = 0.0, 0.02
        while not _is(status, middle * math.exp(direction * far)):
            near, far = far, 2 * far
            if far > _FARTHEST:
                return None
        while far - near > _EXACT:
            step = (near + far) / 2
            near, far = (near, step) if _is(status, middle * math.exp(direction * step)) else (step, far)
        return middle * math.exp(direction * far)

    def _is(status: Status, budget: float) -> bool:
        found = decide_times(processes, budget, quantile=quantile, confidence=confidence, margins=margins)
        return found.status is status

    return reached(Status.BROKEN, -1.0), reached(Status.HELD, 1.0)


_FARTHEST: Final = 6.0  # bounds beyond a factor of e^6 say nothing
_EXACT: Final = 1e-3


# ---- factors ---------------------------------------------------------------------------------------------------------

_POINTS: Final = 4000  # of the numerical integral: exact to six digits


@lru_cache(maxsize=256)
def _tolerance(number: int, confidence: float) -> float:
    """Return k such that mean + k · sd of ``number`` normal values exceeds 95 % of them all with this confidence."""
    shift = NormalDist().inv_cdf(_COVERED) * math.sqrt(number)
    return _noncentral_t(number - 1, shift, confidence) / math.sqrt(number)


@lru_cache(maxsize=256)
def _student(freedom: int, confidence: float) -> float:
    """Return a quantile of Student's t distribution."""
    return _noncentral_t(freedom, 0.0, confidence)


def _noncentral_t(freedom: int, shift: float, confidence: float) -> float:
    """Return a quantile of the noncentral t distribution, by bisection. Avoids the import time of scipy.

    P(T ≤ t) is the mean of Φ(t·s - shift) over s, the sample standard deviation of a standard normal distribution.
    """
    spread = np.linspace(0.0, 1.0 + 12.0 / math.sqrt(2 * freedom), _POINTS + 1)[1:]
    density = np.exp((freedom - 1) * np.log(spread) - freedom * spread**2 / 2)
    density /= density.sum()
    low, high = -10.0, 100.0 * (1.0 + abs(shift))
    while high - low > 1e-9 * max(1.0, abs(high)):
        middle = (low + high) / 2
        below = float((density * _normal_cdf(middle * spread - shift)).sum())
        low, high = (middle, high) if below < confidence else (low, middle)
    return high


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _normal_cdf(values: Runs) -> Runs:
    found: Runs = 0.5 * _erfc(-values / math.sqrt(2))
    return found
