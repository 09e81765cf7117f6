"""Runtime: what an older runtime costs beside the newest, with proof or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.costs import PeerTiming
from tests.checks.evidence_factory import contract, judge, series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.core.result import Judgement


def verdict(ours: Sequence[float], theirs: Sequence[float], limit: float = 1.5) -> Judgement:
    """Judge int8 in a cell of the matrix."""
    timing = PeerTiming(
        provenance=Provenance(variant="int8"),
        threads=1,
        runtime="1.16.3",
        runs=series(ours),
        peer_runtime="1.32.0",
        peer_python="3.11.7",
        peer_runs=series(theirs),
    )
    cell = contract({"int8": {"runtime": {"runtime_ratio": limit}}}).as_cell()
    return judge(cell, "int8", "runtime_ratio", timing)


def test_the_median_of_turns_decides() -> None:
    """Each run is held against the one beside it, and the binomial proof is the verdict."""
    held = verdict([1.2] * 100, [1.0] * 100)
    assert (held.status, held.value, held.unit) == (Status.HELD, 1.2, "of 1.32.0")
    broken = verdict([2.0] * 100, [1.0] * 100)
    assert broken.status is Status.BROKEN
    assert "in 1.16.3, in turns with it; 100 of 100 runs over 1.5" in broken.reason


def test_what_proves_nothing_is_unproven() -> None:
    """Half of the runs over the limit decide neither way."""
    assert verdict([1.0, 2.0] * 50, [1.0] * 100).status is Status.UNPROVEN


@pytest.mark.parametrize(
    ("ours", "theirs"), [([], []), ([1.0], [1.0, 1.0]), ([0.0] * 9, [1.0] * 9), ([float("nan")] * 9, [1.0] * 9)]
)
def test_no_times_are_no_proof(ours: list[float], theirs: list[float]) -> None:
    """Missing times, unequal numbers of them, and a clock that stands still are errors."""
    assert verdict(ours, theirs).status is Status.ERROR


def test_it_is_planned_in_the_matrix_only() -> None:
    """Elsewhere there is no other runtime to compare with, and so no verdict that it was."""
    stated = contract({"int8": {"runtime": {"runtime_ratio": 1.5}}})
    assert "runtime_ratio" not in {planned.clause.name for planned in plan(stated)}
    assert "runtime_ratio" in {planned.clause.name for planned in plan(stated.as_cell())}
