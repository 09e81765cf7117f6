"""Soak test: one process runs a session many times and reports its resident memory, to find leaks.

A leak of a little memory for each photograph ends an app one day, and a single run does not show it. So golden samples
are run in turn, as often as the limits demand; memory is read after each tenth of the runs. The first reading follows
one run of each sample, so that the runtime's initial allocations (arena, thread buffers) do not count as a leak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.costs import Soak
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.kinds import footprint
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.stats.stopping_rules import runs_of_soak

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext

PARTS: Final = 10
"""Readings after the first."""

SAMPLES: Final = 8
"""Golden samples that take turns, so that buffers which grow with the input size are not mistaken for a leak."""


_SESSION: Final = "model"


def provenance(context: MeasurementContext, need: Need[Soak]) -> Provenance:
    """Make the provenance of a soak test."""
    settings = context.session_settings(need.variant) | context.decoding_settings()
    settings |= {"runs": str(_runs(context, need)), "samples": str(SAMPLES)}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def _runs(context: MeasurementContext, need: Need[Soak]) -> int:
    return runs_of_soak(context.contract.variants[need.variant].limits.values())


def measure(context: MeasurementContext, need: Need[Soak], source: Provenance) -> Soak:
    """Run the artefact many times in one process, and read its memory.

    Raises:
        ArtefactError: There is no file, or it cannot be read.
        GoldenError: A sample cannot be read.
        MeasurementError: A run failed, or the system does not tell how much memory a process holds.
        WorkerDied: The process ended before it had run so often.
    """
    model = footprint.model_to_load(context, need.variant)
    feeds = footprint.first_feeds(context, need.variant, SAMPLES)
    runs = _runs(context, need)
    resident: list[int] = []
    with (
        RuntimeWorker(local_command(), name=f"the process that ran {need.variant} many times") as worker,
        context.progress.task(f"{need.variant}: memory over {runs} runs", PARTS) as task,
    ):
        worker.load(_SESSION, model, context.contract.session_of(need.variant))
        _run(worker, feeds, range(max(len(feeds), runs // PARTS)))
        resident.append(_held_by(worker))
        for part in range(PARTS):
            _run(worker, feeds, range(runs * part // PARTS, runs * (part + 1) // PARTS))
            resident.append(_held_by(worker))
            task.advance()
    return Soak(provenance=source, runs=runs, resident_bytes=tuple(resident))


def _run(worker: RuntimeWorker, feeds: Sequence[Mapping[str, Array]], turns: Iterable[int]) -> None:
    for turn in turns:
        worker.run(_SESSION, feeds[turn % len(feeds)])


def _held_by(worker: RuntimeWorker) -> int:
    held = worker.resident()
    if held is None:
        raise MeasurementError(
            "this system does not tell how much memory a process holds now, so no leak can be seen",
            next_step="judge memory_leak on Linux or Windows, or leave it out here with -k 'not memory_leak'",
        )
    return held


SOAK: Final = Measurer(provenance, measure)
