"""The plan: what is demanded is planned or refused, never dropped; and what is planned can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import describe_clauses, families, open_contract
from eyerace_parity.core.errors import ContractError
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Provenance
from tests.bundles import make_image_bundle, make_tensor_bundle
from tests.checks.evidence_factory import TWO_OUTPUTS, clauses, contract, golden, judge, planned, scores


@pytest.mark.parametrize("elsewhere", [False, True])
def test_clause_names_are_unique_over_all_families(elsewhere):
    """A clause's name alone stands in a test id; on a target it stands there with the target's."""
    names = [clause.name for family in families() if family.elsewhere is elsewhere for clause in family.clauses]
    assert names
    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalnum() and name.islower() for name in names)


def test_every_clause_and_every_limit_is_described():
    """Help texts and docs have a line, a unit or meaning, and a type for each."""
    for described in describe_clauses():
        assert described.summary.endswith("."), described
        assert bool(described.key) == bool(described.type) == bool(described.description), described
    for family in families():
        assert all(field.description for field in family.limits.model_fields.values()), family.name


def test_every_limit_belongs_to_a_clause_or_sets_one():
    """No field of any limits is read by nobody."""
    settings = {
        "least_variation",
        "scores",
        "per_output",
        "clock",
        "confidence",
        "max_runs",
        "max_seconds",
        "leak_runs",
    }
    for family in families():
        known = {clause.limit for clause in family.clauses} | settings
        assert set(family.limits.model_fields) <= known, family.name


def test_bounds_and_defaults_are_told():
    """A share says its range, a size is called one, a default is said."""
    described = {d.clause: d for d in describe_clauses()}
    assert described["f1"].type == "number ≥ 0 and ≤ 1"
    assert described["file_size"].type == "size > 0"
    assert described["size_ratio"].type == "{ versus, at_most }"
    assert described["repeatable"].default == "0"


def test_the_image_bundle_is_planned_whole(tmp_path):
    """What the file demands and what its interface implies is planned of each variant, and nothing else."""
    read = open_contract(make_image_bundle(tmp_path / "bundle") / "contract.toml")
    derived = {"outputs", "classes", "complete", "finite", "varied", "repeatable"}
    assert clauses(read, "torch") == derived | {"f1"}
    onnx = {"valid", "inputs", "opset", "ir_version", "domains", "single_file", "from_bytes", "inference_mode", "fresh"}
    onnx |= {"prediction"}
    assert clauses(read, "fp32") == derived | onnx | {"max_abs", "top1_agreement", "f1", "f1_drop", "file_size"}
    demanded = {"sqnr_db", "top1_agreement", "f1", "f1_drop", "file_size", "integer_weights", "same_ports"}
    assert clauses(read, "int8") == derived | onnx | demanded


def test_without_labels_nothing_about_quality_is_planned(tmp_path):
    """The tensor bundle has no labels and no classes."""
    read = open_contract(make_tensor_bundle(tmp_path / "bundle") / "contract.toml")
    assert not {p.identity.check for p in plan(read)} & {"quality", "latency", "size", "memory"}
    assert "classes" not in clauses(read, "fp32")


def test_a_shared_limit_falls_away_where_it_does_not_fit():
    """``[limits.closeness]`` meets a torch reference that has no reference of its own."""
    shared = {"closeness": {"max_abs": 0.1}, "interface": {"integer_weights": 0.0}}
    read = contract(dict.fromkeys(("torch", "fp32", "int8"), shared))
    assert "max_abs" not in clauses(read, "torch")
    assert "integer_weights" not in clauses(read, "torch")
    assert "max_abs" in clauses(read, "fp32")


@pytest.mark.parametrize(
    ("variant", "family", "limits", "why"),
    [
        ("torch", "closeness", {"max_abs": 0.1}, "torch has no reference"),
        ("torch", "quality", {"f1_drop": 0.1}, "torch has no reference"),
        ("torch", "interface", {"integer_weights": 0.5}, "torch is no ONNX file"),
        ("torch", "memory", {"cold_start_ms": 5.0}, "torch is a torch variant"),
        ("int8", "quality", {"metric": 0.5}, "the contract names no metric"),
        ("int8", "quality", {"f1_per_class": {"gren": 0.5}}, "did you mean 'green'"),
        ("int8", "latency", {"latency_ratio": {"versus": "fp23", "at_most": 1.0}}, "did you mean 'fp32'"),
        ("int8", "latency", {"latency_ratio": {"versus": "int8", "at_most": 1.0}}, "compared with itself"),
        ("int8", "size", {"size_ratio": {"versus": "cloud", "at_most": 1.0}}, "names no other variant"),
        ("int8", "latency", {"preprocess_p95_ms": 5.0}, "a set of tensors is not preprocessed"),
        ("int8", "closeness", {"per_output": {"score": {"max_abs": 0.1}}}, "did you mean 'scores'"),
    ],
)
def test_a_limit_that_can_never_be_judged_is_refused(variant, family, limits, why):
    """A demand that some variants bear is refused at plan time where it does not fit, with its key and why."""
    with pytest.raises(ContractError) as caught:
        plan(contract({variant: {family: limits}}))
    assert f"variants.{variant}.limits.{family}." in caught.value.reason
    assert why in caught.value.reason


def test_quality_of_an_unlabelled_set_is_refused():
    """A floor of F1 without labels is a mistake, even if all variants bear it."""
    floor = {"quality": {"f1": 0.9}}
    with pytest.raises(ContractError, match=r"limits\.quality\.f1: can never be judged of any variant.*no labels"):
        plan(contract(dict.fromkeys(("torch", "fp32", "int8"), floor), labelled=False))
    with pytest.raises(ContractError, match=r"variants\.int8\.limits\.quality\.f1"):
        plan(contract({"int8": floor}, labelled=False))


def test_a_fixed_batch_axis_cannot_be_batched():
    """Batch invariance of a model that runs one sample at a time can never be judged."""
    fixed = {
        "inputs": [{"name": "pixel_values", "shape": [1, 3, 8, 8]}],
        "outputs": [{"name": "scores", "shape": [1, 3]}],
    }
    with pytest.raises(ContractError, match="is not dynamic"):
        plan(contract({"int8": {"stability": {"batch_invariant": 0.0}}}, interface=fixed))


def test_the_refusal_names_the_line(tmp_path):
    """The place is that of the limit in the file, shared or not; all mistakes are told at once."""
    file = make_tensor_bundle(tmp_path / "bundle") / "contract.toml"
    text = (
        file.read_text(encoding="utf-8")
        + "[variants.int8.limits.quality]\nf1 = 0.9\n[limits.quality]\naccuracy = 0.5\n"
    )
    file.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    with pytest.raises(ContractError) as caught:
        plan(open_contract(file))
    reason = caught.value.reason
    assert f"contract.toml:{lines.index('f1 = 0.9') + 1}: variants.int8.limits.quality.f1: " in reason
    assert f"contract.toml:{lines.index('accuracy = 0.5') + 1}: limits.quality.accuracy: " in reason


def test_a_contract_that_demands_nothing_is_refused():
    """A run without a single clause would be green for nothing."""
    with pytest.raises(ContractError, match="demands nothing"):
        plan(contract(), families=())


def test_a_clause_reads_only_what_it_declared():
    """Findings refuse what was not asked for, so no clause depends on another's evidence."""
    item = planned(contract(), "fp32", "valid")
    assert [need.kind for need in item.needs] == [Graph]
    with pytest.raises(LookupError, match="did not declare"):
        judge(contract(), "fp32", "complete", golden())


