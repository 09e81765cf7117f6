"""When a growing series of runs proves that a share is small enough, or too large: an exact sequential decision.

The number of runs over a budget is looked at again and again, and each look is a chance to be wrong. So that chance is
spent (Lan & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983): a function A(n) says
how much of the error e may have been used up after n runs, here A(n) = e·(1 - s/n). It never spends all, so a series
may always be continued. The boundaries that use up no more follow exactly, from the binomial distribution of the runs
between two looks and the absorption of whatever crossed before (Armitage, McPherson & Rowe, J. R. Statist. Soc. A 132,
1969; Jennison & Turnbull, *Group Sequential Methods with Applications to Clinical Trials*, chapter 12).

Each side spends an error of its own and ignores that the other may have stopped the series: under any rule of stopping
(another clause, a cap in runs or in seconds) neither is wrong more often than e. The looks are the same for everybody.
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
"""Runs before the first look: fewer may all lie in one moment of the machine."""

_STEP: Final = 10
_GROWTH: Final = 160  # from here on a step is a sixteenth of what there is
_BEGIN: Final = 1.2  # spending begins this much after the fewest runs that could prove anything at all
_BEGIN_AT_LEAST: Final = 20.0
_ROUNDING: Final = 1e-9  # ``1 - confidence`` carries a rounding error; equal in exact numbers must count
_NEGLIGIBLE: Final = 1e-30
_SHORTEST: Final = 4096


def looks() -> Iterator[int]:
    """Numbers of runs at which a series is looked at: 30, 40, 50 …, in time every sixteenth more."""
    runs = FIRST_LOOK
    while True:
        yield runs
        runs += _STEP * max(1, runs // _GROWTH)


def looks_until(runs: int) -> tuple[int, ...]:
    """The looks at a series of so many runs."""
    return tuple(takewhile(lambda look: look <= runs, looks()))


class Boundaries:
    """How many runs over the budget prove that their share is within ``chance``, or above it, look by look.

    Args:
        chance: The share that is allowed, between 0 and 1.
        risk: Error that each side may make over all looks together, above 0 and at most a half: with more, the two
            sides could both be proven.

    Attributes:
        looks: Numbers of runs, as far as reckoned.
        held: The most that prove the share no larger than ``chance`` at each look; -1 where none do.
        broken: The fewest that prove it larger.
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
        """Reckon at least as far as the last look at so many runs."""
        if not self.looks or next(look for look in looks() if look > self.looks[-1]) <= runs:
            # Anew and a good way ahead: the same numbers come out, and a run asks no more than a few times.
            self.looks = looks_until(max(2 * runs, _SHORTEST))
            # Whoever is no higher than an earlier boundary has crossed it there: it still stands.
            self.held = tuple(accumulate(self._reckon(self._spent_by(self.chance), _lower), max))
            self.broken = self._reckon(self._spent_by(1 - self.chance), _upper)
        return self

    def _spent_by(self, chance: float) -> Callable[[int], float]:
        """A(n), for a proof that takes runs of which each has at best this chance to speak against it."""
        fewest = math.log(self.risk) / math.log1p(-chance)  # (1 - chance)^n = risk
        begin = max(_BEGIN * fewest, _BEGIN_AT_LEAST)
        return lambda runs: self.risk * max(0.0, 1.0 - begin / runs) * (1.0 + _ROUNDING)

    def _reckon(
        self, spent_by: Callable[[int], float], cross: Callable[[NDArray[np.float64], float], tuple[int, float]]
    ) -> tuple[int, ...]:
        """Walk from look to look with the distribution of those series that have not crossed, at the very limit."""
        alive, spent, before, found = np.ones(1), 0.0, 0, []
        for look in self.looks:
            alive = np.convolve(alive, binomial_terms(look - before, self.chance))
            alive[alive < _NEGLIGIBLE] = 0.0
            boundary, used = cross(alive, spent_by(look) - spent)
            found.append(boundary)
            spent, before = spent + used, look
        return tuple(found)


def _lower(alive: NDArray[np.float64], left: float) -> tuple[int, float]:
    """Absorb as many of the least counts as the error that is left allows; the last one, and what it took."""
    summed = np.cumsum(alive)
    last = int(np.searchsorted(summed, left, side="right")) - 1
    # What was absorbed at an earlier look stands as zeros below: no larger count is absorbed for nothing.
    if last < 0 or left <= 0 or not summed[last]:
        return -1, 0.0
    alive[: last + 1] = 0.0
    return last, float(summed[last])


def _upper(alive: NDArray[np.float64], left: float) -> tuple[int, float]:
    """The same for the largest counts."""
    last, used = _lower(alive[::-1], left)
    return len(alive) - 1 - last if used else len(alive), used


def binomial_terms(trials: int, chance: float) -> NDArray[np.float64]:
    """P(exactly k of ``trials``) for k = 0 … ``trials``; float64 [trials + 1]."""
    counts = np.arange(trials + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    ways = factorials[-1] - factorials - factorials[::-1]
    terms: NDArray[np.float64] = np.exp(ways + counts * math.log(chance) + (trials - counts) * math.log1p(-chance))
    return terms


@lru_cache(maxsize=32)
def boundaries(chance: float, risk: float) -> Boundaries:
    """The boundaries for a share and an error, reckoned once."""
    return Boundaries(chance, risk)


def crossing_chance(
    looks_taken: Sequence[int], chance: float, *, at_most: Sequence[int] = (), at_least: Sequence[int] = ()
) -> list[float]:
    """Chance that a series has crossed by each look, exactly.

    Args:
        looks_taken: Numbers of runs, ascending.
        chance: True share of runs over the budget.
        at_most: Counts that cross from above at each look; -1 for none. Empty to leave this side out.
        at_least: Counts that cross from below. Empty to leave this side out.

    Returns:
        P(crossed at this look or before), one a look.
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
