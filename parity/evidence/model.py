"""Evidence: what was measured, with where it came from. Numbers and arrays only; no opinion.

Each kind is one frozen type. Those made of numbers are pydantic models, so they cross a process border and go into the
record as JSON; per-sample arrays (:class:`Outputs`, :class:`Repeats`, :class:`Execution`) are dataclasses and are
stored as ``.npz``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from parity.contract.flips import AcceptedFlip
from parity.evidence.base import Array as Array
from parity.evidence.base import Fact as Fact
from parity.evidence.base import Need as Need
from parity.evidence.base import Provenance as Provenance
from parity.evidence.suspects import Trials as Trials
from parity.evidence.suspects import Weights as Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a variant answered to the golden set.

    Attributes:
        provenance: Where it came from.
        arrays: Output by name, samples on the first axis, in the golden set's order.
        expected: Samples that were fed; every array must have as many.
    """

    provenance: Provenance
    arrays: Mapping[str, Array]
    expected: int


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """A few golden samples run again, and once more as one batch.

    Attributes:
        provenance: Where it came from.
        samples: Indices of the samples in the golden set.
        first: Output by name, one sample at a time, samples on the first axis.
        again: The same, run a second time in the same session.
        batched: The same, run as one batch; empty where the batch axis is not dynamic.
        batch_refused: Why the batch could not be run, or an empty string.
    """

    provenance: Provenance
    samples: tuple[int, ...]
    first: Mapping[str, Array]
    again: Mapping[str, Array]
    batched: Mapping[str, Array]
    batch_refused: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """What a variant answered on a target, to golden samples that were chosen for it.

    Attributes:
        provenance: Where it came from.
        near: Indices of the samples whose decision on the host is nearest to another, ascending.
        drawn: Indices of those that were drawn by lot, ascending; all samples where all were run.
        arrays: Output by name, one row for each of :attr:`samples`; fewer where the execution failed on the way.
        failure: Why the file could not be loaded or run there, or an empty string.
        signal: Signal that ended the process, where one did.
        next_step: What to do about the failure.
    """

    provenance: Provenance
    near: tuple[int, ...]
    drawn: tuple[int, ...]
    arrays: Mapping[str, Array]
    failure: str = ""
    signal: int | None = None
    next_step: str = ""

    @property
    def samples(self) -> tuple[int, ...]:
        """Indices of all samples, in the order of the rows."""
        return tuple(sorted(self.near + self.drawn))


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """What is known of the golden set without a model.

    Attributes:
        digest: Digest of the whole set.
        ids: One name a sample, in order.
        classes: Names of the classes.
        labels: int64 [n] index into ``classes``, or ``None`` for an unlabelled set.
        clusters: One text a sample, equal for samples that belong together, or ``None``.
    """

    digest: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    clusters: tuple[str, ...] | None = None


