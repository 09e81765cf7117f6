"""The exact test of pairs, against scipy and against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from eyerace_parity.stats.binomial import share_at_most
from eyerace_parity.stats.mcnemar import Pairs, harm_p, most_net_harm, pairs


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_chance_is_that_of_the_sign_test(harmed, mended):
    """One-sided and exact, as scipy has it."""
    found = harm_p(Pairs(harmed, mended, 100))
    expected = binomtest(harmed, harmed + mended, 0.5, alternative="greater").pvalue if harmed + mended else 1.0
    assert found == pytest.approx(expected)


@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from([0.05, 0.025]))
def test_shares_have_the_upper_bound_of_clopper_and_pearson(successes, trials, chance):
    """The bound, as a quantile of a beta distribution gives it."""
    successes = min(successes, trials)
    upper = beta.ppf(1 - chance, successes + 1, trials - successes) if successes < trials else 1.0
    assert share_at_most(successes, trials, chance) == pytest.approx(upper, abs=1e-9)


def test_no_flip_among_twenty_proves_no_margin_of_a_tenth_of_a_per_cent():
    """What is not seen among twenty may still befall one in six."""
    assert most_net_harm(Pairs(0, 0, 20), 0.05) == pytest.approx(1 - 0.025 ** (1 / 20))
    assert most_net_harm(Pairs(0, 12, 20), 0.05) == 0.0
    assert most_net_harm(Pairs(20, 0, 20), 0.05) == 1.0


@pytest.mark.parametrize(("harmed", "mended"), [(0.1, 0.0), (0.15, 0.05), (0.05, 0.05)])
def test_the_bound_on_net_harm_errs_no_more_often_than_allowed(harmed, mended):
    """Over many draws of forty pairs."""
    random = np.random.default_rng(0)
    outcomes = random.multinomial(40, [harmed, mended, 1 - harmed - mended], 800)
    kinds, times = np.unique(outcomes[:, :2], axis=0, return_counts=True)
    below = [most_net_harm(Pairs(int(h), int(m), 40), 0.05) < harmed - mended for h, m in kinds]
    assert np.average(below, weights=times) <= 0.05


def test_a_cluster_counts_once():
    """Two photographs of a bird that flip together are one pair; a harm and a mend of one bird are none."""
    labels = np.zeros(6, dtype=np.int64)
    reference, candidate = np.array([0, 0, 1, 0, 1, 1]), np.array([1, 1, 0, 1, 0, 1])
    assert pairs(labels, candidate, reference) == Pairs(3, 2, 6)
    assert pairs(labels, candidate, reference, ["a", "a", "b", "b", "c", "c"]) == Pairs(1, 1, 3)
