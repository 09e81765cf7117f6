"""The choice of samples: as many as wanted, the nearest decisions among them, the rest by lot from all classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.measure.sample_selection import choose, margins

LABELS = np.repeat(np.arange(4), [50, 30, 15, 5]).astype(np.int64)


def test_the_nearest_decisions_are_chosen() -> None:
    """Half of the samples are those that a small change would flip, wherever they stand in the set."""
    margin = np.linspace(1, 2, 100)
    margin[[7, 93, 41, 8]] = [0.1, 0.0, 0.3, 0.2]
    found = choose(100, 8, 0, labels=LABELS, margin=margin)
    assert found.near == (7, 8, 41, 93)
    assert len(found.drawn) == 4


def test_every_class_is_drawn_alike() -> None:
    """The lot takes one of each class in turn, so a rare class is not left out; what it lacks the others give."""
    found = choose(100, 32, 0, labels=LABELS)
    assert np.bincount(LABELS[list(found.drawn)]).tolist() == [9, 9, 9, 5]


def test_the_seed_decides_the_lot_and_nothing_else() -> None:
    """The same seed chooses the same samples; another one draws others but keeps the near ones."""
    margin = np.random.default_rng(0).random(100)
    first, again, other = (choose(100, 20, seed, labels=LABELS, margin=margin) for seed in (3, 3, 4))
    assert first == again
    assert first.near == other.near
    assert first.drawn != other.drawn


def test_the_lot_falls_alike_on_the_whole_set() -> None:
    """Every sample is drawn as often as any other of its class: no part of the set is left out."""
    times = np.zeros(100, np.int64)
    for seed in range(400):
        times[list(choose(100, 20, seed, labels=LABELS).drawn)] += 1
    for label in range(4):
        own = times[label == LABELS]
        share = 5 / len(own)  # five of each class are drawn
        spread = (400 * share * (1 - share)) ** 0.5
        assert np.abs(own - 400 * share).max() <= 4.5 * spread
    without = np.zeros(100, np.int64)
    for seed in range(400):
        without[list(choose(100, 20, seed).drawn)] += 1
    assert np.abs(without - 80).max() <= 4.5 * (400 * 0.2 * 0.8) ** 0.5


@pytest.mark.parametrize("images", [100, 101, 10_000])
def test_all_are_run_where_there_are_no_more(images: int) -> None:
    """Nothing is chosen then: none of them is special."""
    found = choose(100, images, 0, labels=LABELS, margin=np.zeros(100))
    assert found.near == ()
    assert found.drawn == tuple(range(100))


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5), st.booleans(), st.booleans())
def test_as_many_as_wanted_and_none_twice(total: int, images: int, seed: int, labelled, decides) -> None:
    """Whatever is known of the samples: the number is kept, no sample stands in both halves, all lie in the set."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, total) if labelled else None
    margin = random.random(total).round(1) if decides else None
    found = choose(total, images, seed, labels=labels, margin=margin)
    assert len(found.samples) == len(set(found.samples)) == min(total, images)
    assert set(found.samples) <= set(range(total))
    assert sorted(found.near) == list(found.near)


def test_the_margin_is_best_over_second() -> None:
    """Of each row the two highest scores count, in whatever order they stand."""
    np.testing.assert_allclose(margins(np.array([[1, 5, 3], [2, 2, 0]], np.float32)), [2, 0])  # type: ignore[arg-type]


def test_what_is_not_finite_is_nearest_of_all() -> None:
    """A row that decides nothing must be looked at, not left out."""
    found = margins(np.array([[np.nan, 1, 0], [np.inf, 1, 0], [9, 1, 0]], np.float32))
    assert found is not None
    assert found.tolist() == [-np.inf, -np.inf, 8]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 2, 2)])
def test_what_decides_nothing_has_no_margin(shape: tuple[int, ...]) -> None:
    """One number a sample, or a map of them, is no row of scores."""
    assert margins(np.zeros(shape, np.float32)) is None
