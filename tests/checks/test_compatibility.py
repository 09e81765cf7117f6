"""Compatibility: what is predicted is held against the app's runtime, and against what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.compatibility.table import table
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.artefacts import OperatorSignature
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.kinds.predictions import demanded_of
from tests.bundles import IMAGE_CONTRACT
from tests.checks.evidence_factory import clauses, contract, graph, judge, preflight

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.artefacts import Graph
    from eyerace_parity.evidence.costs import Preflight

RELU = OperatorSignature(operator="ai.onnx::Relu", opset=17, inputs=("float32",), outputs=("float32",), count=3)
CONV = OperatorSignature(
    operator="ai.onnx::ConvInteger", opset=17, inputs=("uint8", "int8", "uint8", "int8"), outputs=("int32",), count=9
)
BLURRED = CONV.model_copy(update={"inputs": ("uint8", "?", "uint8", "?")})


def file(*signatures: OperatorSignature, **fields: Any) -> Graph:
    """A file of these operators."""
    return graph("int8", signatures=signatures, operators={s.operator: s.count for s in signatures}, **fields)


def demanded(key: str, value: str, found: Graph) -> Judgement:
    """Judge a demand on a file."""
    clause = {"min_onnxruntime": "oldest_runtime", "flutter": "flutter_runtime"}[key]
    return judge(contract({"int8": {"compatibility": {key: value}}}), "int8", clause, found)


def ran(release: str, **fields: Any) -> Preflight:
    """A trial in a release of the runtime."""
    tried = preflight("int8", **fields)
    return tried.model_copy(update={"provenance": Provenance(variant="int8", runtime=f"onnxruntime {release}")})


def predicted(found: Graph, tried: Preflight) -> Judgement:
    """Judge whether what was predicted has happened."""
    return judge(contract(), "int8", "prediction", found, tried)


FAILED = {"inputs": (), "outputs": (), "failure": "NOT_IMPLEMENTED: ConvInteger(10)"}


def test_only_onnx_files_are_predicted() -> None:
    """Of every ONNX variant by default, of no torch variant; the demands only where they are stated."""
    read = contract({"int8": {"compatibility": {"min_onnxruntime": "1.21"}}})
    assert {"prediction", "oldest_runtime"} <= clauses(read, "int8")
    assert "flutter_runtime" not in clauses(read, "int8")
    assert "prediction" in clauses(read, "fp32")
    assert "prediction" not in clauses(read, "torch")


def test_a_file_that_is_older_than_the_app_is_held() -> None:
    """The limit itself is held, and what is predicted of every runtime is told."""
    held = demanded("min_onnxruntime", "1.24", file(CONV))
    assert (held.status, held.value, held.limit) == (Status.HELD, "1.24", "1.24")
    assert held.details[0].startswith("1.16 … 1.23 refused")
    assert held.details[1] == f"1.24 … {table().last} loads"


def test_a_file_that_is_newer_than_the_app_is_broken() -> None:
    """With the operator that is lacking, and with what to change."""
    broken = demanded("min_onnxruntime", "1.23.2", file(RELU, CONV))
    assert (broken.status, broken.value, broken.limit) == (Status.BROKEN, "1.24", "1.23")
    assert "no kernel for ConvInteger" in broken.reason
    assert "uint8" in broken.next_step


def test_a_package_stands_for_its_runtime() -> None:
    """The older of its platforms counts, and the reason names what is on board."""
    broken = demanded("flutter", "flutter_onnxruntime 1.8.0", file(CONV))
    assert (broken.status, broken.limit) == (Status.BROKEN, "1.22")
    assert "flutter_onnxruntime 1.8.0 bundles onnxruntime 1.22.0 on android, 1.24.2 on ios" in broken.reason
    assert demanded("flutter", "flutter_onnxruntime 1.8.0", file(RELU)).status is Status.HELD


def test_what_the_table_does_not_tell_is_unproven() -> None:
    """Neither held nor broken, and how to find out."""
    unproven = demanded("min_onnxruntime", "1.21", file(BLURRED))
    assert unproven.status is Status.UNPROVEN
    assert "tools/measure_runtimes.py" in unproven.next_step


def test_runtimes_outside_the_table() -> None:
    """Before it nothing is promised; after it what its last one takes counts."""
    assert demanded("min_onnxruntime", "1.10", file(RELU)).status is Status.UNPROVEN
    assert demanded("min_onnxruntime", "1.10", file(RELU, ir_version=12)).status is Status.BROKEN
    assert demanded("min_onnxruntime", "1.99", file(RELU)).status is Status.HELD
    assert demanded("min_onnxruntime", "1.99", file(RELU, ir_version=99)).status is Status.UNPROVEN


@pytest.mark.parametrize(
    ("found", "tried", "status"),
    [
        (file(CONV), ran("1.24.4"), Status.HELD),
        (file(CONV), ran("1.23.2", **FAILED), Status.HELD),
        (file(CONV), ran("1.23.2"), Status.BROKEN),
        (file(CONV), ran("1.24.4", **FAILED), Status.BROKEN),
        (file(CONV), ran("1.24.4", **FAILED, signal=4), Status.BROKEN),
        (file(CONV), ran("1.24.4", failure="it ran out of memory in its first run"), Status.HELD),
        (file(BLURRED), ran("1.23.2"), Status.UNPROVEN),
        (file(RELU), ran("1.99.0.dev20991231"), Status.HELD),
        (file(RELU, ir_version=99), ran("1.99.0"), Status.UNPROVEN),
        (file(RELU), ran("(of no known distribution)"), Status.ERROR),
        (graph("int8", failure="torn"), ran("1.24.4", **FAILED), Status.ERROR),
        (graph("int8", checker="no node makes it"), ran("1.24.4", **FAILED), Status.ERROR),
        (file(RELU, external=("weights.bin",)), ran("1.24.4", **FAILED), Status.ERROR),
        (graph("int8", operators={"ai.onnx::Relu": 1}), ran("1.24.4"), Status.UNPROVEN),
    ],
)
def test_predicted_and_seen_must_agree(found: Graph, tried: Preflight, status: Status) -> None:
    """Disagreement is broken either way; what nobody could foretell is never held."""
    judgement = predicted(found, tried)
    assert judgement.status is status, judgement
    assert status is Status.HELD or judgement.next_step


def test_a_release_after_the_table_is_told() -> None:
    """Held, and yet nobody takes it for measured."""
    assert f"ends at {table().last}" in predicted(file(RELU), ran("1.99.0")).reason


def test_disagreement_names_both_suspects() -> None:
    """The table is wrong, or the file is; what was predicted stands beside what was seen."""
    judgement = predicted(file(CONV), ran("1.20.1"))
    assert (judgement.value, judgement.limit) == ("loads", "refused")
    assert "no kernel for ConvInteger" in judgement.reason
    assert "the table is wrong, or the file is" in judgement.next_step


def test_the_oldest_demand_of_a_variant_is_known() -> None:
    """For whoever draws a table over versions."""
    read = contract({"int8": {"compatibility": {"min_onnxruntime": "1.23", "flutter": "flutter_onnxruntime 1.7.0"}}})
    assert demanded_of(read, "int8") == Version(1, 22)
    assert demanded_of(read, "fp32") is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('flutter = "flutter_onnxruntine 1.5.1"', "did you mean 'flutter_onnxruntime'"),
        ('flutter = "flutter_onnxruntime 7.0.0"', "known from 1.0.0 to 1.8.4"),
        ('min_onnxruntime = "newest"', "write it as 1.21"),
        ('min_onnxruntim = "1.21"', "did you mean 'min_onnxruntime'"),
    ],
)
def test_a_wrong_demand_is_a_contract_error(tmp_path: Path, line: str, told: str) -> None:
    """With its line, before anything is measured."""
    path = tmp_path / "contract.toml"
    path.write_text(f"{IMAGE_CONTRACT}\n[variants.int8.limits.compatibility]\n{line}\n", encoding="utf-8")
    with pytest.raises(ContractError, match=told) as caught:
        open_contract(path)
    assert f"contract.toml:{len(path.read_text(encoding='utf-8').splitlines())}" in str(caught.value)
