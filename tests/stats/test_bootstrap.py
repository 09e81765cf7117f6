"""The bounds: exact where an exact answer is known, and honest about what has not been seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from eyerace_parity.stats import measures
from eyerace_parity.stats.binomial import Bounds, share_bounds
from eyerace_parity.stats.bootstrap import bound, cluster, enough_draws, worst_cost

ACCURACY = measures.accuracy(2)
DRAWS = 20_000


def of_accuracy(right: int, wrong: int, chance: float = 0.05, **options: float) -> Bounds:
    """Bounds of the accuracy on samples of one class."""
    decided = np.array([0] * right + [1] * wrong)
    clusters = cluster(np.zeros(right + wrong, dtype=np.int64), decided[None], 2)
    return bound(clusters, ACCURACY.value, (1,), draws=DRAWS, seed=1, below=chance, above=chance, **options)


@pytest.mark.parametrize(("right", "wrong"), [(20, 0), (0, 20), (19, 1), (90, 10), (300, 2)])
@pytest.mark.parametrize("chance", [0.05, 0.005])
def test_a_share_has_the_bounds_of_clopper_and_pearson(right, wrong, chance):
    """With no classes to stratify by, the bootstrap is exact, no error seen or many."""
    found = of_accuracy(right, wrong, chance)
    lower = beta.ppf(chance, right, wrong + 1) if right else 0.0
    upper = beta.ppf(1 - chance, right + 1, wrong) if wrong else 1.0
    spread = 0.008 if right + wrong < 200 else 0.003
    assert found.lower == pytest.approx(lower, abs=spread)
    assert found.upper == pytest.approx(upper, abs=spread)


def test_nothing_seen_is_not_nothing_there():
    """No flip among n samples bounds the drop by three in n, as the rule of three has it, and never by zero."""
    labels = np.zeros(300, dtype=np.int64)
    clusters = cluster(labels, np.stack([labels, labels]), 2)
    found = bound(
        clusters, lambda t: t[..., 0, 0, 0] / 300 - t[..., 1, 0, 0] / 300, (1, -1),
        draws=DRAWS, seed=0, below=0.05, above=0.05,
    )  # fmt: skip
    assert found.lower == pytest.approx(-3 / 300, rel=0.05)
    assert found.upper == pytest.approx(3 / 300, rel=0.05)


def test_clusters_are_sorted_by_what_they_are():
    """Clusters with the same labels and answers are one kind; what spans classes stays whole."""
    labels = np.array([0, 0, 1, 1, 1, 0])
    decided = np.array([[0, 1, 1, 0, 1, 0]])
    found = cluster(labels, decided, 2, ["a", "a", "b", "c", "c", "c"])
    assert (found.number, len(found.sizes), found.samples.tolist().count(3)) == (3, 3, 1)
    assert found.samples.sum() == 6
    assert found.total == pytest.approx(measures.tally(labels, decided, 2))
    each = [found.summed(np.ones((1, 1)), slice(kind, kind + 1)) for kind in range(3)]
    tallies = np.concatenate(each).reshape(3, 3, 2)
    assert tallies.sum(axis=0) == pytest.approx(found.total[0])
    spanning = tallies[tallies[:, 1].min(axis=1) > 0]
    assert spanning[0].tolist() == [[1, 1], [1, 2], [2, 1]]
    alike = cluster(np.tile([0, 0, 1, 1], 50), np.tile([0, 1, 1, 1], 50)[None], 2, [str(i // 2) for i in range(200)])
    assert sorted(alike.sizes.tolist()) == [50, 50]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=40))
def test_no_sample_is_lost_or_counted_twice(rows):
    """Whatever clusters there are, their tallies add up to the set's."""
    labels, decided, names = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    found = cluster(labels, decided[None], 3, [str(name) for name in names])
    assert found.total == pytest.approx(measures.tally(labels, decided[None], 3))
    assert found.number == len(np.unique(names))


