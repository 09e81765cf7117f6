"""Measures the time of inference: wall time and process CPU time of each run, interleaved with another variant.

The load of the machine changes wall time by tens of per cent (p95 of 15, 31, 48 and 67 ms with 0, 1, 2 and 4 competing
processes). It hardly changes process CPU time (14 to 15 ms), nor the ratio of two interleaved variants (A B A B). So
both are measured, in a process in which nothing else runs. The first run is reported separately, and no run is dropped.
Times are never cached.

A series is extended until it proves everything that the contract demands, or reaches its limit of runs or seconds
(:mod:`eyerace_parity.stats.stopping_rules`, :mod:`eyerace_parity.stats.sequential`).
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from eyerace_parity.core import machine
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.costs import Series, Timing
from eyerace_parity.golden.base import timed
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.batching import batch_of
from eyerace_parity.measure.kinds.system_noise import NoiseWatch
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.onnxruntime import model_of
from eyerace_parity.runners.registry import open_runner
from eyerace_parity.stats.sequential import looks_until
from eyerace_parity.stats.stopping_rules import asked_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eyerace_parity.core.progress import Task
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.evidence.costs import Disturbance
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.stats.stopping_rules import Part, StoppingRules


_CHUNK: Final = 10
_IN_WORKER: Final = "a process of its own"
_IN_WORKERS: Final = "a process for each variant"
_IN_PROCESS: Final = "the run's own process"

Feeds = dict[str, dict[str, "Array"]]


def provenance(context: MeasurementContext, need: Need[Timing]) -> Provenance:
    """Make the provenance of the times."""
    settings = context.session_settings(need.variant)
    asked = _asked(context, need)
    settings |= {
        "max_runs": str(asked.max_runs),
        "max_seconds": f"{asked.max_seconds:g}",
        "batch": "1",
        "placement": _placement(context, need),
        "cpu_clock_resolution_ns": f"{time.get_clock_info('process_time').resolution * 1e9:.0f}",
    }
    if need.versus:
        settings |= {"versus": need.versus, "versus_artefact": context.artefact(need.versus)}
        settings |= {"versus_runtime": context.runtime(need.versus)}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def _placement(context: MeasurementContext, need: Need[Timing]) -> str:
    if _in_this_process(context, need):
        return _IN_PROCESS
    return _IN_WORKERS if need.versus and _spins(context, (need.variant, need.versus)) else _IN_WORKER


def _spins(context: MeasurementContext, variants: Iterable[str]) -> bool:
    """Whether threads of a session go on for a while after its run."""
    return any(context.contract.session_of(name).spinning for name in variants)


def _asked(context: MeasurementContext, need: Need[Timing]) -> StoppingRules:
    contract = context.contract
    return asked_of(contract.variants[need.variant].limits.values(), need.versus, contract.statistics.confidence)


def measure(context: MeasurementContext, need: Need[Timing], source: Provenance) -> Timing:
    """Time a variant, and another in turns with it.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: A variant cannot be loaded or run.
    """
    contract, golden = context.contract, context.golden()
    if not len(golden):
        raise MeasurementError("the golden set is empty", next_step="add samples to it: there is nothing to time on")
    names = [need.variant, *([need.versus] if need.versus else [])]
    feeds = {name: batch_of(contract, name, golden, (0,)) for name in names}
    asked = _asked(context, need)
    placed = _in_process if _in_this_process(context, need) else _in_worker
    load = machine.load_average()
    with context.progress.task(f"{' and '.join(names)}: times", None) as task:
        first, taken = placed(context, feeds, _Stop(asked, task, apart=placed is _in_worker))
    series = [Series(wall_ms=_ms(wall), cpu_ms=_ms(cpu)) for wall, cpu in zip(*taken.times, strict=True)]
    return Timing(
        provenance=source,
        threads=contract.session_of(need.variant).intra_op_threads,
        first_wall_ms=first.wall_ns / 1e6,
        runs=series[0],
        versus=need.versus,
        versus_runs=series[1] if need.versus else None,
        preprocess=_preprocessing(context, need.variant, asked),
        postprocess=_deciding(context, first.outputs, asked),
        load_average=load,
        ended=taken.ended,
        disturbance=taken.disturbance,
    )


class _First:
    """The first run of the variant that is judged: its wall time in ns, and what it answered."""

    def __init__(self, wall_ns: int, outputs: Mapping[str, Array]) -> None:
        self.wall_ns = wall_ns
        self.outputs = outputs


@dataclass(frozen=True, slots=True)
class _Stop:
    """When to stop, who hears of the runs, and whether another process does them."""

    asked: StoppingRules
    task: Task
    apart: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """Times, int64 [wall and CPU, variants, runs] in ns, why there are no more, and what disturbed them."""

    times: Array
    ended: Literal["proven", "runs", "seconds"]
    disturbance: Disturbance | None


def _in_this_process(context: MeasurementContext, need: Need[Timing]) -> bool:
    return any(not context.contract.variants[name].in_onnxruntime for name in (need.variant, need.versus) if name)


def _in_worker(context: MeasurementContext, feeds: Feeds, stop: _Stop) -> tuple[_First, _Taken]:
    """Time ONNX Runtime variants in a worker; where threads spin, in one each.

    A thread that spins goes on for a while after its run: in one process it would be counted for whoever comes next.
    """
    contract = context.contract
    groups = [{name: fed} for name, fed in feeds.items()] if _spins(context, feeds) else [feeds]
    with ExitStack() as stack:
        workers, firsts = [], []
        for group in groups:
            worker = stack.enter_context(
                RuntimeWorker(local_command(), name=f"the process that timed {' and '.join(group)}")
            )
            workers.append(worker)
            for name, fed in group.items():
                worker.load(name, model_of(contract, name), contract.session_of(name))
                ran = worker.run(name, fed)
                firsts.append(_First(ran.wall_ns, ran.outputs))

        def take(runs: int) -> Array:
            turns = [runs] if len(workers) == 1 else [1] * runs
            taken = []
            for turn in turns:
                times = [worker.time(group, turn) for worker, group in zip(workers, groups, strict=True)]
                taken.append(
                    np.stack([np.concatenate([t.wall_ns for t in times]), np.concatenate([t.cpu_ns for t in times])])
                )
            return np.concatenate(taken, axis=-1)

        return firsts[0], _in_looks(take, stop)


def _in_process(context: MeasurementContext, feeds: Feeds, stop: _Stop) -> tuple[_First, _Taken]:
    """Time in this process, where a torch variant is one of them; the same turns."""
    with ExitStack() as stack:
        runners = {name: stack.enter_context(open_runner(context.contract, name)) for name in feeds}
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

        return firsts[0], _in_looks(take, stop)


def _in_looks(take: Callable[[int], Array], stop: _Stop) -> _Taken:
    """Take runs from look to look, a few at a time, so that progress shows and a hang is noticed."""
    began, own, watch = time.perf_counter(), time.process_time(), NoiseWatch()
    chunks: list[Array] = []

    def end(why: Literal["proven", "runs", "seconds"]) -> _Taken:
        times = np.concatenate(chunks, axis=-1)
        apart = float(times[1].sum()) / 1e9 if stop.apart else 0.0
        return _Taken(times, why, watch.seen(time.process_time() - own + apart))

    for before, look in pairwise((0, *looks_until(stop.asked.max_runs))):
        for size in _sizes(look - before):
            chunks.append(take(size))
            stop.task.advance(size)
            if time.perf_counter() - began > stop.asked.max_seconds:
                return end("seconds")
        watch.look()
        if _answered(stop.asked, np.concatenate(chunks, axis=-1)):
            return end("proven")
    return end("runs")


def _answered(asked: StoppingRules, times: Array) -> bool:
    """Whether the runs so far prove all that is asked of them."""
    for question in asked.of("inference", "ratio"):
        taken = times[1 if question.clock == "cpu" else 0] / 1e6
        values = taken[0]
        if question.part == "ratio":
            if len(taken) == 1:
                continue
            # A clock too coarse to show a time proves nothing; whoever judges says so.
            values = np.divide(taken[0], taken[1], out=np.full(taken.shape[1], np.inf), where=taken[1] > 0)
        if not question.settled(values):
            return False
    return True


def _sizes(runs: int) -> Iterator[int]:
    while runs > 0:
        yield min(_CHUNK, runs)
        runs -= _CHUNK


def _preprocessing(context: MeasurementContext, variant: str, asked: StoppingRules) -> Series | None:
    """Time turning golden photographs into tensors, reading and decoding included; ``None`` for a tensor set."""
    profile = context.contract.preprocess_of(variant)
    if profile is None:
        return None
    golden = context.golden()
    return _series(lambda begin, end: golden.times(begin, end, profile), asked, "preprocessing")


def _deciding(context: MeasurementContext, outputs: Mapping[str, Array], asked: StoppingRules) -> Series | None:
    """Time turning one answer into a decision, softmax and the best class; ``None`` where there are no classes."""
    if not context.contract.classes:
        return None
    scores = np.asarray(outputs[context.contract.scores_output], np.float64)

    def decide(_turn: int) -> None:
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        (powers / powers.sum(axis=-1, keepdims=True)).argmax(axis=-1)

    return _series(partial(timed, decide), asked, "postprocessing")


def _series(take: Callable[[int, int], Array], asked: StoppingRules, part: Part) -> Series:
    """Take times of a part of the work, int64 [2, n] in ns a look, until all that is asked of it is proven."""
    began, taken = time.perf_counter(), np.zeros((2, 0), np.int64)
    for before, look in pairwise((0, *looks_until(asked.max_runs))):
        taken = np.concatenate([taken, take(before, look)], axis=1)
        settled = all(question.settled(taken[1 if question.clock == "cpu" else 0] / 1e6) for question in asked.of(part))
        if settled or time.perf_counter() - began > asked.max_seconds:
            break
    return Series(wall_ms=_ms(taken[0]), cpu_ms=_ms(taken[1]))


def _ms(nanoseconds: Array) -> tuple[float, ...]:
    return tuple(int(value) / 1e6 for value in nanoseconds)


TIMING: Final = Measurer(provenance, measure)
