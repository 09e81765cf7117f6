"""Exact group-sequential test of a share: decides during a growing series whether it is within a limit or above it.

Every look at the number of runs over a budget can err. So the error e is spent over the looks (Lan & DeMets, "Discrete
sequential boundaries for clinical trials", Biometrika 70, 1983): after n runs at most A(n) = e·(1 - s/n) is spent, with
a constant s. A(n) never reaches e, so a series can always continue. The boundaries follow exactly from the binomial
distribution of the runs between two looks, without the series that crossed before (Armitage, McPherson & Rowe, J. R.
Statist. Soc. A 132, 1969; Jennison & Turnbull, *Group Sequential Methods with Applications to Clinical Trials*,
chapter 12).

Each side spends its own error and ignores that the other may stop the series. So under any stopping rule (another
clause, a cap on runs or seconds) the error of each side is at most e, for independent runs. All series use the same
looks.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

FIRST_LOOK: Final = 30
"""Runs before the first look. Fewer runs may all fall into one short disturbance of the machine."""

_STEP: Final = 10  # runs between the first looks
_GROWTH: Final = 160  # runs per unit of step: from 320 runs on, a step is about 1/16 of the series
_BEGIN: Final = 1.2  # s as a multiple of the fewest runs that can prove anything; spending before them has no use
_BEGIN_AT_LEAST: Final = 20.0  # smallest s, in runs
_ROUNDING: Final = 1e-9  # ``1 - confidence`` has a rounding error; equality in exact arithmetic must count
_NEGLIGIBLE: Final = 1e-30  # smaller probabilities become zero; they cannot change a boundary
_SHORTEST: Final = 4096  # boundaries are computed for at least so many runs, so that most series need one pass


def looks() -> Iterator[int]:
    """Yield the numbers of runs at which a series is evaluated: 30, 40, 50 …, later in steps of 1/16 of the series."""
    runs = FIRST_LOOK
    while True:
        yield runs
        runs += _STEP * max(1, runs // _GROWTH)


def looks_until(runs: int) -> tuple[int, ...]:
    """Return the looks up to a number of runs."""
    return tuple(takewhile(lambda look: look <= runs, looks()))


class Boundaries:
    """Boundaries for the number of runs over the budget, by look.

    Args:
        chance: Allowed share of runs over the budget, between 0 and 1.
        risk: Error probability of each side over all looks, above 0 and at most 0.5. With more, a series could prove
            both sides.

    Attributes:
        looks: Numbers of runs, as far as computed.
        held: At each look, the most runs over the budget that prove a share of at most ``chance``; -1 if none do.
        broken: At each look, the fewest runs over the budget that prove a larger share.

    Raises:
        ValueError: ``chance`` or ``risk`` is out of range.
    """

    def __init__(self, chance: float, risk: float) -> None:
        if not (0 < chance < 1 and 0 < risk <= 0.5 * (1 + _ROUNDING)):
            message = f"a share of {chance} at an error of {risk} cannot be decided"
            raise ValueError(message)
        self.chance, self.risk = chance, risk
        self.looks: tuple[int, ...] = ()
        self.held: tuple[int, ...] = ()
        self.broken: tuple[int, ...] = ()

    def until(self, runs: int) -> Boundaries:
        """Compute the boundaries at least up to a number of runs."""
        if not self.looks or next(look for look in looks() if look > self.looks[-1]) <= runs:
            # Start again and compute far ahead: earlier boundaries come out the same, and this rarely happens twice.
            self.looks = looks_until(max(2 * runs, _SHORTEST))
            # A count that is at most an earlier boundary crossed it at that look, so boundaries never decrease.
            self.held = tuple(accumulate(self._reckon(self._spent_by(self.chance), _lower), max))
            self.broken = self._reckon(self._spent_by(1 - self.chance), _upper)
        return self

    def _spent_by(self, chance: float) -> Callable[[int], float]:
        """Return A(n) for the side whose contrary runs have the probability ``chance``."""
        fewest = math.log(self.risk) / math.log1p(-chance)  # (1 - chance)^n = risk
        begin = max(_BEGIN * fewest, _BEGIN_AT_LEAST)
        return lambda runs: self.risk * max(0.0, 1.0 - begin / runs) * (1.0 + _ROUNDING)

    def _reckon(
        self, spent_by: Callable[[int], float], cross: Callable[[NDArray[np.float64], float], tuple[int, float]]
    ) -> tuple[int, ...]:
        """Compute one side's boundaries: follow the distribution of undecided series at the limit from look to look."""
        alive, spent, before, found = np.ones(1), 0.0, 0, []
        for look in self.looks:
            alive = np.convolve(alive, binomial_terms(look - before, self.chance))
            alive[alive < _NEGLIGIBLE] = 0.0
            boundary, used = cross(alive, spent_by(look) - spent)
            found.append(boundary)
            spent, before = spent + used, look
        return tuple(found)


def _lower(alive: NDArray[np.float64], left: float) -> tuple[int, float]:
    """Absorb the smallest counts as far as the remaining error allows.

    Returns:
        The largest absorbed count, or -1, and the error that was spent.
    """
    summed = np.cumsum(alive)
    last = int(np.searchsorted(summed, left, side="right")) - 1
    # Counts absorbed at earlier looks are zeros at the start. Nothing is absorbed if they are all there is.
    if last < 0 or left <= 0 or not summed[last]:
        return -1, 0.0
    alive[: last + 1] = 0.0
    return last, float(summed[last])


def _upper(alive: NDArray[np.float64], left: float) -> tuple[int, float]:
    """Absorb the largest counts in the same way."""
    last, used = _lower(alive[::-1], left)
    return len(alive) - 1 - last if used else len(alive), used


def binomial_terms(trials: int, chance: float) -> NDArray[np.float64]:
    """Return the binomial probabilities P(X = k) for k = 0 … ``trials``, float64 [trials + 1]."""
    counts = np.arange(trials + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    ways = factorials[-1] - factorials - factorials[::-1]
    terms: NDArray[np.float64] = np.exp(ways + counts * math.log(chance) + (trials - counts) * math.log1p(-chance))
    return terms


@lru_cache(maxsize=32)
def boundaries(chance: float, risk: float) -> Boundaries:
    """Return the boundaries for a share and an error. Cached."""
    return Boundaries(chance, risk)


def crossing_chance(
    looks_taken: Sequence[int], chance: float, *, at_most: Sequence[int] = (), at_least: Sequence[int] = ()
) -> list[float]:
    """Compute the exact probability that a series has crossed a boundary by each look.

    Args:
        looks_taken: Numbers of runs, ascending.
        chance: True share of runs over the budget.
        at_most: Lower boundary at each look; -1 for none. Empty to ignore this side.
        at_least: Upper boundary at each look. Empty to ignore this side.

    Returns:
        P(crossed at this look or before), one per look.
    """
    alive, crossed, before, found = np.ones(1), 0.0, 0, []
    for number, look in enumerate(looks_taken):
        alive = np.convolve(alive, binomial_terms(look - before, chance))
        before = look
        low = at_most[number] + 1 if at_most else 0
        high = at_least[number] if at_least else len(alive)
        crossed += float(alive[:low].sum() + alive[high:].sum())
        alive[:low] = 0.0
        alive[high:] = 0.0
        found.append(crossed)
    return found
