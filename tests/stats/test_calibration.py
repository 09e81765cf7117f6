"""Confidence and order of scores."""

from __future__ import annotations

import numpy as np
import pytest

from eyerace_parity.stats.measures import calibration_error, same_order


def test_confidence_that_comes_true_has_no_error():
    """Nine of ten answers with a confidence of 0.9 are right."""
    probabilities = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 9 + [1])
    assert calibration_error(probabilities, labels) == pytest.approx(0.0, abs=1e-12)


def test_boasting_is_counted_by_its_share():
    """Half of the answers are sure and wrong, half sure and right: the error is one half."""
    probabilities = np.tile([1.0, 0.0], (4, 1))
    assert calibration_error(probabilities, np.array([0, 0, 1, 1])) == pytest.approx(0.5)


def test_bins_do_not_cancel_each_other():
    """Too sure here and too modest there do not make a true whole."""
    probabilities = np.array([[0.95, 0.05]] * 10 + [[0.55, 0.45]] * 10)
    labels = np.array([0] * 5 + [1] * 5 + [0] * 10)
    assert calibration_error(probabilities, labels) == pytest.approx(0.45)


def test_only_the_scores_that_are_shown_must_keep_their_order():
    """A change behind the scores that the app shows is seen by no user."""
    cloud = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    phone = np.array([[3.0, 1.0, 2.0], [2.0, 3.0, 1.0]])
    assert same_order(phone, cloud, 1).tolist() == [True, False]
    assert same_order(phone, cloud, 2).tolist() == [False, False]


def test_equal_scores_keep_the_order_of_their_classes():
    """Ties are broken as a stable sort breaks them, for unsigned scores too."""
    scores = np.array([[1, 1, 0]], dtype=np.uint8)
    assert same_order(scores, scores.astype(np.int64), 3).tolist() == [True]
