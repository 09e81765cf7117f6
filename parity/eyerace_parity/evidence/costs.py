"""What a file costs to load and to run: whether it lives, times, memory, instructions."""

from __future__ import annotations

from typing import Literal

from eyerace_parity.evidence.artefacts import PortFact
from eyerace_parity.evidence.base import Fact, Provenance


class Preflight(Fact):
    """A process of its own that loads the artefact and runs one golden sample: does it live.

    It holds no times, so it is kept by content like any other evidence. A clause that only asks whether a file loads
    and runs needs this; one that reads times or memory needs a :class:`Footprint`, which is measured in every run.

    Attributes:
        provenance: Where it came from.
        failure: Why no session could be made or run, or an empty string.
        signal: Signal that ended the process, where one did.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
    """

    provenance: Provenance
    failure: str = ""
    signal: int | None = None
    inputs: tuple[PortFact, ...] = ()
    outputs: tuple[PortFact, ...] = ()


class Footprint(Fact):
    """A fresh process that loads the artefact from bytes and runs it: does it live, how long, how much memory.

    Attributes:
        provenance: Where it came from.
        failure: Why no session could be made or run, or an empty string.
        signal: Signal that ended the process, where one did.
        create_ms: Wall time of creating the session from bytes, once per process, one entry a process.
        first_ms: Wall time of the first run after it.
        peak_bytes: Peak resident memory above that of the process with the runtime imported and the file's bytes read.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
    """

    provenance: Provenance
    failure: str = ""
    signal: int | None = None
    create_ms: tuple[float, ...] = ()
    first_ms: tuple[float, ...] = ()
    peak_bytes: tuple[int, ...] = ()
    inputs: tuple[PortFact, ...] = ()
    outputs: tuple[PortFact, ...] = ()


class Soak(Fact):
    """What one process holds while it runs the artefact many times.

    Attributes:
        provenance: Where it came from.
        runs: Runs between the first reading and the last.
        resident_bytes: Resident memory after each sample was run once and the process is warm, then after each of as
            many equal parts of the runs as there are further readings.
    """

    provenance: Provenance
    runs: int
    resident_bytes: tuple[int, ...]


class Series(Fact):
    """Times of one variant, in the order they were taken; no run is ever dropped.

    Attributes:
        wall_ms: Wall time of each run.
        cpu_ms: Process CPU time of each run, over all threads.
    """

    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]


class Disturbance(Fact):
    """What else happened on the machine while times were taken; ``None`` for what the system does not count.

    Attributes:
        seconds: How long it was watched.
        cores: Processors of the machine.
        others: Processors that other processes kept busy, on average.
        steal: Share of the machine's time that its host gave to others.
        throttled: Periods in which the process's control group was held back.
        thermal: Times that a processor was slowed down for its heat.
        slowest_mhz: Least clock of the fastest processor, over all looks at it.
        fastest_mhz: Its highest.
    """

    seconds: float
    cores: int
    others: float
    steal: float | None = None
    throttled: int | None = None
    thermal: int | None = None
    slowest_mhz: float | None = None
    fastest_mhz: float | None = None


class Timing(Fact):
    """Times of a variant and, interleaved in the same run, of the variant that it is compared to.

    Attributes:
        provenance: Where it came from.
        threads: Intra-op threads.
        first_wall_ms: The first run, apart.
        runs: The steady runs.
        versus: Name of the other variant, or an empty string.
        versus_runs: Its steady runs, one after each of ``runs``.
        preprocess: Times of preprocessing one sample; empty for a tensor set.
        postprocess: Times of turning one answer into a decision.
        load_average: One-minute load average when the measurement began, or ``None`` where the system has none.
        ended: Why the runs ended: all that the contract asks of them was proven, or a cap was reached.
        disturbance: What disturbed the machine meanwhile, or ``None`` where the system does not tell.
    """

    provenance: Provenance
    threads: int
    first_wall_ms: float
    runs: Series
    versus: str = ""
    versus_runs: Series | None = None
    preprocess: Series | None = None
    postprocess: Series | None = None
    load_average: float | None = None
    ended: Literal["proven", "runs", "seconds", ""] = ""
    disturbance: Disturbance | None = None


class PeerTiming(Fact):
    """Times of a variant in the run's own ONNX Runtime and, in turns with it, in that of another Python.

    Attributes:
        provenance: Where it came from.
        threads: Intra-op threads.
        runtime: Version of the run's own runtime.
        runs: Its steady runs.
        peer_runtime: Version of the other runtime.
        peer_python: Version of the Python that has it.
        peer_runs: Its steady runs, as many, a few after a few of ``runs``.
        load_average: One-minute load average when the measurement began, or ``None`` where the system has none.
        peak_bytes: Growth of resident memory of the process of ``runs`` by its session and one run, or ``None`` where
            the system does not tell.
        peer_peak_bytes: The same of the process of ``peer_runs``.
    """

    provenance: Provenance
    threads: int
    runtime: str
    runs: Series
    peer_runtime: str
    peer_python: str
    peer_runs: Series
    load_average: float | None = None
    peak_bytes: int | None = None
    peer_peak_bytes: int | None = None


class InstructionCounts(Fact):
    """Instructions that an emulated processor executed for a variant: a proxy of its cost, never a time.

    Attributes:
        provenance: Where it came from; its target is the processor.
        load: Of making a session, once per session.
        first: Of its first run, once per session.
        steady: Of its later runs, one session after the other.
        unavailable: Why nothing can be counted on this machine, or an empty string.
        failure: Why the file could not be loaded or run there, or an empty string.
        signal: Signal that ended the process, where one did.
        next_step: What to do about either.
    """

    provenance: Provenance
    load: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    steady: tuple[int, ...] = ()
    unavailable: str = ""
    failure: str = ""
    signal: int | None = None
    next_step: str = ""
