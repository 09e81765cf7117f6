"""How long inference takes: each run's wall time and process CPU time, another variant in turns with it.

The load of a machine moves wall time by tens of per cent from second to second; process CPU time it hardly moves, and a
ratio of two variants that take turns (A B A B) not at all. So both are taken, in a process of its own in which nothing
else runs. The first run stands apart, and no run is ever dropped. Nothing here is kept for a later run: times of
yesterday are no evidence.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np

from parity.errors import MeasurementError
from parity.evidence import machine
from parity.evidence.feeding import batch_of
from parity.evidence.model import Need, Provenance, Series, Timing
from parity.runners.guest import Guest, local_command
from parity.runners.onnxruntime import model_of
from parity.runners.open import open_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from parity.evidence.bench import Bench
    from parity.evidence.model import Array
    from parity.progress import Task

RUNS: Final = 200
"""Steady runs of a series: enough to prove a 95th percentile with four runs over the budget."""

FEWEST_RUNS: Final = 59
"""What a slow model is timed by at least: the fewest that can prove a 95th percentile at all."""

SECONDS: Final = 120.0
"""Time that one measurement may take; a slower model has fewer runs, decided before they begin."""

CODE: Final = ("evidence/timing.py", "evidence/feeding.py", "runners/guest.py", "runners/worker.py")

_CHUNK: Final = 10
_IN_WORKER: Final = "a process of its own"
_IN_PROCESS: Final = "the run's own process"

Feeds = dict[str, dict[str, "Array"]]


def provenance(bench: Bench, need: Need[Timing]) -> Provenance:
    """Say where the times come from."""
    settings = bench.session_settings(need.variant)
    settings |= {
        "runs": str(RUNS),
        "batch": "1",
        "placement": _IN_PROCESS if _needs_torch(bench, need) else _IN_WORKER,
        "cpu_clock_resolution_ns": f"{time.get_clock_info('process_time').resolution * 1e9:.0f}",
    }
    if need.versus:
        settings |= {"versus": need.versus, "versus_artefact": bench.artefact(need.versus)}
        settings |= {"versus_runtime": bench.runtime(need.versus)}
    return bench.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(bench: Bench, need: Need[Timing], source: Provenance) -> Timing:
    """Time a variant, and another in turns with it.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: A variant cannot be loaded or run.
    """
    contract, golden = bench.contract, bench.golden()
    if not len(golden):
        raise MeasurementError("the golden set is empty", next_step="add samples to it: there is nothing to time on")
    names = [need.variant, *([need.versus] if need.versus else [])]
    feeds = {name: batch_of(contract, name, golden, (0,)) for name in names}
    load = machine.load_average()
    placed = _in_process if _needs_torch(bench, need) else _in_worker
    label = " and ".join(names)
    with bench.progress.task(f"{label}: times", RUNS) as task:
        first, times = placed(bench, feeds, task)
    series = [Series(wall_ms=_ms(times[0, place]), cpu_ms=_ms(times[1, place])) for place in range(len(names))]
    return Timing(
        provenance=source,
        threads=contract.session_of(need.variant).intra_op_threads,
        first_wall_ms=first.wall_ns / 1e6,
        runs=series[0],
        versus=need.versus,
        versus_runs=series[1] if need.versus else None,
        preprocess=_preprocessing(bench, need.variant),
        postprocess=_deciding(bench, first.outputs),
        load_average=load,
    )


class _First:
    """The first run of the variant that is judged: its wall time in ns, and what it answered."""

    def __init__(self, wall_ns: int, outputs: Mapping[str, Array]) -> None:
        self.wall_ns = wall_ns
        self.outputs = outputs


def _needs_torch(bench: Bench, need: Need[Timing]) -> bool:
    return any(bench.is_torch(name) for name in (need.variant, need.versus) if name)


def _in_worker(bench: Bench, feeds: Feeds, task: Task) -> tuple[_First, Array]:
    """Time ONNX Runtime variants in a worker; int64 [wall and CPU, variants, runs] in ns."""
    contract = bench.contract
    with Guest(local_command(), name=f"the process that timed {' and '.join(feeds)}") as guest:
        firsts = []
        for name, fed in feeds.items():
            guest.load(name, model_of(contract, name), contract.session_of(name))
            ran = guest.run(name, fed)
            firsts.append(_First(ran.wall_ns, ran.outputs))

        def take(runs: int) -> Array:
            times = guest.time(feeds, runs)
            return np.stack([times.wall_ns, times.cpu_ns])

        return firsts[0], _in_chunks(take, task)


def _in_process(bench: Bench, feeds: Feeds, task: Task) -> tuple[_First, Array]:
    """Time in this process, where a torch variant is one of them; the same shape and the same turns."""
    with ExitStack() as stack:
        runners = {name: stack.enter_context(open_runner(bench.contract, name)) for name in feeds}
        firsts = []
        for name, runner in runners.items():
            began = time.perf_counter_ns()
            outputs = runner.infer(feeds[name])
            firsts.append(_First(time.perf_counter_ns() - began, outputs))

        def take(runs: int) -> Array:
            times = np.zeros((2, len(runners), runs), np.int64)
            for turn in range(runs):
                for place, (name, runner) in enumerate(runners.items()):
                    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
                    runner.infer(feeds[name])
                    times[1, place, turn] = time.process_time_ns() - cpu
                    times[0, place, turn] = time.perf_counter_ns() - wall
            return times

        return firsts[0], _in_chunks(take, task)


def _in_chunks(take: Callable[[int], Array], task: Task) -> Array:
    """Take all runs a few at a time, so that progress shows and a hang is noticed."""
    began = time.perf_counter()
    chunks = [take(_CHUNK)]
    task.advance(_CHUNK)
    # How many more is decided by these first few and never looked at again: the times must not choose their number.
    left = min(RUNS, max(FEWEST_RUNS, int(SECONDS / (time.perf_counter() - began) * _CHUNK))) - _CHUNK
    for size in _sizes(left):
        chunks.append(take(size))
        task.advance(size)
    return np.concatenate(chunks, axis=-1)


def _sizes(runs: int) -> Iterator[int]:
    while runs > 0:
        yield min(_CHUNK, runs)
        runs -= _CHUNK


def _preprocessing(bench: Bench, variant: str) -> Series | None:
    """Time turning golden photographs into tensors, reading and decoding included; ``None`` for a tensor set."""
    profile = bench.contract.preprocess_of(variant)
    if profile is None:
        return None
    golden = bench.golden()
    return _series(lambda turn: golden.feeds(turn % len(golden), profile), RUNS)


def _deciding(bench: Bench, outputs: Mapping[str, Array]) -> Series | None:
    """Time turning one answer into a decision, softmax and the best class; ``None`` where there are no classes."""
    if not bench.contract.classes:
        return None
    scores = np.asarray(outputs[bench.contract.scores_output], np.float64)

    def decide(_turn: int) -> None:
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        (powers / powers.sum(axis=-1, keepdims=True)).argmax(axis=-1)

    return _series(decide, RUNS)


def _series(work: Callable[[int], object], runs: int) -> Series:
    wall_ns, cpu_ns = [], []
    for turn in range(runs):
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        work(turn)
        cpu_ns.append(time.thread_time_ns() - cpu)
        wall_ns.append(time.perf_counter_ns() - wall)
    return Series(wall_ms=_ms(wall_ns), cpu_ms=_ms(cpu_ns))


def _ms(nanoseconds: Sequence[int] | Array) -> tuple[float, ...]:
    return tuple(int(value) / 1e6 for value in nanoseconds)
