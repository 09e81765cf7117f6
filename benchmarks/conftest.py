"""Claims: each speed that the README speaks of, as a ratio of two things timed in turns in the same run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CLAIMS = pytest.StashKey[list["Claim"]]()


@dataclass(frozen=True, slots=True)
class Claim:
    """A ratio beside what was promised of it."""

    name: str
    ratio: float
    spread: tuple[float, float]
    promise: str
    kept: bool

    def __str__(self) -> str:
        low, high = self.spread
        word = "kept" if self.kept else "NOT KEPT"
        return f"{self.name}: {self.ratio:.3f} ({low:.3f} … {high:.3f}), promised {self.promise}: {word}"


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes claims down for the end of the run."""

    found: list[Claim]

    def paired(
        self,
        name: str,
        ours: Callable[[], object],
        theirs: Callable[[], object],
        *,
        rounds: int,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Claim:
        """Time both in turns, ours and theirs changing who comes first, and take down the median ratio theirs : ours.

        With ``at_most`` the ratio is ours / theirs (a cost), with ``at_least`` it is theirs / ours (a gain).
        """
        costs = []
        for number in range(rounds):
            order = (ours, theirs) if number % 2 else (theirs, ours)
            taken = {}
            for work in order:
                begin = time.perf_counter()
                work()
                taken[work] = time.perf_counter() - begin
            costs.append(taken[ours] / taken[theirs])
        ratios = sorted(costs if at_least is None else [1 / cost for cost in costs])
        return self.take(name, statistics.median(ratios), (ratios[0], ratios[-1]), at_most=at_most, at_least=at_least)

    def take(
        self,
        name: str,
        ratio: float,
        spread: tuple[float, float],
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Claim:
        """Take a ratio down."""
        if at_most is not None:
            claim = Claim(name, ratio, spread, f"≤ {at_most}", ratio <= at_most)
        elif at_least is not None:
            claim = Claim(name, ratio, spread, f"≥ {at_least}", ratio >= at_least)
        else:
            message = "a claim without a promise"
            raise ValueError(message)
        self.found.append(claim)
        return claim


@pytest.fixture
def claims(request: pytest.FixtureRequest) -> Claims:
    """Where claims are taken down."""
    return Claims(request.config.stash.setdefault(CLAIMS, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show every claim beside its promise."""
    found = config.stash.get(CLAIMS, [])
    if found:
        terminalreporter.section("claims: median (least … most) of paired ratios")
        for claim in found:
            terminalreporter.write_line(str(claim), green=claim.kept, red=not claim.kept)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A promise that is not kept ends the benchmark with 1: a claim is either true or taken back."""
    if exitstatus == pytest.ExitCode.OK and any(not claim.kept for claim in session.config.stash.get(CLAIMS, [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
