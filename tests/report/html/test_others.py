"""The page of two records side by side."""

from __future__ import annotations

from eyerace_parity.report.html.others import render_comparison
from tests.record.test_comparison import BEFORE, found


def test_a_comparison_shows_both_numbers_and_the_factor() -> None:
    """The worst first, and what is the same as a number only."""
    text = render_comparison(found())
    assert "✓ 0.92 ≥ 0.875" in text
    assert "✗ 0.81 &lt; 0.875" in text
    assert "× 1.5" in text  # noqa: RUF001 - a factor
    assert "1 clauses are the same" not in text
    assert "1 clause is the same in both" in text


def test_equal_records_say_so() -> None:
    """No table of nothing."""
    text = render_comparison(found(BEFORE, BEFORE))
    assert "Every clause is the same in both." in text
    assert "<table" not in text
