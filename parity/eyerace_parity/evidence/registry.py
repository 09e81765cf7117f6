"""The registry of evidence kinds: one declaration per kind for measuring, caching, recording and releasing it.

Other packages add a kind with one call at import, ``KINDS.register(EvidenceKind(...))``. A measurer is named by a text
and imported at first use, because measurers live in a higher room.
"""

from __future__ import annotations

from typing import Final

from eyerace_parity.core.errors import ContractError
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs, Repeats, answers_of
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.costs import Footprint, PeerTiming, Preflight, Soak, Timing
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

SAMPLES: Final = (
    "golden/base.py",
    "golden/dataset.py",
    "golden/images.py",
    "golden/labels.py",
    "golden/tensors.py",
    "preprocess/apply.py",
    "measure/batching.py",
)
"""Code that turns golden samples into inputs, and answers into rows."""

SESSIONS: Final = (
    "isolation/worker.py",
    "runners/artefact_files.py",
    "runners/base.py",
    "runners/onnxruntime.py",
)
"""Code that creates sessions, in this process and in workers."""

_RUNNERS: Final = (*SAMPLES, *SESSIONS, "runners/registry.py", "runners/torch.py")
"""Code that runs any variant in the calling process."""

_WORKERS: Final = (*SAMPLES, *SESSIONS, "isolation/connection.py", "isolation/runtime_worker.py")
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

FED: Final = ("interface.inputs.*.name", "interface.inputs.*.shape")
"""What decides how samples are fed: the name of each input, and whether its first axis counts samples."""

_PORTS: Final = (*FED, "interface.outputs.*.name", "interface.outputs.*.shape")
"""What decides how samples are fed and how answers are split into rows."""

_SCORES: Final = ("golden.scores", "interface.outputs.*.name")
"""What names the output that holds the scores."""

_STATISTICS: Final = ("statistics.confidence", "statistics.draws", "statistics.sampling", "statistics.seed")

_LIMITS: Final = ("variants.*.limits",)

KINDS: Final = Kinds(
    EvidenceKind(
        "Golden",
        GoldenFacts,
        runs=Runs.READS_BYTES,
        cheap=True,
        has_provenance=False,
        reads=("classes", "golden.cluster", "golden.labels"),
    ),
    EvidenceKind("Outputs", Outputs, f"{_KINDS}.outputs:OUTPUTS", code=_RUNNERS, digest=answers_of, reads=_PORTS),
    EvidenceKind(
        "Repeats", Repeats, f"{_KINDS}.repeats:REPEATS", code=("measure/kinds/outputs.py", *_RUNNERS), reads=_PORTS
    ),
    EvidenceKind(
        "Execution",
        Execution,
        f"{_KINDS}.execution:EXECUTION",
        code=(*SAMPLES, *SESSIONS),
        runs=Runs.ON_TARGETS,
        reads=_PORTS,
    ),
    EvidenceKind(
        "Graph", Graph, "eyerace_parity.measure.onnx_graph.reader:GRAPH", code=_GRAPH, cheap=True, requires=(), reads=()
    ),
    EvidenceKind(
        "Files",
        Files,
        f"{_KINDS}.files:FILES",
        code=("runners/artefact_files.py",),
        runs=Runs.READS_BYTES,
        cheap=True,
        reads=(),
    ),
    EvidenceKind("Preflight", Preflight, f"{_KINDS}.footprint:PREFLIGHT", code=_WORKERS, requires=(), reads=FED),
    EvidenceKind(
        "Footprint",
        Footprint,
        f"{_KINDS}.footprint:FOOTPRINT",
        code=_WORKERS,
        keep=False,
        alone=True,
        requires=(),
        reads=FED,
    ),
    EvidenceKind(
        "Soak",
        Soak,
        f"{_KINDS}.soak:SOAK",
        code=("measure/kinds/footprint.py", "stats/stopping_rules.py", *_WORKERS),
        keep=False,
        alone=True,
        reads=(*FED, *_LIMITS),
    ),
    EvidenceKind(
        "Timing",
        Timing,
        f"{_KINDS}.timing:TIMING",
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
        reads=("classes", *FED, *_SCORES, "statistics.confidence", *_LIMITS),
    ),
    EvidenceKind(
        "PeerTiming", PeerTiming, f"{_KINDS}.peer_timing:PEER_TIMING", code=_WORKERS, keep=False, alone=True, reads=FED
    ),
    EvidenceKind(
        "Lineage",
        Lineage,
        f"{_KINDS}.lineage:LINEAGE",
        code=("recipes/lineage.py", "runners/artefact_files.py", *SAMPLES),
        runs=Runs.READS_BYTES,
        keep=False,
        cheap=True,
        reads=("interface",),
    ),
    EvidenceKind(
        "FlipLedger",
        FlipLedger,
        f"{_KINDS}.derived:FLIPS",
        code=_QUALITY,
        runs=Runs.DERIVED,
        reads=("classes", *_SCORES),
    ),
    *(
        EvidenceKind(name, kind, f"{_KINDS}.derived:{name.upper()}", code=_QUALITY, reads=reads, runs=Runs.DERIVED)
        for name, kind, reads in (
            ("Quality", Quality, ("classes", *_SCORES, *_STATISTICS, *_LIMITS)),
            ("Slices", Slices, (*_SCORES, *_STATISTICS)),
            ("Noise", OutputNoise, ()),
            ("Samples", DecisionSamples, (*_SCORES, "hybrid.scores")),
            ("Mixture", Mixture, (*_SCORES, "hybrid.offline_share")),
        )
    ),
    EvidenceKind(
        "Prediction",
        LoadPrediction,
        f"{_KINDS}.predictions:PREDICTION",
        code=(
            "compatibility/flutter.py",
            "compatibility/flutter.toml",
            "compatibility/kernels.py",
            "compatibility/predict.py",
            "compatibility/runtimes.json",
            "compatibility/table.py",
        ),
        runs=Runs.DERIVED,
        reads=_LIMITS,
    ),
    EvidenceKind(
        "TimeQuantiles",
        TimeQuantiles,
        f"{_KINDS}.time_quantiles:TIME_QUANTILES",
        code=("stats/quantiles.py", "stats/sequential.py"),
        runs=Runs.DERIVED,
        keep=False,
        reads=("statistics.confidence", *_LIMITS),
    ),
    EvidenceKind(
        "KnownFlips",
        KnownFlips,
        f"{_KINDS}.known_flips:KNOWN_FLIPS",
        runs=Runs.READS_BYTES,
        keep=False,
        cheap=True,
        reads=("flips.accepted",),
    ),
    EvidenceKind(
        "Trials",
        PreparationTrials,
        f"{_KINDS}.preparation_trials:PREPARATION_TRIALS",
        code=("measure/kinds/outputs.py", "measure/recorded.py", "preprocess/variations.py", *_RUNNERS),
        reads=(*_PORTS, "golden.scores"),
    ),
    EvidenceKind("Weights", Weights, f"{_KINDS}.weights:WEIGHTS", code=_RUNNERS, reads=("interface",)),
    EvidenceKind(
        "Sensitivity",
        Sensitivity,
        f"{_KINDS}.sensitivity:SENSITIVITY",
        code=("measure/kinds/weights.py", "recipes/quantise.py", "recipes/calibrate.py", *_RUNNERS),
        reads=("classes", "golden", "interface.inputs", "interface.outputs.*.name"),
    ),
)
"""All kinds of evidence; :func:`add_kinds` adds those of extensions."""


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
