"""Predicts from a file's graph which versions of ONNX Runtime load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.compatibility.flutter import minimum_runtime, packages_with
from eyerace_parity.compatibility.predict import predict
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.quality import LoadPrediction, RuntimePrediction
from eyerace_parity.measure.measurer import Derivation

if TYPE_CHECKING:
    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Provenance
    from eyerace_parity.measure.measurer import Columns


def demanded_of(contract: Contract, variant: str) -> Version | None:
    """The oldest runtime that the contract names for a variant; ``None`` where it names none."""
    limits = contract.variants[variant].limits.get("compatibility")
    return minimum_runtime(getattr(limits, "min_onnxruntime", None), getattr(limits, "flutter", None))


def compute_prediction(contract: Contract, graph: Graph, source: Provenance) -> LoadPrediction:
    """Predict for every known runtime whether it loads a file.

    Args:
        contract: Names the execution providers, and the oldest runtime that it demands.
        graph: What the variant's file says of itself.
        source: Provenance of the evidence; names the variant.

    Raises:
        MeasurementError: The file could not be read.
    """
    variant = source.variant
    if graph.failure:
        raise MeasurementError(f"{variant} could not be read: {graph.failure}", next_step="export it again")
    found = predict(graph, providers=contract.session_of(variant).providers)
    least = demanded_of(contract, variant)
    runtimes = tuple(
        RuntimePrediction(
            version=str(forecast.version),
            outcome=forecast.outcome.value,
            reasons=tuple(reason.sentence for reason in forecast.reasons),
            packages=packages_with(forecast.version),
            demanded=least is not None and forecast.version >= least,
        )
        for forecast in found.forecasts
    )
    return LoadPrediction(
        provenance=source,
        oldest="" if found.oldest is None else str(found.oldest),
        demanded="" if least is None else str(least),
        runtimes=runtimes,
    )


def _on_runtimes(contract: Contract, need: Need[LoadPrediction], _columns: Columns) -> dict[str, str]:
    providers = contract.session_of(need.variant).providers
    demanded = demanded_of(contract, need.variant)
    return {"providers": " ".join(providers), "demanded": "" if demanded is None else str(demanded)}


PREDICTION: Final = Derivation(lambda need: (Need(Graph, need.variant, need.target),), compute_prediction, _on_runtimes)
