"""F1, accuracy and flips, against counting one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, norm

from eyerace_parity.stats.classification import (
    Indices,
    accuracy,
    confusion,
    decisions,
    dependence,
    f1_by_class,
    flips,
    macro_f1,
)

CLASSES = 4
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


def columns(rows: list[tuple[int, int]]) -> tuple[Indices, Indices]:
    """Labels and decisions as arrays."""
    labels, decided = zip(*rows, strict=True)
    return np.array(labels, dtype=np.int64), np.array(decided, dtype=np.int64)


def counted(rows: list[tuple[int, int]]) -> Indices:
    """The confusion matrix."""
    labels, decided = columns(rows)
    return confusion(labels, decided, CLASSES)


def f1_from_scratch(rows: list[tuple[int, int]], name: int) -> float:
    """F1 of one class from precision and recall, counted one by one."""
    hits = sum(1 for label, decided in rows if label == decided == name)
    claimed = sum(1 for _, decided in rows if decided == name)
    there = sum(1 for label, _ in rows if label == name)
    if not claimed and not there:
        return float("nan")
    if not hits:
        return 0.0
    precision, recall = hits / claimed, hits / there
    return 2 * precision * recall / (precision + recall)


@given(pairs)
def test_f1_is_what_counting_one_by_one_gives(rows):
    """The vectorised F1 of each class is the harmonic mean of precision and recall."""
    found = f1_by_class(counted(rows))
    assert found == pytest.approx([f1_from_scratch(rows, name) for name in range(CLASSES)], nan_ok=True)


@given(pairs)
def test_accuracy_is_the_share_of_right_decisions(rows):
    """Counted one by one."""
    counts = counted(rows)
    share = sum(label == decided for label, decided in rows) / len(rows)
    assert accuracy(counts) == pytest.approx(share)


def test_dependence_is_that_of_pearsons_test():
    """Beside scipy's: the same tail, as far as a normal approximation goes; chance is passed as often as it should."""
    random = np.random.default_rng(0)
    deviates = []
    for _ in range(400):
        counts = confusion(random.integers(0, CLASSES, 300), random.integers(0, CLASSES, 300), CLASSES)
        deviates.append(dependence(counts))
        tail = float(chi2_contingency(counts, correction=False).pvalue)
        assert norm.sf(deviates[-1]) == pytest.approx(tail, abs=0.004)
    assert 0.02 < np.mean(np.array(deviates) > norm.isf(0.05)) < 0.09
    assert dependence(np.diag([30, 30, 30, 30])) > 10
    assert dependence(np.array([[5, 0], [7, 0]])) == 0.0


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(rows, random):
    """Permuted samples have the same confusion matrix."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert np.array_equal(counted(rows), counted(shuffled))


@given(pairs, st.permutations(range(CLASSES)))
def test_the_order_of_classes_does_not_matter(rows, order):
    """Macro-F1 does not know what the classes are called."""
    labels, decided = columns(rows)
    renamed = np.array(order, dtype=np.int64)
    before = macro_f1(confusion(labels, decided, CLASSES))
    after = macro_f1(confusion(renamed[labels], renamed[decided], CLASSES))
    assert after == pytest.approx(before, nan_ok=True)


def test_a_class_that_is_nowhere_is_not_averaged_away():
    """Macro-F1 over a class without samples and decisions is no number, not a pleasant one."""
    counts = confusion(np.array([0, 1]), np.array([0, 1]), 3)
    assert np.isnan(macro_f1(counts))


def test_the_first_of_equal_scores_decides():
    """Ties are broken alike everywhere: by the lower index."""
    assert decisions(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])).tolist() == [0, 1]


def test_flips_are_sorted_by_who_was_right():
    """Right→wrong, wrong→right and wrong→wrong are counted apart."""
    found = flips(np.array([0, 0, 0, 0]), np.array([1, 0, 2, 0]), np.array([0, 1, 1, 0]))
    assert (found.harmed.tolist(), found.mended.tolist(), found.moved.tolist()) == ([0], [1], [2])
    assert found.total == 3


@given(pairs, st.data())
def test_every_flip_is_of_exactly_one_kind(rows, data):
    """The three kinds are disjoint and together are all differing decisions."""
    labels, ours = columns(rows)
    theirs = np.array(data.draw(st.lists(st.integers(0, CLASSES - 1), min_size=len(ours), max_size=len(ours))))
    found = flips(labels, ours, theirs)
    together = np.concatenate([found.harmed, found.mended, found.moved])
    assert sorted(together) == np.flatnonzero(ours != theirs).tolist()