@pytest.mark.parametrize("clause", ["complete", "finite", "varied", "classes", "f1", "f1_drop", "max_abs", "mean_kl"])
def test_an_empty_set_is_never_held(clause):
    """The trap of all traps, for every kind of clause that reads outputs."""
    read = contract({"fp32": {"quality": {"f1": 0.0, "f1_drop": 1.0}, "closeness": {"max_abs": 9.0, "mean_kl": 9.0}}})
    empty = {"scores": scores("fp32").arrays["scores"][:0]}
    nothing = GoldenFacts("", (), read.classes, np.zeros(0, np.int64))
    ours, theirs = (Outputs(Provenance(variant=v), empty, 0) for v in ("fp32", "torch"))
    judgement = judge(read, "fp32", clause, nothing, ours, theirs)
    assert not judgement.status.passes
    assert "empty" in judgement.reason
    assert judge(read, "fp32", clause, golden(), scores("fp32"), scores("torch")).status.passes


def test_two_outputs_need_no_classes():
    """A contract without classes plans what it can: closeness by output."""
    read = contract(
        {"fp32": {"closeness": {"per_output": {"norm": {"max_abs": 0.0}}}}},
        interface=TWO_OUTPUTS,
        classes=(),
        labelled=False,
    )
    assert "max_abs" in clauses(read, "fp32")
    assert "classes" not in clauses(read, "fp32")
