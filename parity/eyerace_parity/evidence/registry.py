"""The registry of evidence kinds: one declaration a kind, read by whoever measures, stores, records or releases it.

Other packages add a kind with one call, ``KINDS.register(EvidenceKind(...))``, when they are imported. What measures a
kind is named by a text and imported when it is first needed, because measuring stands floors above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from eyerace_parity.core.errors import ContractError
from eyerace_parity.evidence.answers import ArrayDigest, Execution, GoldenFacts, Outputs, Repeats, answers_of
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.base import WORDS, Fact
from eyerace_parity.evidence.costs import Footprint, InstructionCounts, PeerTiming, Preflight, Soak, Timing
from eyerace_parity.evidence.diagnostics import PreparationTrials, Sensitivity, Weights
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.extending.loading import active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

E = TypeVar("E")


class Runs(Enum):
    """Where a kind is measured."""

    ISOLATED = "in the isolated worker"
    OWN_WORKERS = "in the run's process, which starts a process of its own for what may die"
    ON_TARGETS = "by target workers, many kinds together"
    READS_BYTES = "in the run's process: reads bytes with Python only, no decoder, no parser in native code"
    DERIVED = "computed from other evidence, never measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKind(Generic[E]):
    """All that is to be known of a kind of evidence.

    Attributes:
        name: Its stored name, ASCII letters only: it stands in content keys and release keys, and in lower case in
            records and as a folder of the cache. It never changes, whatever its type is called.
        type: A :class:`Fact`, or a frozen dataclass that holds arrays.
        measurer: ``module:object`` of what obtains it, imported when it is first needed; see
            :mod:`eyerace_parity.measure.measurer`. Empty for what the golden set itself states.
        code: Files beside the measurer's own whose change voids earlier measurements: paths relative to this package,
            or dotted names of modules of other packages.
        runs: Where it is measured.
        keep: Whether it is true of the content alone, so that the cache may answer on another day; never for times.
        alone: Whether nothing else may be measured meanwhile; such numbers are times or memory of this machine.
        cheap: Whether reading files gives it: no sample is decoded and no model is run.
        requires: Kinds, in lower case, that an ONNX variant must have passed before it is run for this one.
        requires_of_torch: The same for a torch variant that the run's own process is about to run, where there is an
            isolated worker that could have run it first.
        digest: What a record keeps of its arrays.
        has_provenance: Whether it says where it came from. The golden set's own facts do not: their digest is their
            key.
    """

    name: str
    type: type[E]
    measurer: str
    code: tuple[str, ...] = ()
    runs: Runs = Runs.ISOLATED
    keep: bool = True
    alone: bool = False
    cheap: bool = False
    requires: tuple[str, ...] = ("preflight",)
    requires_of_torch: tuple[str, ...] = ()
    digest: Callable[[E], tuple[ArrayDigest, ...]] | None = None
    has_provenance: bool = True

    @property
    def word(self) -> str:
        """Its name in records, in the cache and in messages."""
        return self.name.lower()

    @property
    def is_fact(self) -> bool:
        """Whether it is made of numbers, and stands in a record whole."""
        return issubclass(self.type, Fact)

    @property
    def released(self) -> bool:
        """Whether an accepted release keeps it whole."""
        return self.is_fact and self.keep and self.runs is not Runs.DERIVED


class Kinds:
    """Kinds of evidence by type and by name.

    Args:
        kinds: What is known from the start.
    """

    def __init__(self, *kinds: EvidenceKind[Any]) -> None:
        self._by_type: dict[type[Any], EvidenceKind[Any]] = {}
        for kind in kinds:
            self.register(kind)

    def __iter__(self) -> Iterator[EvidenceKind[Any]]:
        return iter(tuple(self._by_type.values()))

    def register(self, kind: EvidenceKind[Any]) -> None:
        """Add a kind.

        Raises:
            ValueError: Its name is no name, or its name or its type is taken.
        """
        if not (kind.name.isascii() and kind.name.isalpha()):
            message = f"{kind.name!r} is no name of a kind of evidence: use ASCII letters only"
            raise ValueError(message)
        for known in self:
            if known.word == kind.word or known.type is kind.type:
                message = f"{kind.name} ({kind.type.__name__}) is already registered as {known.name}"
                raise ValueError(message)
        self._by_type[kind.type] = kind
        WORDS[kind.type] = kind.word

    def of(self, kind: type[E]) -> EvidenceKind[E]:
        """The declaration of a type of evidence.

        Raises:
            LookupError: Nobody has registered it.
        """
        if kind not in self._by_type:
            message = f"nobody has registered how evidence of the type {kind.__name__} is obtained"
            raise LookupError(message)
        return self._by_type[kind]

    def named(self, word: str) -> EvidenceKind[Any]:
        """The declaration of the kind that a record or the cache names.

        Raises:
            LookupError: Nobody has registered it.
        """
        for known in self:
            if known.word == word:
                return known
        message = f"no kind of evidence is called {word!r}; another version or an extension of the gate wrote it"
        raise LookupError(message)


_KINDS: Final = "eyerace_parity.measure.kinds"

_SAMPLES: Final = (
    "golden/base.py",
    "golden/dataset.py",
    "golden/images.py",
    "golden/labels.py",
    "golden/tensors.py",
    "preprocess/apply.py",
    "measure/batching.py",
)
"""What turns a golden sample into inputs, and an answer into rows."""

_SESSIONS: Final = (
    "isolation/worker.py",
    "runners/artefact_files.py",
    "runners/base.py",
    "runners/onnxruntime.py",
)
"""What makes sessions, of this process and of a worker's."""