def test_the_order_of_samples_does_not_matter():
    """The same samples in another order have the same bounds, to the rounding of draws."""
    random = np.random.default_rng(3)
    labels = np.arange(600) % 3
    decided = np.where(random.random(600) < 0.1, (labels + 1) % 3, labels)
    order = random.permutation(600)
    measure = measures.macro_f1(3)
    found = [
        bound(cluster(one, two[None], 3), measure.value, (1,), draws=DRAWS, seed=0, below=0.05, above=0.05)
        for one, two in ((labels, decided), (labels[order], decided[order]))
    ]
    assert found[0].lower == pytest.approx(found[1].lower, abs=1e-3)
    assert found[0].upper == pytest.approx(found[1].upper, abs=1e-3)


def test_more_of_the_same_narrows_the_bounds_as_measuring_them_does():
    """What four times the samples would show is what four times the samples show."""
    foreseen, found = of_accuracy(90, 10, times=4.0), of_accuracy(360, 40)
    assert foreseen.lower == pytest.approx(found.lower, abs=0.003)
    assert foreseen.upper == pytest.approx(found.upper, abs=0.003)


def test_a_rare_class_makes_the_bounds_wide():
    """One photograph of a class leaves its F1 all but unknown, and the mean with it."""
    labels = np.array([0] * 500 + [1] * 500 + [2])
    clusters = cluster(labels, labels[None], 3)
    measure = measures.macro_f1(3)
    found = bound(clusters, measure.value, (1,), draws=DRAWS, seed=0, below=0.05, above=0.05)
    assert found.lower < 0.75
    assert worst_cost(clusters, measure.value, (1,)) > 0.08


def test_many_classes_are_no_obstacle():
    """A thousand classes are bounded in reasonable memory, and a measure of one class finds its own worst case."""
    labels = np.repeat(np.arange(300), 4)
    clusters = cluster(labels, labels[None], 300)
    found = bound(clusters, measures.class_f1(300, 7).value, (1,), draws=1000, seed=0, below=0.05, above=0.05)
    assert found.lower < 0.9


def test_there_are_always_enough_draws_beyond_a_bound():
    """A small chance asks for more draws than were stated."""
    assert enough_draws(1000, 0.05) == 1000
    assert enough_draws(1000, 0.05, 0.001) == 20_000


def test_one_sample_of_one_class_proves_nothing():
    """The smallest set there is: its bounds are as wide as they can be."""
    found = of_accuracy(1, 0)
    assert found.lower == pytest.approx(0.05, abs=0.01)
    assert found.upper == 1.0


@pytest.mark.parametrize("classes", [1, 2])
def test_with_one_class_there_is_nothing_to_decide_wrongly(classes):
    """A single class is no crash, and its bounds have no width; one class of two is as unknown as any share."""
    labels = np.zeros(40, dtype=np.int64)
    measure = measures.macro_f1(classes) if classes == 1 else measures.accuracy(classes)
    found = bound(
        cluster(labels, labels[None], classes), measure.value, (1,), draws=DRAWS, seed=0, below=0.05, above=0.05
    )
    assert found.upper == 1.0
    assert found.lower == pytest.approx(1.0 if classes == 1 else 0.05 ** (1 / 40), abs=0.003)


def test_strata_keep_their_size_and_else_are_drawn():
    """The share of a class is certain where the class counts were chosen, and a sample's share where they were not."""
    labels = np.repeat([0, 1], [30, 70])
    for stratified in (True, False):
        clusters = cluster(labels, labels[None], 2, stratified=stratified)
        found = bound(clusters, lambda t: t[..., 0, 1, 0] / 100, (1,), draws=DRAWS, seed=0, below=0.05, above=0.05)
        exact = share_bounds(30, 100, below=0.05, above=0.05)
        wanted = (0.3, 0.3) if stratified else (exact.lower, exact.upper)
        assert (found.lower, found.upper) == pytest.approx(wanted, abs=0.005)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (0, 20), (20, 20), (19, 20), (3, 50_000), (49_000, 50_000)])
@pytest.mark.parametrize("chance", [0.05, 0.00025])
def test_an_exact_share_is_that_of_clopper_and_pearson(successes, trials, chance):
    """At both ends, for many trials, at small chances."""
    found = share_bounds(successes, trials, below=chance, above=chance)
    lower = beta.ppf(chance, successes, trials - successes + 1) if successes else 0.0
    upper = beta.ppf(1 - chance, successes + 1, trials - successes) if successes < trials else 1.0
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-9)
