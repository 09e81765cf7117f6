"""Records claims: each speed in the README is a ratio of two things, timed interleaved in one run."""

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
    """A measured ratio and its promise."""

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
    """Collects claims for the end of the run."""

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
        """Time both functions interleaved, in alternating order, and record the median ratio.

        With ``at_most`` the ratio is ours / theirs (a cost), with ``at_least`` it is theirs / ours (a gain).
        """
        costs = []
        # Interleaved, because times of the same file moved by 26 % between CI jobs and by 0.3 % within one job.
        for number in range(rounds):
            order = (ours, theirs) if number % 2 else (theirs, ours)
            seconds = {}
            for work in order:
                start = time.perf_counter()
                work()
                seconds[work] = time.perf_counter() - start
            costs.append(seconds[ours] / seconds[theirs])
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
        """Record a ratio."""
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
    """Collects the claims of the run."""
    return Claims(request.config.stash.setdefault(CLAIMS, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show every claim with its promise."""
    found = config.stash.get(CLAIMS, [])
    if found:
        terminalreporter.section("claims: median (least … most) of paired ratios")
        for claim in found:
            terminalreporter.write_line(str(claim), green=claim.kept, red=not claim.kept)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End with 1 if a promise is not kept."""
    if exitstatus == pytest.ExitCode.OK and any(not claim.kept for claim in session.config.stash.get(CLAIMS, [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
