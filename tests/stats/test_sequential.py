"""The sequential boundaries: their error is exact, at every look and however a series was stopped."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from eyerace_parity.stats.sequential import (
    FIRST_LOOK,
    Boundaries,
    binomial_terms,
    boundaries,
    crossing_chance,
    looks_until,
)

CASES = [(chance, risk) for chance in (0.5, 0.1, 0.05, 0.01) for risk in (0.05, 0.01, 0.5)]


def test_the_looks_are_dense_at_first_and_grow_with_the_series() -> None:
    """Every ten runs at the beginning, a sixteenth more later; the same for every question."""
    taken = looks_until(2000)
    assert taken[:4] == (FIRST_LOOK, 40, 50, 60)
    assert all(later - look == max(10, look // 160 * 10) for look, later in pairwise(taken))
    assert looks_until(FIRST_LOOK - 1) == ()


@pytest.mark.parametrize(("chance", "risk"), CASES)
def test_neither_proof_is_wrong_more_often_than_promised(chance: float, risk: float) -> None:
    """At the very limit, over all looks together, by the exact distribution of the count: the error is spent, not more.

    The chance is reckoned here by its own recursion, with scipy's binomial.
    """
    edges = boundaries(chance, risk).until(2000)
    below, above = np.ones(1), np.ones(1)
    held = broken = 0.0
    before = 0
    for look, most, fewest in zip(edges.looks, edges.held, edges.broken, strict=True):
        step = binom.pmf(np.arange(look - before + 1), look - before, chance)
        below, above, before = np.convolve(below, step), np.convolve(above, step), look
        held += below[: most + 1].sum()
        below[: most + 1] = 0.0
        broken += above[fewest:].sum()
        above[fewest:] = 0.0
        assert most < fewest
        assert held <= risk * (1.0 - 1.0 / look) + 1e-12
        assert broken <= risk * (1.0 - 1.0 / look) + 1e-12
    assert 0.85 * risk <= held <= risk
    assert 0.95 * risk <= broken <= risk


def test_the_chance_of_crossing_agrees_with_its_simulation() -> None:
    """The exact reckoning, which the documentation's figures come from, beside 4,000 seeded series of 3 % over."""
    edges = boundaries(0.05, 0.05).until(600)
    number = len(looks_until(600))
    exact = crossing_chance(edges.looks[:number], 0.03, at_most=edges.held, at_least=edges.broken)[-1]
    drawn = np.cumsum(np.random.default_rng(5).random((4000, 600)) < 0.03, axis=1)
    counts = drawn[:, np.asarray(edges.looks[:number]) - 1]
    crossed = (counts <= np.asarray(edges.held[:number])) | (counts >= np.asarray(edges.broken[:number]))
    assert crossed.any(axis=1).mean() == pytest.approx(exact, abs=0.025)


def test_boundaries_do_not_depend_on_how_far_they_were_asked_for() -> None:
    """A series that goes on meets the same boundaries: a larger cap changes no earlier decision."""
    short, long = Boundaries(0.05, 0.05).until(100), Boundaries(0.05, 0.05).until(9000)
    assert len(short.looks) < len(long.looks)
    assert long.held[: len(short.held)] == short.held
    assert long.broken[: len(short.broken)] == short.broken
    assert short.until(9000).held == long.held


def test_the_boundaries_of_a_p95_are_these() -> None:
    """The first figures, so that a change is seen: 90 runs with none over, 120 with one, five over of thirty."""
    edges = boundaries(0.05, 0.05).until(200)
    proven = {most: look for look, most in reversed(list(zip(edges.looks, edges.held, strict=True)))}
    assert (proven[0], proven[1]) == (90, 120)
    assert edges.broken[0] == 5


@settings(deadline=None)
@given(st.integers(0, 300), st.floats(0.001, 0.999))
def test_the_binomial_terms_are_exact(trials: int, chance: float) -> None:
    """All of them at once agree with scipy's."""
    expected = binom.pmf(np.arange(trials + 1), trials, chance)
    np.testing.assert_allclose(binomial_terms(trials, chance), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(("chance", "risk"), [(0.0, 0.05), (1.0, 0.05), (0.05, 0.0), (0.05, 0.6)])
def test_what_cannot_be_decided_is_refused(chance: float, risk: float) -> None:
    """No share that is certain, no error beyond a half, where both sides could be proven."""
    with pytest.raises(ValueError, match="cannot be decided"):
        Boundaries(chance, risk)
