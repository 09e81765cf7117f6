"""What is known of a file and a runtime before they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.compatibility.predict import LoadOutcome, predict
from eyerace_parity.compatibility.versions import Version

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.artefacts import Graph
    from eyerace_parity.extensions.matrix.document import Predicted


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
    reasons = "; ".join(reason.sentence for reason in forecast.reasons)
    if forecast.outcome is LoadOutcome.LOADS:
        reasons = f"nothing in it that onnxruntime {wanted} lacks"
    return forecast.outcome.value, reasons