class PortFact(Fact):
    """An input or output as the artefact itself declares it; an axis is an extent, a name, or ``?`` if unnamed."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class Signature(Fact):
    """An operator as a file uses it: what a runtime must have a kernel for.

    Attributes:
        operator: ``domain::operator``.
        opset: Version of its domain.
        inputs: Element type of each input; empty for one that is left out, ``?`` for one that cannot be inferred.
        outputs: The same of each output.
        count: Nodes that are used so.
    """

    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    count: int


class Layer(Fact):
    """What an operator's stored tensors take: its weight, its bias, and the scales of both.

    Attributes:
        name: Name of the operator's node, or of the tensor where no operator uses it.
        operator: The operator, or an empty string.
        bytes: All of them together.
        dtype: Element type of the largest.
    """

    name: str
    operator: str
    bytes: int
    dtype: str


class Graph(Fact):
    """What an ONNX file says of itself, read without running it.

    Attributes:
        provenance: Where it came from.
        failure: Why the file could not be read; everything else is then empty.
        checker: What ``onnx.checker`` found wrong, or an empty string.
        ir_version: ONNX IR version.
        opsets: Version by imported domain; ``ai.onnx`` for the default one.
        operators: Number of nodes by ``domain::operator``, subgraphs and functions included.
        signatures: The operators once more, functions written out, each with its opset and the types around it.
        function_opsets: Version by imported domain, by ``domain::function``.
        unused_domains: Imported domains of which no node is.
        inputs: Declared inputs that are not initialisers.
        outputs: Declared outputs.
        external: Locations of external data, as the file names them.
        external_outside: Those that lead outside the bundle's folder.
        training_nodes: Names of nodes left in training mode.
        weights: Elements of all weights (initialisers and constants that feed matrix operators).
        weights_integer: Those held in 8-bit integers or fewer.
        macs: Multiply-accumulates of one sample in convolutions and matrix products; 0 if shapes are unknown.
        macs_integer: Those done on integers, or wrapped in QuantizeLinear/DequantizeLinear on both operands.
        layers: What the largest layers take of the file, the largest first.
        layers_rest: Bytes of all other stored tensors.
        metadata: The file's metadata properties.
    """

    provenance: Provenance
    failure: str = ""
    checker: str = ""
    ir_version: int = 0
    opsets: dict[str, int] = {}
    operators: dict[str, int] = {}
    signatures: tuple[Signature, ...] = ()
    function_opsets: dict[str, dict[str, int]] = {}
    unused_domains: tuple[str, ...] = ()
    inputs: tuple[PortFact, ...] = ()
    outputs: tuple[PortFact, ...] = ()
    external: tuple[str, ...] = ()
    external_outside: tuple[str, ...] = ()
    training_nodes: tuple[str, ...] = ()
    weights: int = 0
    weights_integer: int = 0
    macs: int = 0
    macs_integer: int = 0
    layers: tuple[Layer, ...] = ()
    layers_rest: int = 0
    metadata: dict[str, str] = {}


class Files(Fact):
    """How big an artefact is.

    Attributes:
        provenance: Where it came from.
        bytes: The file with its external data.
        deflated: The same after deflate at level 6, as a store packs it for download.
    """

    provenance: Provenance
    bytes: int
    deflated: int


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


class Instructions(Fact):
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


class Lineage(Fact):
    """What an artefact says it was made from, beside what it would be made from now.

    Attributes:
        provenance: Where it came from.
        stamped: Lineage that the artefact carries, empty if it carries none; keys as in ``current``.
        current: ``source`` (digest of what it is made from), ``recipe`` (digest), and ``tool.NAME`` versions.
    """

    provenance: Provenance
    stamped: dict[str, str]
    current: dict[str, str]


class Flip(Fact):
    """A sample on which two variants decide differently.

    Attributes:
        id: The sample.
        label: Its class; empty in a set without labels.
        decision: What the candidate decides.
        other: What the other one decides.
        kind: Who was right: ``harmed`` (right→wrong), ``mended`` (wrong→right), ``moved`` (wrong→wrong), or
            ``unlabelled``.
        margin: The candidate's score of its own decision less its score of the other's; a narrow one is nearly a tie.
        other_margin: The other's score of its own decision less its score of the candidate's.
        capture: What the table of labels says of the photograph, by column.
    """

    id: str
    label: str
    decision: str
    other: str
    kind: Literal["harmed", "mended", "moved", "unlabelled"]
    margin: float
    other_margin: float
    capture: dict[str, str] = {}


class FlipLedger(Fact):
    """Every sample on which two variants decide differently, reckoned from what both answered.

    Attributes:
        provenance: Where the candidate's answers came from; its settings name the other's evidence.
        failure: Why decisions could not be compared; everything else is then empty.
        samples: Samples that both answered.
        total: How many flipped.
        harmed: How many of them the other decided rightly and the candidate wrongly.
        mended: How many the other way round.
        moved: How many both decide wrongly.
        rows: The flips, the harmful first, each kind in the set's order; no more than a record can carry.
    """

    provenance: Provenance
    failure: str = ""
    samples: int = 0
    total: int = 0
    harmed: int = 0
    mended: int = 0
    moved: int = 0
    rows: tuple[Flip, ...] = ()


class KnownFlips(Fact):
    """The flips that the bundle says are known, and the day on which that is read.

    Attributes:
        provenance: Which file.
        failure: Why the file could not be read; there are then no entries.
        today: The day, ISO 8601: an acceptance has an end.
        entries: What the file says; empty where there is no file.
    """

    provenance: Provenance
    failure: str = ""
    today: str
    entries: tuple[AcceptedFlip, ...] = ()


Evidence = (
    Outputs
    | Repeats
    | Execution
    | Golden
    | Graph
    | Files
    | Preflight
    | Footprint
    | Timing
    | PeerTiming
    | Instructions
    | Lineage
    | FlipLedger
    | KnownFlips
    | Trials
    | Weights
)
"""Every kind of evidence."""

Document = Annotated[
    Graph
    | Files
    | Preflight
    | Footprint
    | Timing
    | PeerTiming
    | Instructions
    | Lineage
    | FlipLedger
    | KnownFlips
    | Trials
    | Weights,
    Field(union_mode="smart"),
]
"""The kinds that are made of numbers."""
