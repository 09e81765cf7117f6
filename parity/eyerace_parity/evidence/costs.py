"""Evidence of costs: whether a file loads and runs, its times, its memory and its instructions."""

from __future__ import annotations

from typing import Literal

from eyerace_parity.evidence.artefacts import PortFact
from eyerace_parity.evidence.base import Fact, Provenance


class Preflight(Fact):
    """Result of loading the artefact and running one golden sample in a separate process.

    It contains no times, so the cache keeps it. Clauses that ask only whether a file loads and runs need a preflight.
    Clauses on times or memory need a :class:`Footprint`, which is measured in every run.

    Attributes:
        provenance: Origin of the measurement.
        failure: Why no session could be created or run, or an empty string.
        signal: Number of the signal that ended the process, or ``None``.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
    """

    provenance: Provenance
    failure: str = ""
    signal: int | None = None
    inputs: tuple[PortFact, ...] = ()
    outputs: tuple[PortFact, ...] = ()


class Footprint(Fact):
    """Times and memory of loading the artefact from bytes and running it once, in fresh processes.

    Attributes:
        provenance: Origin of the measurement.
        failure: Why no session could be created or run, or an empty string.
        signal: Number of the signal that ended the process, or ``None``.
        create_ms: Wall time of creating the session from bytes, in ms, one entry per process.
        first_ms: Wall time of the first run, in ms, one entry per process.
        peak_bytes: Growth of peak resident memory, from the imported runtime with the file's bytes in memory.
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
    """Memory of one process that runs the artefact many times.

    Attributes:
        provenance: Origin of the measurement.
        runs: Number of runs between the first and the last reading.
        resident_bytes: Resident memory in bytes. The first reading follows a warm-up with each sample; the others
            follow at equal numbers of runs.
    """

    provenance: Provenance
    runs: int
    resident_bytes: tuple[int, ...]


class Series(Fact):
    """Times of one variant in order of measurement. No run is dropped.

    Attributes:
        wall_ms: Wall time of each run, in ms.
        cpu_ms: Process CPU time of each run over all threads, in ms.
    """

    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]


class Disturbance(Fact):
    """System noise during a timing; ``None`` for values that the system does not report.

    Attributes:
        seconds: Duration of the observation in seconds.
        cores: Number of processors.
        others: Average number of processors that other processes used.
        steal: Share of CPU time that the hypervisor gave to other guests.
        throttled: Periods in which the process's control group was throttled.
        thermal: Number of thermal throttling events.
        slowest_mhz: Lowest clock of the fastest processor, over all readings.
        fastest_mhz: Highest clock of the fastest processor, over all readings.
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
    """Times of a variant and, interleaved, of the variant that it is compared with.

    Attributes:
        provenance: Origin of the measurement.
        threads: Intra-op threads.
        first_wall_ms: Wall time of the first run, in ms. It is not part of ``runs``.
        runs: The steady runs.
        versus: Name of the other variant, or an empty string.
        versus_runs: Steady runs of the other variant, one after each of ``runs``.
        preprocess: Times of preprocessing one sample; ``None`` for a tensor set.
        postprocess: Times of turning one answer into a decision.
        load_average: One-minute load average at the start, or ``None`` on systems without one.
        ended: Why the runs ended: all questions were proven, or a limit on runs or seconds was reached.
        disturbance: System noise during the measurement, or ``None`` if the system does not report it.
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
    """Times of a variant in the run's own ONNX Runtime and, interleaved, in that of another Python.

    Attributes:
        provenance: Origin of the measurement.
        threads: Intra-op threads.
        runtime: Version of the run's own runtime.
        runs: Steady runs in the run's own runtime.
        peer_runtime: Version of the other runtime.
        peer_python: Version of the other Python.
        peer_runs: Steady runs in the other runtime, as many as ``runs``, interleaved in small groups.
        load_average: One-minute load average at the start, or ``None`` on systems without one.
        peak_bytes: Growth of resident memory by the session and one run in the process of ``runs``, or ``None`` if the
            system does not report it.
        peer_peak_bytes: The same for the process of ``peer_runs``.
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
