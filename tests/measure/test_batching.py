"""Samples chosen without a lot: evenly over the whole set."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.measure.batching import evenly


@given(st.integers(1, 5000), st.integers(1, 64))
def test_samples_lie_evenly_over_the_whole_set(count: int, most: int) -> None:
    """As many as wanted, the first and the last among them, and no gap wider than another by more than one."""
    found = evenly(count, most)
    assert len(found) == min(count, most)
    assert found[0] == 0
    if len(found) > 1:
        assert found[-1] == count - 1
        gaps = [later - earlier for earlier, later in pairwise(found)]
        assert min(gaps) >= 1
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("count", "most", "found"), [(9, 3, [0, 4, 8]), (100, 4, [0, 33, 66, 99]), (3, 4, [0, 1, 2]), (5, 1, [0])]
)
def test_some_choices(count: int, most: int, found: list[int]) -> None:
    """Nothing is left to chance, so no seed is needed."""
    assert evenly(count, most) == found
