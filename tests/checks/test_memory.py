"""Memory and cold start: the worst of the processes decides."""

from __future__ import annotations

import pytest

from parity.result import Status
from tests.checks.evidence_factory import contract, footprint, judge

READ = contract({"int8": {"memory": {"peak_memory": "12 MB", "cold_start_ms": 30.0}}})


@pytest.mark.parametrize(("clause", "value"), [("peak_memory", 12_000_000), ("cold_start_ms", 30.0)])
def test_the_worst_process_decides(clause, value):
    """Exactly the limit is held, and the value is the worst, not the mean."""
    judgement = judge(READ, "int8", clause, footprint())
    assert (judgement.status, judgement.value) == (Status.HELD, value)
    worse = footprint(peak_bytes=(1, 12_000_001), create_ms=(1.0, 30.1))
    broken = judge(READ, "int8", clause, worse)
    assert broken.status is Status.BROKEN
    assert "worst of" in broken.reason


@pytest.mark.parametrize("clause", ["peak_memory", "cold_start_ms"])
def test_a_process_that_never_loaded_took_no_memory_for_another_reason(clause):
    """A failure, or no number at all, is an error."""
    dead = judge(READ, "int8", clause, footprint(failure="refused", create_ms=(), peak_bytes=()))
    none = judge(READ, "int8", clause, footprint(create_ms=(), peak_bytes=()))
    assert (dead.status, none.status) == (Status.ERROR, Status.ERROR)
    assert "refused" in dead.reason