_RUNNERS: Final = (*_SAMPLES, *_SESSIONS, "runners/registry.py", "runners/torch.py")
"""What runs a variant of any kind in the process where it is called."""

_WORKERS: Final = (*_SAMPLES, *_SESSIONS, "isolation/connection.py", "isolation/runtime_worker.py")
"""What runs an ONNX variant in a process of its own."""

_GRAPH: Final = (
    "measure/onnx_graph/layers.py",
    "measure/onnx_graph/macs.py",
    "measure/onnx_graph/shapes.py",
    "measure/onnx_graph/signatures.py",
    "runners/artefact_files.py",
    "compatibility/kernels.py",
    "compatibility/table.py",
    "compatibility/runtimes.json",
)

KINDS: Final = Kinds(
    EvidenceKind(
        name="Golden",
        type=GoldenFacts,
        measurer="",
        runs=Runs.READS_BYTES,
        cheap=True,
        requires=(),
        has_provenance=False,
    ),
    EvidenceKind(
        name="Outputs",
        type=Outputs,
        measurer=f"{_KINDS}.outputs:OUTPUTS",
        code=_RUNNERS,
        digest=answers_of,
    ),
    EvidenceKind(
        name="Repeats",
        type=Repeats,
        measurer=f"{_KINDS}.repeats:REPEATS",
        code=("measure/kinds/outputs.py", *_RUNNERS),
    ),
    EvidenceKind(
        name="Execution",
        type=Execution,
        measurer=f"{_KINDS}.execution:EXECUTION",
        code=(*_SAMPLES, *_SESSIONS),
        runs=Runs.ON_TARGETS,
    ),
    EvidenceKind(
        name="Graph",
        type=Graph,
        measurer="eyerace_parity.measure.onnx_graph.reader:GRAPH",
        code=_GRAPH,
        runs=Runs.OWN_WORKERS,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Files",
        type=Files,
        measurer=f"{_KINDS}.files:FILES",
        code=("runners/artefact_files.py",),
        runs=Runs.READS_BYTES,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Preflight",
        type=Preflight,
        measurer=f"{_KINDS}.footprint:PREFLIGHT",
        code=_WORKERS,
        runs=Runs.OWN_WORKERS,
        requires=(),
    ),
    EvidenceKind(
        name="Footprint",
        type=Footprint,
        measurer=f"{_KINDS}.footprint:FOOTPRINT",
        code=_WORKERS,
        runs=Runs.OWN_WORKERS,
        keep=False,
        alone=True,
        requires=(),
    ),
    EvidenceKind(
        name="Soak",
        type=Soak,
        measurer=f"{_KINDS}.soak:SOAK",
        code=("measure/kinds/footprint.py", "stats/stopping_rules.py", *_WORKERS),
        runs=Runs.OWN_WORKERS,
        keep=False,
        alone=True,
        requires_of_torch=("outputs",),
    ),
    EvidenceKind(
        name="Timing",
        type=Timing,
        measurer=f"{_KINDS}.timing:TIMING",
        code=(
            "measure/kinds/system_noise.py",
            "stats/sequential.py",
            "stats/stopping_rules.py",
            "runners/registry.py",
            "runners/torch.py",
            *_WORKERS,
        ),
        runs=Runs.OWN_WORKERS,
        keep=False,
        alone=True,
        requires_of_torch=("outputs",),
    ),
    EvidenceKind(
        name="PeerTiming",
        type=PeerTiming,
        measurer=f"{_KINDS}.peer_timing:PEER_TIMING",
        code=_WORKERS,
        runs=Runs.OWN_WORKERS,
        keep=False,
        alone=True,
        requires_of_torch=("outputs",),
    ),
    EvidenceKind(
        name="Instructions",
        type=InstructionCounts,
        measurer=f"{_KINDS}.instructions:INSTRUCTIONS",
        code=("measure/kinds/execution.py", "emulation/icount.c", *_SAMPLES, *_SESSIONS),
        runs=Runs.ON_TARGETS,
    ),
    EvidenceKind(
        name="Lineage",
        type=Lineage,
        measurer=f"{_KINDS}.lineage:LINEAGE",
        code=("recipes/lineage.py", "runners/artefact_files.py", *_SAMPLES),
        runs=Runs.READS_BYTES,
        keep=False,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="FlipLedger",
        type=FlipLedger,
        measurer=f"{_KINDS}.flips:FLIPS",
        code=("stats/classification.py",),
        runs=Runs.DERIVED,
        requires=(),
    ),
    EvidenceKind(
        name="KnownFlips",
        type=KnownFlips,
        measurer=f"{_KINDS}.known_flips:KNOWN_FLIPS",
        runs=Runs.READS_BYTES,
        keep=False,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Trials",
        type=PreparationTrials,
        measurer=f"{_KINDS}.preparation_trials:PREPARATION_TRIALS",
        code=("measure/kinds/outputs.py", "measure/recorded.py", "preprocess/variations.py", *_RUNNERS),
    ),
    EvidenceKind(
        name="Weights",
        type=Weights,
        measurer=f"{_KINDS}.weights:WEIGHTS",
        code=_RUNNERS,
    ),
    EvidenceKind(
        name="Sensitivity",
        type=Sensitivity,
        measurer=f"{_KINDS}.sensitivity:SENSITIVITY",
        code=("measure/kinds/weights.py", "recipes/quantise.py", "recipes/calibrate.py", *_RUNNERS),
    ),
)
"""All kinds of evidence."""


def add_kinds() -> None:
    """Register the kinds of the extensions that take part; one that is registered stays so.

    Raises:
        ContractError: A name or a type of evidence is taken.
    """
    for owner, kind in active().additions("evidence_kinds"):
        if kind in tuple(KINDS):
            continue
        try:
            KINDS.register(kind)
        except ValueError as error:
            raise ContractError(
                f"the extension {owner.name!r} cannot be used: {error}",
                next_step=f"leave it out with --eyerace-parity-disable {owner.name}",
            ) from error
