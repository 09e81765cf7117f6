"""What is known of a file and a runtime before they meet: prediction, the oldest runtime demanded, who bundles it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.checks.compatibility import demanded_runtime
from eyerace_parity.compatibility.flutter import packages_with
from eyerace_parity.compatibility.predict import LoadOutcome, predict
from eyerace_parity.compatibility.versions import Version

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.artefacts import Graph
    from eyerace_parity.matrix.document import Predicted


def oldest_demanded(contract: Contract, variant: str) -> str:
    """The oldest runtime that the contract names for a variant, or an empty string."""
    demanded = demanded_runtime(contract, variant)
    return "" if demanded is None else str(demanded)


def predict_for(contract: Contract, variant: str, graph: Graph, version: str) -> tuple[Predicted, str]:
    """Foretell from a file whether a runtime loads it, and say why.

    Args:
        contract: The contract, for the variant's execution providers.
        variant: The variant.
        graph: What its file says of itself.
        version: Version of ONNX Runtime, such as ``1.22.1``.
    """
    if graph.failure:
        return "unknown", ""
    try:
        wanted = Version.parse(version)
    except ValueError:
        return "unknown", ""
    forecast = predict(graph, providers=contract.session_of(variant).providers).of(wanted)
    told = "; ".join(reason.sentence for reason in forecast.reasons)
    if forecast.outcome is LoadOutcome.LOADS:
        told = f"nothing in it that onnxruntime {wanted} lacks"
    return forecast.outcome.value, told


def bundled_by(version: str) -> tuple[str, ...]:
    """Flutter packages that bundle a version of ONNX Runtime; none of one that has no number yet."""
    try:
        return packages_with(Version.parse(version))
    except ValueError:
        return ()
