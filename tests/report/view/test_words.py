"""Numbers in the words of the report."""

from __future__ import annotations

import pytest

from eyerace_parity.core.numbers import format_quantity, shown_unit
from eyerace_parity.core.result import Relation, Status
from eyerace_parity.report.view.words import RICH, comparison
from tests.record.records import verdict


@pytest.mark.parametrize(
    ("value", "shown"), [(134_217_728, "134.2 M"), (999, "999"), (1_000, "1 k"), (2_500_000_000, "2.5 G")]
)
def test_instructions_are_shown_by_their_thousands(value: int, shown: str) -> None:
    """The prefix that fits; the unit itself is the name of the clause, and never a time."""
    assert format_quantity(value, "instructions") == shown
    assert shown_unit("instructions") == ""


def test_instructions_are_told_apart_from_their_limit() -> None:
    """One instruction over the limit is seen in the table."""
    row = verdict("instructions", "int8", Status.BROKEN, value=190_000_001, limit=190_000_000)
    row = row.model_copy(update={"unit": "instructions", "relation": Relation.AT_MOST})
    assert comparison(row, RICH) == "190.000001 M > 190 M"
