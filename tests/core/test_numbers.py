"""Numbers and lists in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.checks.phrases import compare_to_limit
from eyerace_parity.core.numbers import format_bytes, format_number, passing_limit, pluralise
from eyerace_parity.core.result import Relation, Status


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([Relation.AT_MOST, Relation.AT_LEAST]))
def test_the_passing_limit_passes_and_is_near(value, relation):
    """It is rounded to the side that holds, by less than a hundredth."""
    limit = float(passing_limit(value, relation))
    assert relation.holds(value, limit) or math.isinf(limit)
    if math.isfinite(limit):
        assert abs(limit - value) <= 0.011 * abs(value) + 1e-320


@pytest.mark.parametrize(("value", "text"), [(0.25, "0.25"), (1200, "1200"), (2 / 3, "0.6667"), (1e-9, "1e-09")])
def test_figures(value, text):
    """Whole numbers as they are, others with four digits."""
    assert format_number(value) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (12_831, "12.83 kB"), (12e6, "12 MB"), (3e15, "3000 TB")])
def test_volumes_are_spelled_as_in_contracts_and_the_table(size, text):
    """Decimal units with a blank, so that one run does not say both 12.83 kB and 12.8KB."""
    assert format_bytes(size) == text


def test_plurals():
    """One of a kind is not many."""
    assert (pluralise(1, "run"), pluralise(2, "run"), pluralise(2, "class", "classes")) == (
        "1 run",
        "2 runs",
        "2 classes",
    )


def test_values_are_builtins_that_json_can_hold():
    """Numpy's numbers become Python's, infinity a text, NaN an error."""
    two: Any = np.float32(2)
    one: Any = np.int64(1)
    held = compare_to_limit(Relation.AT_MOST, two, np.float64(1), found="", next_step="")
    assert (type(held.value), type(held.limit)) == (float, float)
    assert type(compare_to_limit(Relation.AT_MOST, 2, one, found="", next_step="").value) is int
    assert compare_to_limit(Relation.AT_MOST, 2.0, math.inf, found="far", next_step="").value == "∞"
    assert compare_to_limit(Relation.AT_LEAST, 2.0, -math.inf, found="far", next_step="").value == "-∞"
    assert compare_to_limit(Relation.AT_MOST, 2.0, math.nan, found="what", next_step="").status is Status.ERROR
