"""The registry of evidence kinds: one declaration per kind for measuring, caching, recording and releasing it.

Other packages add a kind with one call at import, ``KINDS.register(EvidenceKind(...))``. A measurer is named by a text
and imported at first use, because measurers live in a higher room.
"""

from __future__ import annotations

from typing import Final

from eyerace_parity.core.errors import ContractError
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs, Repeats, answers_of
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.costs import Footprint, InstructionCounts, PeerTiming, Preflight, Soak, Timing
from eyerace_parity.evidence.diagnostics import PreparationTrials, Sensitivity, Weights
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.evidence.kinds import EvidenceKind, Kinds, Runs
from eyerace_parity.evidence.quality import (
    DecisionSamples,
    LoadPrediction,
    Mixture,
    OutputNoise,
    Quality,
    Slices,
    TimeQuantiles,
)
from eyerace_parity.extending.loading import active

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

_FED: Final = ("interface.inputs.*.name", "interface.inputs.*.shape")
"""What decides how samples are fed: the name of each input, and whether its first axis counts samples."""

_PORTS: Final = (*_FED, "interface.outputs.*.name", "interface.outputs.*.shape")
"""What decides how samples are fed and how answers are split into rows."""

_SCORES: Final = ("golden.scores", "interface.outputs.*.name")
"""What names the output that holds the scores."""

_STATISTICS: Final = ("statistics.confidence", "statistics.draws", "statistics.seed")

_LIMITS: Final = ("variants.*.limits",)

KINDS: Final = Kinds(
    EvidenceKind(
        name="Golden",
        type=GoldenFacts,
        measurer="",
        reads=("classes", "golden.cluster", "golden.labels"),
        runs=Runs.READS_BYTES,
        cheap=True,
        requires=(),
        has_provenance=False,
    ),
    EvidenceKind(
        name="Outputs",
        type=Outputs,
        measurer=f"{_KINDS}.outputs:OUTPUTS",
        reads=_PORTS,
        code=_RUNNERS,
        digest=answers_of,
    ),
    EvidenceKind(
        name="Repeats",
        type=Repeats,
        measurer=f"{_KINDS}.repeats:REPEATS",
        reads=_PORTS,
        code=("measure/kinds/outputs.py", *_RUNNERS),
    ),
    EvidenceKind(
        name="Execution",
        type=Execution,
        measurer=f"{_KINDS}.execution:EXECUTION",
        reads=_PORTS,
        code=(*_SAMPLES, *_SESSIONS),
        runs=Runs.ON_TARGETS,
    ),
    EvidenceKind(
        name="Graph",
        type=Graph,
        measurer="eyerace_parity.measure.onnx_graph.reader:GRAPH",
        reads=(),
        code=_GRAPH,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Files",
        type=Files,
        measurer=f"{_KINDS}.files:FILES",
        reads=(),
        code=("runners/artefact_files.py",),
        runs=Runs.READS_BYTES,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Preflight",
        type=Preflight,
        measurer=f"{_KINDS}.footprint:PREFLIGHT",
        reads=_FED,
        code=_WORKERS,
        requires=(),
    ),
    EvidenceKind(
        name="Footprint",
        type=Footprint,
        measurer=f"{_KINDS}.footprint:FOOTPRINT",
        reads=_FED,
        code=_WORKERS,
        keep=False,
        alone=True,
        requires=(),
    ),
    EvidenceKind(
        name="Soak",
        type=Soak,
        measurer=f"{_KINDS}.soak:SOAK",
        reads=(*_FED, *_LIMITS),
        code=("measure/kinds/footprint.py", "stats/stopping_rules.py", *_WORKERS),
        keep=False,
        alone=True,
    ),
    EvidenceKind(
        name="Timing",
        type=Timing,
        measurer=f"{_KINDS}.timing:TIMING",
        reads=("classes", *_FED, *_SCORES, "statistics.confidence", *_LIMITS),
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
        reads=_FED,
        code=_WORKERS,
        keep=False,
        alone=True,
    ),
    EvidenceKind(
        name="Instructions",
        type=InstructionCounts,
        measurer=f"{_KINDS}.instructions:INSTRUCTIONS",
        reads=_FED,
        code=("measure/kinds/execution.py", "emulation/icount.c", *_SAMPLES, *_SESSIONS),
        runs=Runs.ON_TARGETS,
    ),
    EvidenceKind(
        name="Lineage",
        type=Lineage,
        measurer=f"{_KINDS}.lineage:LINEAGE",
        reads=("interface",),
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
        reads=("classes", *_SCORES),
        code=_QUALITY,
        runs=Runs.DERIVED,
        requires=(),
    ),
    *(
        EvidenceKind(
            name=name,
            type=kind,
            measurer=f"{_KINDS}.derived:{name.upper()}",
            reads=reads,
            code=_QUALITY,
            runs=Runs.DERIVED,
            requires=(),
        )
        for name, kind, reads in (
            ("Quality", Quality, ("classes", *_SCORES, *_STATISTICS, *_LIMITS)),
            ("Slices", Slices, (*_SCORES, *_STATISTICS)),
            ("Noise", OutputNoise, ()),
            ("Samples", DecisionSamples, (*_SCORES, "hybrid.scores")),
            ("Mixture", Mixture, (*_SCORES, "hybrid.offline_share")),
        )
    ),
    EvidenceKind(
        name="Prediction",
        type=LoadPrediction,
        measurer=f"{_KINDS}.predictions:PREDICTION",
        reads=_LIMITS,
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
        reads=("statistics.confidence", *_LIMITS),
        code=("stats/quantiles.py", "stats/sequential.py"),
        runs=Runs.DERIVED,
        keep=False,
        requires=(),
    ),
    EvidenceKind(
        name="KnownFlips",
        type=KnownFlips,
        measurer=f"{_KINDS}.known_flips:KNOWN_FLIPS",
        reads=("flips.accepted",),
        runs=Runs.READS_BYTES,
        keep=False,
        cheap=True,
        requires=(),
    ),
    EvidenceKind(
        name="Trials",
        type=PreparationTrials,
        measurer=f"{_KINDS}.preparation_trials:PREPARATION_TRIALS",
        reads=(*_PORTS, "golden.scores"),
        code=("measure/kinds/outputs.py", "measure/recorded.py", "preprocess/variations.py", *_RUNNERS),
    ),
    EvidenceKind(
        name="Weights",
        type=Weights,
        measurer=f"{_KINDS}.weights:WEIGHTS",
        reads=("interface",),
        code=_RUNNERS,
    ),
    EvidenceKind(
        name="Sensitivity",
        type=Sensitivity,
        measurer=f"{_KINDS}.sensitivity:SENSITIVITY",
        reads=("classes", "golden", "interface.inputs", "interface.outputs.*.name"),
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
