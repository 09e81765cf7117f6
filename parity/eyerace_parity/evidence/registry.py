"""The registry of evidence kinds: one declaration per kind for measuring, caching, recording and releasing it.

Other packages add a kind with one call at import, ``KINDS.register(EvidenceKind(...))``. A measurer is named by a text
and imported at first use, because measurers live in a higher room.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from eyerace_parity.evidence.answers import ArrayDigest, Execution, GoldenFacts, Outputs, Repeats, answers_of
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.base import WORDS, Fact
from eyerace_parity.evidence.costs import Footprint, InstructionCounts, PeerTiming, Preflight, Soak, Timing
from eyerace_parity.evidence.diagnostics import PreparationTrials, Sensitivity, Weights
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.evidence.quality import (
    DecisionSamples,
    LoadPrediction,
    Mixture,
    OutputNoise,
    Quality,
    Slices,
    TimeQuantiles,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

E = TypeVar("E")


class Runs(Enum):
    """Where a kind is measured."""

    ISOLATED = "in the isolated worker"
    ON_TARGETS = "by target workers, many kinds together"
    READS_BYTES = "in the run's process: reads bytes with Python only, no decoder, no parser in native code"
    DERIVED = "computed from other evidence, never measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKind(Generic[E]):
    """Declaration of a kind of evidence.

    Attributes:
        name: Stored name, ASCII letters only. It is part of content keys and release keys. In lower case, it names the
            kind in records and its folder in the cache. It never changes, even if the type is renamed.
        type: A :class:`Fact`, or a frozen dataclass with arrays.
        measurer: ``module:object`` of the measurer, imported at first use; see
            :mod:`eyerace_parity.measure.measurer`. Empty for the golden set's own facts.
        code: Further files whose change invalidates cached measurements: paths relative to this package, or dotted
            module names of other packages. The measurer's own file counts always.
        runs: Where it is measured.
        keep: Whether it depends on content alone, so that the cache may keep it; never for times.
        alone: Whether nothing else may be measured at the same time, as for times and memory.
        cheap: Whether it needs only file reads: no sample is decoded and no model is run.
        requires: Kinds, in lower case, that an ONNX variant must pass before it is run for this one.
        digest: Computes what a record stores instead of the arrays.
        has_provenance: Whether it states its origin. The golden set's facts do not, because their digest is their key.
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
    digest: Callable[[E], tuple[ArrayDigest, ...]] | None = None
    has_provenance: bool = True

    @property
    def word(self) -> str:
        """Name in records, in the cache and in messages."""
        return self.name.lower()

    @property
    def is_fact(self) -> bool:
        """Whether it has no arrays, so that a record stores it completely."""
        return issubclass(self.type, Fact)

    @property
    def released(self) -> bool:
        """Whether an accepted release stores it completely."""
        return self.is_fact and self.keep and self.runs is not Runs.DERIVED


class Kinds:
    """Kinds of evidence by type and by name.

    Args:
        kinds: The initial kinds.
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
            ValueError: The name is invalid, or the name or the type is already registered.
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
        """Return the declaration of a type of evidence.

        Raises:
            LookupError: The type is not registered.
        """
        if kind not in self._by_type:
            message = f"nobody has registered how evidence of the type {kind.__name__} is obtained"
            raise LookupError(message)
        return self._by_type[kind]

    def named(self, word: str) -> EvidenceKind[Any]:
        """Return the declaration of a kind by its name in records and in the cache.

        Raises:
            LookupError: The name is not registered.
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
"""Code that turns golden samples into inputs, and answers into rows."""

_SESSIONS: Final = (
    "isolation/worker.py",
    "runners/artefact_files.py",
    "runners/base.py",
    "runners/onnxruntime.py",
)
"""Code that creates sessions, in this process and in workers."""

_RUNNERS: Final = (*_SAMPLES, *_SESSIONS, "runners/registry.py", "runners/torch.py")
"""Code that runs any variant in the calling process."""

_WORKERS: Final = (*_SAMPLES, *_SESSIONS, "isolation/connection.py", "isolation/runtime_worker.py")
"""Code that runs an ONNX variant in a separate process."""

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

_QUALITY: Final = (
    "measure/kinds/flips.py",
    "measure/kinds/quality.py",
    "stats/bootstrap.py",
    "stats/classification.py",
    "stats/differences.py",
    "stats/measures.py",
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
        requires=(),
    ),
    EvidenceKind(
        name="Footprint",
        type=Footprint,
        measurer=f"{_KINDS}.footprint:FOOTPRINT",
        code=_WORKERS,
        keep=False,
        alone=True,
        requires=(),
    ),
    EvidenceKind(
        name="Soak",
        type=Soak,
        measurer=f"{_KINDS}.soak:SOAK",
        code=("measure/kinds/footprint.py", "stats/stopping_rules.py", *_WORKERS),
        keep=False,
        alone=True,
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
        keep=False,
        alone=True,
    ),
    EvidenceKind(
        name="PeerTiming",
        type=PeerTiming,
        measurer=f"{_KINDS}.peer_timing:PEER_TIMING",
        code=_WORKERS,
        keep=False,
        alone=True,
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
        measurer=f"{_KINDS}.derived:FLIPS",
        code=_QUALITY,
        runs=Runs.DERIVED,
        requires=(),
    ),
    *(
        EvidenceKind(
            name=name,
            type=kind,
            measurer=f"{_KINDS}.derived:{name.upper()}",
            code=_QUALITY,
            runs=Runs.DERIVED,
            requires=(),
        )
        for name, kind in (
            ("Quality", Quality),
            ("Slices", Slices),
            ("Noise", OutputNoise),
            ("Samples", DecisionSamples),
            ("Mixture", Mixture),
        )
    ),
    EvidenceKind(
        name="Prediction",
        type=LoadPrediction,
        measurer=f"{_KINDS}.predictions:PREDICTION",
        code=(
            "compatibility/flutter.py",
            "compatibility/flutter.toml",
            "compatibility/kernels.py",
            "compatibility/predict.py",
            "compatibility/runtimes.json",
            "compatibility/table.py",
        ),
        runs=Runs.DERIVED,
        requires=(),
    ),
    EvidenceKind(
        name="TimeQuantiles",
        type=TimeQuantiles,
        measurer=f"{_KINDS}.time_quantiles:TIME_QUANTILES",
        code=("stats/quantiles.py", "stats/sequential.py"),
        runs=Runs.DERIVED,
        keep=False,
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
