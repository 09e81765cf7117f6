"""What a set can see: the figures that are known, and what makes it see less."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from eyerace_parity.stats.decisions import Rules, decide_drop
from eyerace_parity.stats.planning import POWER, sight, times_to_settle
from tests.stats.simulated import MEASURE, World


def seen(samples: int, classes: int = 5, flips: float = 0.02, confidence: float = 0.95, each: int = 1) -> float:
    """The margin that a balanced set resolves."""
    labels = np.repeat(np.arange(samples // each) % classes, each)
    together = [str(i // each) for i in range(len(labels))] if each > 1 else None
    return sight(labels, classes, together, flips=flips, confidence=confidence).margin


def test_the_margin_is_that_of_the_planning_formula():
    """As n = 6.2 · q / margin² has it, for sets so large that one worst sample weighs nothing."""
    for samples, flips in ((100_000, 0.02), (200_000, 0.05)):
        assert seen(samples, flips=flips) == pytest.approx(math.sqrt(6.18 * flips / samples), rel=0.03)


def test_less_evidence_resolves_less():
    """Fewer samples, samples that belong together, a higher confidence, and more flips each widen the margin."""
    plain = seen(1200)
    assert seen(600) > plain
    assert seen(1200, each=2) == pytest.approx(seen(600))
    assert seen(1200, confidence=0.99) > plain
    assert seen(1200, flips=0.05) > plain


def test_an_uneven_set_resolves_less_than_an_even_one():
    """Macro-F1 weighs a class of ten like one of hundreds."""
    uneven = np.repeat(np.arange(5), [10, 290, 300, 300, 300])
    found = sight(uneven, 5, flips=0.02, confidence=0.95)
    assert found.margin > 2 * seen(1200)
    assert found.class_margins[0] > 3 * found.class_margins[1]


def test_a_class_without_samples_leaves_nothing_to_resolve():
    """Where a class is missing there is no macro-F1."""
    found = sight(np.array([0, 0, 1]), 3, flips=0.02, confidence=0.95)
    assert (found.margin, found.class_margins[2]) == (math.inf, math.inf)


def test_the_power_of_a_margin():
    """At the margin that is resolved it says so; a wider one has more; one that nothing could prove has none."""
    found = sight(np.repeat(np.arange(5), 240), 5, flips=0.02, confidence=0.95)
    assert found.power(found.margin) == pytest.approx(POWER)
    assert found.power(found.class_margins[0], 0) == pytest.approx(POWER)
    assert found.power(2 * found.margin) > found.power(found.margin) > found.power(0.7 * found.margin) > 0
    assert found.power(1e-3) == 0
    assert sight(np.array([0, 0, 1]), 3, flips=0.02, confidence=0.95).power(0.5) == 0


def test_power_is_what_simulations_find():
    """Of models that lose nothing, 2 % flipped in balance, as many are proven within 2 points as foretold."""
    random, trials, held = np.random.default_rng(0), 200, 0
    foretold = sight(np.repeat(np.arange(5), 100), 5, flips=0.02, confidence=0.95).power(0.02)
    for trial in range(trials):
        world = World(500, 1, harmed=0.01, mended=0.01)
        decision = decide_drop(MEASURE, world.draw(random), 0.02, Rules(draws=400, seed=trial, plan=False))
        held += decision.status is Status.HELD
    assert held / trials == pytest.approx(foretold, abs=0.12)


def test_the_number_that_settles_is_found():
    """The least factor, to two per cent; none where a thousand times would not do."""
    assert times_to_settle(lambda times: times >= 37.0) == pytest.approx(37.0, rel=0.02)
    assert times_to_settle(lambda _: False) is None
