"""The estimate of a whole confusion matrix from a few samples: exact where nothing flips, unbiased where one does."""

from __future__ import annotations

import numpy as np

from eyerace_parity.measure.sample_selection import choose
from eyerace_parity.stats.classification import confusion, macro_f1, projected_confusion, uncovered

RANDOM = np.random.default_rng(9)
LABELS = RANDOM.integers(0, 3, 300)
KNOWN = np.where(RANDOM.random(300) < 0.85, LABELS, RANDOM.integers(0, 3, 300))


def test_without_a_flip_it_is_the_other_matrix_exactly() -> None:
    """Whichever few samples were drawn: their own share of mistakes is no reason to think otherwise of the whole."""
    chosen = choose(300, 12, 0, labels=LABELS, margin=RANDOM.random(300))
    found = {index: int(KNOWN[index]) for index in chosen.samples}
    counts = projected_confusion(LABELS, KNOWN, found, near=chosen.near, classes=3)
    np.testing.assert_allclose(counts, confusion(LABELS, KNOWN, 3))


def test_with_all_samples_it_is_the_found_matrix_exactly() -> None:
    """Nothing is estimated where everything was run."""
    found = {index: int(decided) for index, decided in enumerate(RANDOM.permutation(KNOWN))}
    counts = projected_confusion(LABELS, KNOWN, found, near=(), classes=3)
    np.testing.assert_allclose(counts, confusion(LABELS, np.array(list(found.values())), 3))


def test_a_near_flip_counts_once_and_a_drawn_one_for_its_class() -> None:
    """A sample that was sought out speaks for itself; one that was drawn for all of its class that were left."""
    labels, known = np.zeros(10, np.int64), np.zeros(10, np.int64)
    alone = projected_confusion(labels, known, {0: 1, 5: 0}, near=[0], classes=2)
    np.testing.assert_allclose(alone, [[9, 1], [0, 0]])
    drawn = projected_confusion(labels, known, {0: 0, 5: 1, 6: 0, 7: 0}, near=[0], classes=2)
    np.testing.assert_allclose(drawn, [[7, 3], [0, 0]])


def test_on_average_it_is_right() -> None:
    """Over many lots the estimate centres on what running everything shows, though near samples flip most."""
    margin = RANDOM.random(300)
    truth = np.where(margin < 0.2, (KNOWN + 1) % 3, KNOWN)
    target = macro_f1(confusion(LABELS, truth, 3))
    estimates = []
    for seed in range(300):
        chosen = choose(300, 90, seed, labels=LABELS, margin=margin)
        found = {index: int(truth[index]) for index in chosen.samples}
        estimates.append(macro_f1(projected_confusion(LABELS, KNOWN, found, near=chosen.near, classes=3)))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - target) < 5 * error + 0.005
    assert abs(macro_f1(confusion(LABELS, KNOWN, 3)) - target) > 0.1  # it is not the host's F1 that comes out


def test_counts_are_never_below_zero() -> None:
    """A drawn flip that stands for more than the other ever decided so leaves none, and the class keeps its size."""
    labels = np.zeros(10, np.int64)
    known = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    counts = projected_confusion(labels, known, {0: 0}, near=(), classes=2)
    assert (counts >= 0).all()
    np.testing.assert_allclose(counts.sum(axis=1), [10, 0])


def test_a_class_without_a_drawn_sample_is_named() -> None:
    """Of it nothing is known but the near ones."""
    labels = np.array([0, 0, 1, 1, 2])
    assert uncovered(labels, {0: 0, 2: 1, 4: 2}, near=[2, 4], classes=3) == (1,)
