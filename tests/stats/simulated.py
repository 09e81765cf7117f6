"""Labelled sets as they might be drawn: two variants' decisions on clusters, with a drop that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.core.result import Status
from eyerace_parity.stats.decisions import Labelled, Rules, decide_drop, decide_floor
from eyerace_parity.stats.measures import class_f1, macro_f1, tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.stats.measures import BootstrapMeasure

CLASSES = 5
MEASURE = macro_f1(CLASSES)
ENDLESS = 1_000_000
"""Samples whose drop counts as the true one: it is so to about a hundredth of a point."""


@dataclass(frozen=True)
class World:
    """How two variants decide.

    Attributes:
        samples: Samples of a set, in equal numbers of each class.
        together: Samples of a cluster.
        accuracy: Chance that the reference is right.
        harmed: Chance that a sample is right in the reference and wrong in the candidate.
        mended: The other way round.
        alike: Share of the samples of a cluster that fare like the cluster.
    """

    samples: int
    together: int = 1
    accuracy: float = 0.92
    harmed: float = 0.02
    mended: float = 0.0
    alike: float = 0.7

    @property
    def drop(self) -> float:
        """The true drop of macro-F1."""
        endless = replace(self, samples=ENDLESS).draw(np.random.default_rng(99))
        assert endless.reference is not None
        return MEASURE(endless.labels, endless.reference) - MEASURE(endless.labels, endless.scores)

    def draw(self, random: np.random.Generator) -> Labelled:
        """Draw a set."""
        number = self.samples // self.together
        labels = np.repeat(np.arange(number) % CLASSES, self.together)
        clusters = np.repeat(np.arange(number), self.together)
        reference = np.where(self._chances(random, labels) < self.accuracy, labels, _mistaken(random, labels))
        change, right = self._chances(random, labels), reference == labels
        harmed = np.where(change < self.harmed / self.accuracy, _mistaken(random, labels), reference)
        mended = np.where(change < self.mended / (1.0 - self.accuracy), labels, reference)
        candidate, sure = np.where(right, harmed, mended), np.eye(CLASSES, dtype=np.float32)
        names = tuple(map(str, clusters)) if self.together > 1 and self.samples < ENDLESS else None
        return Labelled(labels, sure[candidate], sure[reference], names)

    def _chances(self, random: np.random.Generator, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Numbers between 0 and 1, of which a cluster's samples share many."""
        own = random.random(len(labels))
        shared = np.repeat(random.random(len(labels) // self.together), self.together)
        return np.where(random.random(len(labels)) < self.alike, shared, own)


def damaged(samples: Labelled, label: int, points: float, random: np.random.Generator) -> Labelled:
    """Let the candidate answer as the reference does, but for one class, which loses so many points of F1."""
    assert samples.reference is not None
    decided = np.argmax(samples.reference, axis=1)
    measure, sure = class_f1(CLASSES, label), np.eye(CLASSES, dtype=np.float32)
    whole = measure(samples.labels, sure[decided])
    for index in random.permutation(np.flatnonzero((decided == samples.labels) & (decided == label))):
        if whole - measure(samples.labels, sure[decided]) >= points / 100:
            break
        decided[index] = (label + random.integers(1, CLASSES)) % CLASSES
    return replace(samples, scores=sure[decided])


def _mistaken(random: np.random.Generator, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """A wrong class, one of two for each."""
    return (labels + 1 + (random.random(len(labels)) < 0.3)) % CLASSES


def shares(world: World, margin: float, *, trials: int, draws: int, seed: int = 0) -> dict[Status, float]:
    """How often a drop is decided how, over seeded trials."""
    random = np.random.default_rng(seed)
    found = [
        decide_drop(MEASURE, world.draw(random), margin, Rules(draws=draws, seed=trial, plan=False)).status
        for trial in range(trials)
    ]
    return {status: found.count(status) / trials for status in Status}


RARE = CLASSES - 1
"""The class that few samples have, and half of all mistakes are taken for."""


def as_they_come(samples: int, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw labels and decisions of a set whose class counts come as they fall (multinomial): int64 [n] each."""
    labels = random.choice(CLASSES, samples, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    mistaken = np.where((labels != RARE) & (random.random(samples) < 0.5), RARE, (labels + 1) % CLASSES)
    return labels, np.where(random.random(samples) < 0.9, labels, mistaken)


def floors(
    measure: BootstrapMeasure, samples: int, *, trials: int, draws: int, stratified: bool
) -> dict[Status, float]:
    """How often a floor of exactly the true value is decided how, over seeded sets of multinomial class counts."""
    labels, decided = as_they_come(4 * ENDLESS, np.random.default_rng(99))
    truth = float(measure.value(tally(labels, decided[None], CLASSES)))
    random, sure, found = np.random.default_rng(0), np.eye(CLASSES, dtype=np.float32), []
    for trial in range(trials):
        labels, decided = as_they_come(samples, random)
        rules = Rules(draws=draws, seed=trial, plan=False, stratified=stratified)
        found.append(decide_floor(measure, Labelled(labels, sure[decided]), truth, rules).status)
    return {status: found.count(status) / trials for status in Status}
