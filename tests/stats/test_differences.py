"""How far arrays are apart: laws, known values, and the corners where formulas answer something pleasant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from eyerace_parity.stats.differences import (
    absolute,
    cosines,
    kl_divergences,
    log_probabilities,
    log_softmax,
    quantile_at_least,
    relative,
    sqnr_db,
)

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
shapes = arrays_of.array_shapes(min_dims=2, max_dims=3, max_side=6)
arrays = arrays_of.arrays(np.float32, shapes, elements=finite)


@given(arrays)
def test_equal_arrays_are_not_apart(array):
    """Every measure answers its best for equal arrays, whatever is in them."""
    assert absolute(array, array).max() == 0
    assert relative(array, array).max() == 0
    assert sqnr_db(array, array) == math.inf
    assert cosines(array, array) == pytest.approx(np.ones(len(array)), abs=0)


@given(arrays, st.data())
def test_measures_stay_in_their_range(array, data):
    """No overflow, no cosine beyond one, no NaN, however large or small the numbers are."""
    other = data.draw(arrays_of.arrays(np.float32, array.shape, elements=finite))
    assert (absolute(array, other) >= 0).all()
    assert not np.isnan(relative(array, other)).any()
    assert not math.isnan(sqnr_db(array, other))
    found = cosines(array, other)
    assert ((found >= -1) & (found <= 1)).all()


@given(arrays_of.arrays(np.float64, (3, 4), elements=st.floats(-1e300, 1e300)))
def test_the_ends_of_float64_do_not_overflow(array):
    """Squares of very large numbers are never formed."""
    assert not math.isnan(sqnr_db(array * 0.5, array))


def test_sqnr_of_a_tenth_is_twenty_decibels():
    """Noise of a tenth of the signal's amplitude stands 20 dB below it."""
    reference = np.array([[3.0, -4.0], [1.0, 2.0]])
    assert sqnr_db(reference * 1.1, reference) == pytest.approx(20.0)


def test_noise_without_signal_is_the_worst_there_is():
    """A reference of zeros does not make any candidate good."""
    zeros = np.zeros((2, 2))
    assert sqnr_db(np.ones((2, 2)), zeros) == -math.inf
    assert relative(np.ones((2, 2)), zeros).max() == math.inf
    assert cosines(np.ones((2, 2)), zeros).tolist() == [0.0, 0.0]


def test_large_integers_are_told_apart():
    """Two int64 that float64 cannot tell apart still differ."""
    one = np.array([[2**60]], dtype=np.int64)
    assert absolute(one + 1, one).item() == 1.0
    assert absolute(np.array([True]), np.array([False])).item() == 1.0


def test_a_relative_difference_near_zero_is_not_blown_up():
    """An element near zero counts as a thousandth of the output's root mean square."""
    reference = np.array([[1000.0, 0.0]])
    assert relative(reference + 0.5, reference).max() == pytest.approx(0.5 / (1e-3 * 1000 / math.sqrt(2)))


@given(st.lists(finite, min_size=1, max_size=50), st.floats(0, 1))
def test_the_quantile_is_an_element_that_enough_others_stay_within(values, share):
    """At least so large a share of all values does not exceed it."""
    found = quantile_at_least(np.array(values, dtype=np.float64), share)
    assert found in values
    assert np.mean(np.array(values) <= found) >= share - 1e-9


@given(arrays_of.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6)))
def test_a_distribution_does_not_diverge_from_itself(scores):
    """KL is zero for equal scores, and does not see a constant added to all of them."""
    log = log_softmax(scores)
    assert np.exp(log).sum(axis=1) == pytest.approx(np.ones(3))
    assert kl_divergences(log, log).max() == 0
    assert kl_divergences(log, log_softmax(scores + 7.0)).max() == pytest.approx(0, abs=1e-6)


def test_kl_of_known_distributions():
    """KL of (1/2, 1/2) from (3/4, 1/4), in nats; a probability of zero is survived."""
    half, other = np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]])
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert kl_divergences(log_probabilities(half), log_probabilities(other)).item() == pytest.approx(expected)
    assert math.isfinite(kl_divergences(log_probabilities(half), log_probabilities(np.array([[1.0, 0.0]]))).item())
