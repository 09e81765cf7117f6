"""Memory and cold start, measured in fresh processes that load the artefact from bytes as the app does; and leaks."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, needs
from eyerace_parity.checks.phrases import cannot_judge, compare_to_limit
from eyerace_parity.checks.size import Bytes
from eyerace_parity.contract.base import Limits, Positive, limit
from eyerace_parity.core.numbers import format_bytes, format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.costs import Footprint, Soak
from eyerace_parity.stats.stopping_rules import SOAK_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence


class MemoryLimits(Limits):
    """What loading and running once may cost. The worst of the measured processes decides."""

    peak_memory: Bytes | None = limit(
        "Largest growth of resident memory over a process with the runtime imported and the file's bytes "
        'read, e.g. "60 MB".'
    )
    cold_start_ms: Positive | None = limit("Longest wall time of creating a session from bytes, in ms.")
    memory_leak: Bytes | None = limit(
        "Largest growth of resident memory over many further runs in one process, once each sample was run "
        'and all is warm, e.g. "1 MB".'
    )
    leak_runs: Annotated[int, Field(ge=20, le=1_000_000)] = Field(
        default=SOAK_RUNS, description="Over how many runs; a smaller leak per run needs more of them to be seen."
    )

    def soak_runs(self) -> int | None:
        """Return the number of runs over which memory is watched; see :mod:`eyerace_parity.stats.stopping_rules`."""
        return None if self.memory_leak is None else self.leak_runs


memory = Family("memory", MemoryLimits)


def _not_applicable(case: Case, _limits: MemoryLimits) -> str:
    if not case.variant.in_onnxruntime:
        return f"{case.name} is a {case.variant.kind} variant, which no app loads from bytes"
    return ""


_of_footprint = partial(
    compares, memory, relation=Relation.AT_MOST, needs=needs(Footprint), not_applicable=_not_applicable
)


@_of_footprint(
    "peak_memory",
    unit="bytes",
    next_step="take a smaller network, quantise it, or lower the optimisation level that unpacks its weights",
)
def peak_memory(case: Case, findings: ClauseEvidence) -> Number:
    """Loading and running once takes no more memory than allowed."""
    footprint = _measured(case, findings)
    value = _worst(case, footprint.peak_bytes)
    return Number(
        value,
        f"{case.name} takes up to {format_bytes(value)} of memory,"
        f" the worst of {pluralise(len(footprint.peak_bytes), 'process', 'processes')}",
        [f"processes: {join_names(map(str, footprint.peak_bytes))} bytes"],
    )


@_of_footprint(
    "cold_start_ms",
    unit="ms",
    next_step="save the optimised graph and load that, take the .ort format, or a smaller network",
)
def cold_start_ms(case: Case, findings: ClauseEvidence) -> Number:
    """Creating a session takes no longer than allowed."""
    footprint = _measured(case, findings)
    value = _worst(case, footprint.create_ms)
    return Number(
        value,
        f"{case.name} takes up to {format_number(value)} ms of wall time to create a session,"
        f" the worst of {len(footprint.create_ms)} fresh starts",
        [
            f"sessions created in {join_names([format_number(ms) for ms in footprint.create_ms])} ms",
            f"first runs after it in {join_names([format_number(ms) for ms in footprint.first_ms])} ms",
        ],
    )


@memory.demand("memory_leak", limit="memory_leak", needs=needs(Soak), not_applicable=_not_applicable)
def memory_leak(case: Case, limit: int, findings: ClauseEvidence) -> Judgement:
    """Run after run, memory grows no further than allowed."""
    soak = findings[case.need(Soak)]
    held = soak.resident_bytes
    few = len(held) < 2  # noqa: PLR2004 - growth lies between two readings
    if few or min(held) <= 0 or soak.runs <= 0:
        raise cannot_judge(f"no process reported what {case.name} holds run after run", "measure again")
    asked = memory.limits_of(case).leak_runs
    if soak.runs < asked:
        return Judgement(
            Status.UNPROVEN,
            None,
            int(limit),
            Relation.AT_MOST,
            "bytes",
            f"{case.name} was run {pluralise(soak.runs, 'time')} only, and {asked} are asked for",
            "measure again",
        )
    grown = held[-1] - held[0]
    parts = sum(after > before for before, after in pairwise(held))
    each = f", {format_bytes(grown / soak.runs)} a run" if grown > 0 else ""
    return compare_to_limit(
        Relation.AT_MOST,
        int(limit),
        max(0, grown),
        unit="bytes",
        found=f"{case.name} holds {format_bytes(max(0, grown))} more memory after "
        f"{pluralise(soak.runs, 'further run')}{each};"
        f" it grew in {parts} of {len(held) - 1} parts",
        next_step="raise leak_runs to see whether it ends; if not, see whether another version of onnxruntime"
        " keeps as much, and look for operators whose output's size depends on the data",
        details=[f"held after each part: {join_names([format_bytes(size) for size in held], most=len(held))}"],
    )


def _measured(case: Case, findings: ClauseEvidence) -> Footprint:
    """Return the footprint of a variant that loads."""
    footprint = findings[case.need(Footprint)]
    if footprint.failure:
        raise cannot_judge(
            f"{case.name} was never loaded, so nothing could be measured: {footprint.failure}",
            "mend what the clause from_bytes says of it",
        )
    return footprint


def _worst(case: Case, numbers: Sequence[float]) -> float:
    """Return the largest number that a process left."""
    if not numbers or min(numbers) < 0:
        raise cannot_judge(f"no process measured {case.name}", "measure again")
    return max(numbers)
