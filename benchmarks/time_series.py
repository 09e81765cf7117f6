"""Kinds of series of run times, simulated: what was measured of real machines, and worse.

A generator returns logarithms of times, float64 [trials, processes, runs]. Each trial is one session. Spreads are
standard deviations of the logarithm, so 0.05 is about 5 %.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Shape = tuple[int, int, int]
    Times = NDArray[np.float64]
    Generator = Callable[[np.random.Generator, Shape], Times]

IMPOSSIBLE: Final = {
    "Pareto without a body": "its p95 has no spread that 40 processes could tell",
    "spells of 5 %, 30 % slower": "a p95 lies exactly on the edge between two speeds",
}
"""Series on which no procedure of this length answers as rarely wrong as stated."""

SLOW_SPELLS: Final = "spells of 10 %, 30 % slower"
WANDERING: Final = "AR 0.9, 20 %"


def independent(random: np.random.Generator, shape: Shape, spread: float) -> Times:
    """Runs that have nothing to do with each other."""
    return spread * random.standard_normal(shape)


def heavy(random: np.random.Generator, shape: Shape, weight: float, power: float = 1.5) -> Times:
    """A steady time, and on top of it a share of a Pareto variable."""
    return np.log1p(weight * (random.pareto(power, shape) + 1))


def pareto(random: np.random.Generator, shape: Shape, power: float = 1.5) -> Times:
    """Nothing but a Pareto variable."""
    return np.log1p(random.pareto(power, shape))


def two_speeds(random: np.random.Generator, shape: Shape, share: float) -> Times:
    """A share of the runs, each by itself, takes a fifth longer."""
    return independent(random, shape, 0.03) + 0.2 * (random.random(shape) < share)


def autoregressive(random: np.random.Generator, shape: Shape, spread: float, memory: float) -> Times:
    """AR(1) within each process, begun in its stationary state."""
    noise = random.standard_normal(shape)
    noise[..., 1:] *= np.sqrt(1 - memory**2)
    for run in range(1, shape[-1]):
        noise[..., run] += memory * noise[..., run - 1]
    noise *= spread
    return noise


def spells(random: np.random.Generator, shape: Shape, share: float, slower: float, length: float = 10.0) -> Times:
    """Spells of slow runs, of geometric length, that take a share of the time."""
    leave = 1 / length
    enter = leave * share / (1 - share)
    slow = np.empty(shape, bool)
    slow[..., 0] = random.random(shape[:-1]) < share
    for run in range(1, shape[-1]):
        chance = random.random(shape[:-1])
        slow[..., run] = np.where(slow[..., run - 1], chance >= leave, chance < enter)
    return independent(random, shape, 0.05) + float(np.log(slower)) * slow.astype(np.float64)


def processes(random: np.random.Generator, shape: Shape, between: float, within: float = 0.03) -> Times:
    """Each process has a speed of its own."""
    return independent(random, shape, within) + between * random.standard_normal((*shape[:-1], 1))


def kinds_of_process(random: np.random.Generator, shape: Shape, share: float = 0.3) -> Times:
    """A share of the processes takes a tenth longer, as by the layout of their memory."""
    return independent(random, shape, 0.03) + 0.1 * (random.random((*shape[:-1], 1)) < share)


def drift(random: np.random.Generator, shape: Shape, growth: float) -> Times:
    """The machine becomes slower, or faster, over the session, evenly."""
    course = np.linspace(0, 1, shape[1] * shape[2]).reshape(shape[1:])
    return processes(random, shape, 0.03) + np.log1p(abs(growth) * (course if growth > 0 else 1 - course))


def neighbours(random: np.random.Generator, shape: Shape, spread: float = 0.05, memory: float = 0.6) -> Times:
    """Each process has a speed that resembles that of the process before it."""
    course = autoregressive(random, (shape[0], 1, shape[1]), spread, memory)
    return independent(random, shape, 0.03) + course.reshape(*shape[:2], 1)


def like_measured(random: np.random.Generator, shape: Shape) -> Times:
    """All of it in the sizes that were measured: runs, processes, their neighbours, spells."""
    runs = autoregressive(random, shape, 0.03, 0.6)
    between = 0.04 * random.standard_normal((*shape[:-1], 1))
    course = autoregressive(random, (shape[0], 1, shape[1]), 0.02, 0.7).reshape(*shape[:2], 1)
    slow = spells(random, shape, 0.03, 1.15) - independent(random, shape, 0.0)
    return runs + between + course + slow


SERIES: Final[dict[str, Generator]] = {
    "independent, 5 %": partial(independent, spread=0.05),
    "independent, 20 %": partial(independent, spread=0.2),
    "heavy tail": partial(heavy, weight=0.05),
    "Pareto without a body": pareto,
    "two speeds, 30 %": partial(two_speeds, share=0.3),
    "two speeds, 7 %": partial(two_speeds, share=0.07),
    "AR 0.5": partial(autoregressive, spread=0.05, memory=0.5),
    "AR 0.9": partial(autoregressive, spread=0.05, memory=0.9),
    WANDERING: partial(autoregressive, spread=0.2, memory=0.9),
    "spells of 5 %, 10 % slower": partial(spells, share=0.05, slower=1.1),
    "spells of 5 %, 30 % slower": partial(spells, share=0.05, slower=1.3),
    SLOW_SPELLS: partial(spells, share=0.1, slower=1.3),
    "processes 3 %": partial(processes, between=0.03),
    "processes 5 %": partial(processes, between=0.05),
    "processes 5 %, steady runs": partial(processes, between=0.05, within=0.01),
    "two kinds of process": kinds_of_process,
    "drift +20 %": partial(drift, growth=0.2),
    "drift -20 %": partial(drift, growth=-0.2),
    "neighbouring processes alike": neighbours,
    "as measured": like_measured,
}
"""The kinds by name."""


def true_quantile(kind: str, quantile: float, processes_and_runs: tuple[int, int], seed: int = 7) -> float:
    """Return the logarithm of the true quantile over sessions of this size, from six million runs."""
    random = np.random.default_rng(seed)
    sessions = max(1, 6_000_000 // (processes_and_runs[0] * processes_and_runs[1]))
    parts = [SERIES[kind](random, (min(100, sessions), *processes_and_runs)) for _ in range(-(-sessions // 100))]
    return float(np.quantile(np.concatenate(parts), quantile))
