"""Times a variant in this Python's ONNX Runtime and in another Python's, interleaved in one run.

One process cannot load two versions of a runtime, so each version has its own worker; a few runs of one alternate with
as many of the other. System noise affects both equally, so their ratio is the cost of the version. Times are never
cached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core import machine
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.costs import PeerTiming, Series
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.batching import batch_of
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.onnxruntime import model_of

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.isolation.runtime_worker import Hello
    from eyerace_parity.measure.context import MeasurementContext

RUNS: Final = 100
"""Steady runs of each version: enough to prove a median that is slightly off its limit."""


_TURN: Final = 5
_SESSION: Final = "model"
_PYTHONS: Final = ("bin/python", "Scripts/python.exe")


def python_of(place: Path) -> Path:
    """The Python that an option names: an executable, or the folder of a virtual environment.

    Raises:
        MeasurementError: There is none.
    """
    # Not resolved: Python finds its virtual environment by the location of the link itself.
    for found in (place, *(place / inside for inside in _PYTHONS)):
        if found.is_file():
            return found
    raise MeasurementError(
        f"there is no Python at {place.name}, so its onnxruntime cannot be timed",
        next_step="name a Python, or the folder of a virtual environment, that has the newest onnxruntime",
    )


def provenance(context: MeasurementContext, need: Need[PeerTiming]) -> Provenance:
    """Make the provenance of the times."""
    settings = context.session_settings(need.variant) | {"runs": str(RUNS), "batch": "1"}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(context: MeasurementContext, need: Need[PeerTiming], source: Provenance) -> PeerTiming:
    """Time a variant in both runtimes, interleaved.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: No peer was named, or one of both cannot load or run the variant.
    """
    if context.peer is None:
        raise MeasurementError(
            "no other onnxruntime was named for interleaved times",
            next_step="name the Python that has the newest one with --eyerace-parity-peer PYTHON",
        )
    python = python_of(context.peer)
    feeds = batch_of(context.contract, need.variant, context.golden(), (0,))
    load = machine.load_average()
    own = RuntimeWorker(local_command(), name=f"the process that timed {need.variant}")
    other = RuntimeWorker(local_command(python), name=f"the peer that timed {need.variant}")
    try:
        (here, memory), (there, peer_memory) = (
            _prepare(context, need.variant, worker, feeds) for worker in (own, other)
        )
        times = _in_turns(context, need.variant, (own, other), feeds)
    finally:
        own.close()
        other.close()
    series = [Series(wall_ms=_ms(times[place, 0]), cpu_ms=_ms(times[place, 1])) for place in range(2)]
    return PeerTiming(
        provenance=source,
        threads=context.contract.session_of(need.variant).intra_op_threads,
        runtime=here.onnxruntime,
        runs=series[0],
        peer_runtime=there.onnxruntime,
        peer_python=there.python,
        peer_runs=series[1],
        load_average=load,
        peak_bytes=memory,
        peer_peak_bytes=peer_memory,
    )


def _prepare(
    context: MeasurementContext, variant: str, worker: RuntimeWorker, feeds: dict[str, Array]
) -> tuple[Hello, int | None]:
    """Start a worker and warm its session up with one run, outside the series; return the growth of its memory."""
    hello = worker.start()
    try:
        loaded = worker.load(_SESSION, model_of(context.contract, variant), context.contract.session_of(variant))
        ran = worker.run(_SESSION, feeds)
    except MeasurementError as error:
        error.reason = f"{variant} in onnxruntime {hello.onnxruntime}: {error.reason}"
        raise
    return hello, None if loaded.baseline is None else max(0, ran.peak - loaded.baseline)


def _in_turns(
    context: MeasurementContext, variant: str, workers: tuple[RuntimeWorker, RuntimeWorker], feeds: dict[str, Array]
) -> Array:
    """Take all runs; int64 [workers, wall and CPU, runs] in ns."""
    turns = []
    with context.progress.task(f"{variant}: times beside the newest runtime", RUNS) as task:
        for _ in range(RUNS // _TURN):
            taken = [worker.time({_SESSION: feeds}, _TURN) for worker in workers]
            turns.append(np.stack([np.stack([times.wall_ns[0], times.cpu_ns[0]]) for times in taken]))
            task.advance(_TURN)
    return np.concatenate(turns, axis=-1)


def _ms(nanoseconds: Array) -> tuple[float, ...]:
    return tuple(int(value) / 1e6 for value in nanoseconds)


PEER_TIMING: Final = Measurer(provenance, measure)
