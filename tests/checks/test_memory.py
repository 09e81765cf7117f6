"""Memory and cold start: the worst of the processes decides."""

from __future__ import annotations

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import contract, footprint, judge, soak

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


LEAK = contract({"int8": {"memory": {"memory_leak": "1 MB", "leak_runs": 100}}})


@pytest.mark.parametrize(
    ("last", "status", "value"),
    [
        (101_000_000, Status.HELD, 1_000_000),
        (101_000_001, Status.BROKEN, 1_000_001),
        (100_000_000, Status.HELD, 0),
        (90_000_000, Status.HELD, 0),
    ],
)
def test_a_leak_is_what_the_last_reading_has_more_than_the_first(last, status, value):
    """Exactly the limit is held; what was given back in between, or at the end, is none."""
    judgement = judge(LEAK, "int8", "memory_leak", soak(resident_bytes=(100_000_000, 100_900_000, last)))
    assert (judgement.status, judgement.value) == (status, value)


def test_a_leak_is_told_a_run_and_by_where_it_grew():
    """What grew at once is no leak, and what grew in every part is: the sentence lets one tell them apart."""
    steady = judge(LEAK, "int8", "memory_leak", soak(resident_bytes=(10**8, 10**8 + 2_000_000, 10**8 + 4_000_000)))
    assert "4 MB more memory after 100 further runs, 40 kB a run; it grew in 2 of 2 parts" in steady.reason
    assert "leak_runs" in steady.next_step
    once = judge(LEAK, "int8", "memory_leak", soak(resident_bytes=(10**8, 10**8 + 4_000_000, 10**8 + 4_000_000)))
    assert "it grew in 1 of 2 parts" in once.reason


@pytest.mark.parametrize(
    "fields", [{"resident_bytes": ()}, {"resident_bytes": (1,)}, {"resident_bytes": (0, 5)}, {"runs": 0}]
)
def test_without_two_readings_nothing_is_known_of_a_leak(fields):
    """One reading has nothing to be compared with, and no process holds nothing."""
    assert judge(LEAK, "int8", "memory_leak", soak(**fields)).status is Status.ERROR


def test_fewer_runs_than_are_asked_for_prove_nothing():
    """A record of another limit, judged again: what 99 runs keep says nothing of the hundredth."""
    few = judge(LEAK, "int8", "memory_leak", soak(runs=99))
    assert few.status is Status.UNPROVEN
    assert "99 times only, and 100 are asked for" in few.reason


def test_the_number_of_runs_alone_demands_nothing():
    """Without a limit there is nothing to hold."""
    planned = plan(contract({"int8": {"memory": {"leak_runs": 100}}}))
    assert planned
    assert not [each for each in planned if each.clause.check == "memory"]
