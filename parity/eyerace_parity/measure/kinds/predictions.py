"""Predicts from a file's graph which versions of ONNX Runtime load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.compatibility.flutter import minimum_runtime, packages_with
from eyerace_parity.compatibility.predict import predict
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.quality import LoadPrediction, RuntimePrediction
from eyerace_parity.measure.measurer import Derivation, derived_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Provenance
    from eyerace_parity.evidence.source import Source

    Columns = Mapping[str, Sequence[str]]


def demanded_of(contract: Contract, variant: str) -> Version | None:
    """The oldest runtime that the contract names for a variant; ``None`` where it names none."""
    limits = contract.variants[variant].limits.get("compatibility")
    return minimum_runtime(getattr(limits, "min_onnxruntime", None), getattr(limits, "flutter", None))


def compute_prediction(contract: Contract, variant: str, graph: Graph, source: Provenance) -> LoadPrediction:
    """Predict for every known runtime whether it loads a file.

    Args:
        contract: Names the execution providers, and the oldest runtime that it demands.
        variant: The variant.
        graph: What its file says of itself.
        source: Provenance of the evidence.

    Raises:
        MeasurementError: The file could not be read.
    """
    if graph.failure:
        raise MeasurementError(f"{variant} could not be read: {graph.failure}", next_step="export it again")
    found = predict(graph, providers=contract.session_of(variant).providers)
    least = demanded_of(contract, variant)
    runtimes = tuple(
        RuntimePrediction(
            version=str(forecast.version),
            outcome=forecast.outcome.value,
            reasons=tuple(reason.sentence for reason in forecast.reasons),
            packages=_packages(forecast.version),
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


def _packages(version: Version) -> tuple[str, ...]:
    """Flutter packages that bring a version; none of one that has no number yet."""
    try:
        return tuple(packages_with(version))
    except ValueError:
        return ()


def _graph(need: Need[Any]) -> tuple[Need[Any], ...]:
    return (Need(Graph, need.variant, need.target),)


def _on_runtimes(contract: Contract, need: Need[LoadPrediction], _columns: Columns) -> dict[str, str]:
    providers = contract.session_of(need.variant).providers
    demanded = demanded_of(contract, need.variant)
    return {"providers": " ".join(providers), "demanded": "" if demanded is None else str(demanded)}


def _prediction(contract: Contract, need: Need[LoadPrediction], source: Source, columns: Columns) -> LoadPrediction:
    stated = derived_provenance(contract, need, source, columns)
    graph = source.obtain(Need(Graph, need.variant, need.target))
    return compute_prediction(contract, need.variant, graph, stated)


PREDICTION: Final = Derivation(_graph, _prediction, _on_runtimes)
