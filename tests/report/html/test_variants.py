"""The tables of a page that stand before its clauses: variants side by side, and runtimes by variants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.compatibility.predict import CPU_PROVIDER
from eyerace_parity.contract.sections import Statistics
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Files, Graph, OperatorSignature
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.costs import Series, Timing
from eyerace_parity.measure.kinds.flips import compute_flips
from eyerace_parity.measure.kinds.predictions import compute_prediction
from eyerace_parity.measure.kinds.quality import compute_quality
from eyerace_parity.report.view.variants import runtimes, signed, variant_summary
from tests.report.html.test_quality import evidence, material, quantiles

if TYPE_CHECKING:
    from eyerace_parity.record.document import EvidenceEntry
    from eyerace_parity.report.view.pictures import PictureData

LABELS = np.array([0, 1, 0, 1], dtype=np.int64)
RIGHT = np.eye(2, dtype=np.float32)[LABELS]


CONTRACT: Any = SimpleNamespace(
    scores_output="scores",
    classes=("x", "y"),
    hybrid=None,
    statistics=Statistics(draws=1000),
    variants={name: SimpleNamespace(limits={}) for name in ("fp32", "int8")},
    session_of=lambda _variant: SimpleNamespace(providers=(CPU_PROVIDER,)),
)
"""As much of a contract as derived facts ask."""


def answered(*, labelled: bool = True, pieces: tuple[EvidenceEntry, ...] = ()) -> PictureData:
    """Two variants, of which int8 takes the first sample for another class."""
    wrong = RIGHT.copy()
    wrong[0] = RIGHT[1]
    outputs = {
        name: Outputs(Provenance(variant=name), {"scores": array}, len(array))
        for name, array in (("fp32", RIGHT), ("int8", wrong))
    }
    golden = GoldenFacts("sha256:0", ("a", "b", "c", "d"), ("x", "y"), LABELS if labelled else None)
    facts = [
        evidence(compute_quality(CONTRACT, found, golden, found.provenance), name)
        for name, found in (outputs.items() if labelled else ())
    ]
    ledger = compute_flips(CONTRACT, outputs["int8"], golden, outputs["fp32"], Provenance(variant="int8"))
    return material(*pieces, *facts, evidence(ledger).model_copy(update={"versus": "fp32"}))


def cells(found: PictureData) -> dict[str, dict[str, str]]:
    """The table by variant and column."""
    table = variant_summary(found)
    assert table is not None
    return {variant.name: dict(zip(table.columns, line, strict=True)) for variant, line in table.lines}


def test_quality_stands_beside_what_it_cost() -> None:
    """F1 with its change, decisions that changed, size with its ratio, and times of what was timed."""
    source = Provenance(variant="int8")
    times = Timing(
        provenance=source, threads=1, first_wall_ms=9, runs=Series(wall_ms=(2.0,), cpu_ms=(2.0,)),
        versus="fp32", versus_runs=Series(wall_ms=(4.0,), cpu_ms=(4.0,)),
    )  # fmt: skip
    sizes = [evidence(Files(provenance=Provenance(variant=n), bytes=b, deflated=1), n) for n, b in SIZES.items()]
    told = cells(answered(pieces=(*sizes, evidence(quantiles(times)))))
    assert told["fp32"] == {
        "macro-F1": "1.0000", "decided differently": "", "size": "4 MB", "time, median": "4 ms",
    }  # fmt: skip
    assert told["int8"] == {
        "macro-F1": "0.7333 (−0.2667)",  # noqa: RUF001 - a minus sign
        "decided differently": "1 of 4, 1 to wrong",
        "size": "1 MB (× 0.25)",  # noqa: RUF001 - a factor
        "time, median": "2 ms",
    }


SIZES = {"fp32": 4_000_000, "int8": 1_000_000}


def test_without_labels_only_changes_are_told() -> None:
    """Nobody knows which of the two is right."""
    told = cells(answered(labelled=False))
    assert told == {"int8": {"decided differently": "1 of 4"}}


def test_of_nothing_known_there_is_no_table() -> None:
    """And no hole."""
    assert variant_summary(material()) is None
    assert runtimes(material(), "1.32.0") is None


def test_runtimes_that_lack_a_kernel_are_told_with_the_reason() -> None:
    """The grid is foretold from what the record says of each file."""
    dynamic = OperatorSignature(
        operator="ai.onnx::ConvInteger",
        opset=17,
        inputs=("uint8", "int8", "uint8", "int8"),
        outputs=("int32",),
        count=1,
    )
    graph = Graph(
        provenance=Provenance(variant="int8"), ir_version=8, opsets={"ai.onnx": 17}, signatures=(dynamic,)
    )  # fmt: skip
    prediction = compute_prediction(CONTRACT, graph, graph.provenance)
    found = runtimes(material(evidence(prediction)), "1.32.0")
    assert found is not None
    (line,) = found.lines
    told = dict(zip(found.versions, (cell.outcome for cell, _ in line.cells), strict=True))
    assert told["1.23"] == "refused"
    assert told["1.24"] == "loads"
    assert "ConvInteger" in line.blocking


def test_a_difference_has_a_sign_and_nothing_has_none() -> None:
    """A rounded nothing is no loss."""
    assert [signed(value, ".2f") for value in (0.5, -0.5, -0.001)] == ["+0.50", "−0.50", "±0.00"]  # noqa: RUF001
