"""What is predicted of a file, as a fact of the record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.compatibility.predict import CPU_PROVIDER, predict
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.artefacts import Graph, OperatorSignature
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.kinds.predictions import compute_prediction

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract

SOURCE = Provenance(variant="int8")
DYNAMIC = OperatorSignature(
    operator="ai.onnx::ConvInteger", opset=17, inputs=("uint8", "int8", "uint8", "int8"), outputs=("int32",), count=1
)
GRAPH = Graph(provenance=SOURCE, ir_version=8, opsets={"ai.onnx": 17}, signatures=(DYNAMIC,))


def contract(minimum: str | None = None) -> Contract:
    """As much of a contract as a prediction asks of it."""
    limits = SimpleNamespace(min_onnxruntime=minimum, flutter=None)
    return SimpleNamespace(  # type: ignore[return-value]
        session_of=lambda _variant: SimpleNamespace(providers=(CPU_PROVIDER,)),
        variants={"int8": SimpleNamespace(limits={"compatibility": limits})},
    )


def test_each_runtime_has_its_outcome_and_reason() -> None:
    """As it is predicted, and with who brings it."""
    found = compute_prediction(contract("1.22"), GRAPH, SOURCE)
    forecasts = predict(GRAPH).forecasts
    assert [one.version for one in found.runtimes] == [str(one.version) for one in forecasts]
    known = {one.version: one for one in found.runtimes}
    assert (known["1.23"].outcome, known["1.24"].outcome) == ("refused", "loads")
    assert "ConvInteger" in known["1.23"].reasons[0]
    assert (found.oldest, found.demanded) == ("1.24", "1.22")
    assert any("flutter_onnxruntime" in name for one in found.runtimes for name in one.packages)


def test_of_a_file_that_could_not_be_read_nothing_is_predicted() -> None:
    """And that is no prediction."""
    torn = GRAPH.model_copy(update={"failure": "it is torn"})
    with pytest.raises(MeasurementError, match="torn"):
        compute_prediction(contract(), torn, SOURCE)
    assert compute_prediction(contract(), GRAPH, SOURCE).demanded == ""
