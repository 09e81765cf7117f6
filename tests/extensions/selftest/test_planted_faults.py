"""The self-test on a tiny bundle: it sees faults, names causes, and exposes a gate that does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.closeness import closeness
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli import main
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.extensions.selftest.examiner import Examiner
from eyerace_parity.extensions.selftest.faults import CATALOGUE
from eyerace_parity.extensions.selftest.model import Detection
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.recipes.build import build_variant, missing_artefacts
from tests.bundles import make_image_bundle, make_tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.model import FaultResult


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path_factory.mktemp("selftest") / "bundle", build=True)


def examine(bundle: Path, *names: str) -> list[FaultResult]:
    """Plant some faults in a bundle."""
    contract = open_contract(bundle / "contract.toml")
    examiner = Examiner(contract, EvidenceCache(bundle.parent / "store"), 1, SilentProgress())
    found = [examiner.examine(fault) for fault in CATALOGUE if fault.name in names]
    examiner.close()
    assert len(found) == len(names)
    return found


def test_the_catalogue_is_whole() -> None:
    """Sixty faults and more over all families, each with a name of its own, an expectation and a cause."""
    names = [fault.name for fault in CATALOGUE]
    assert len(names) >= 60
    assert len(set(names)) == len(names)
    assert len({fault.name.partition("-")[0] for fault in CATALOGUE}) == 8
    for fault in CATALOGUE:
        assert fault.expected or fault.witnesses, fault.name
        assert fault.summary
        re.compile(fault.cause)
        assert not fault.named_in(""), f"{fault.name}: a cause that an empty text names"


CAUGHT = (
    "preprocessing-unscaled",
    "preprocessing-mean-std-exchanged",
    "labels-reversed",
    "export-opset",
    "export-external-data",
    "export-axis-lost",
    "export-input-renamed",
    "export-softmax-added",
    "export-unused-import",
    "export-baked-in",
    "export-torn",
    "export-missing",
    "export-stale",
    "export-other-checkpoint",
    "weights-layer-scaled",
    "weights-channel-zeroed",
    "weights-bit-flipped",
    "weights-nan",
    "quantisation-zero-point",
    "quantisation-nothing",
    "quantisation-clipped",
    "runtime-foreign-operator",
    "runtime-provider",
    "cost-bigger-file",
    "hybrid-label-order",
    "hybrid-scale",
)


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_fault_is_caught_for_its_cause(bundle: Path, name: str) -> None:
    """Its clauses turn red, and a reason names it."""
    before = {path: path.read_bytes() for path in sorted(bundle.rglob("*")) if path.is_file() and path.suffix != ".pyc"}
    (outcome,) = examine(bundle, name)
    assert outcome.answer is Detection.CAUGHT, (outcome.cause, outcome.blind, [v.judgement for v in outcome.red])
    after = {path: path.read_bytes() for path in sorted(bundle.rglob("*")) if path.is_file() and path.suffix != ".pyc"}
    assert before == after, "the bundle was written to"


def build(bundle: Path) -> None:
    """Build what the contract's recipes name."""
    contract = open_contract(bundle / "contract.toml")
    for name in missing_artefacts(contract):
        build_variant(contract, name, SilentProgress())


def bundle_with(folder: Path, limits: str) -> Path:
    """A tiny bundle whose phone variant is held to further limits."""
    bundle = make_image_bundle(folder / "bundle", build=True)
    place, before = bundle / "contract.toml", "[variants.int8.limits.size]"
    text = place.read_text(encoding="utf-8")
    assert before in text
    place.write_text(text.replace(before, f"{limits}\n\n{before}"), encoding="utf-8")
    return bundle


def test_a_lost_softmax_is_caught(tmp_path: Path) -> None:
    """A model whose exported form ends before its softmax; one that has none is no place for this fault."""
    bundle = make_image_bundle(tmp_path / "bundle")
    module = bundle / "tiny_classifier.py"
    text = module.read_text(encoding="utf-8")
    assert "return self.head(features)" in text
    module.write_text(text.replace("self.head(features)", "self.head(features).softmax(-1)"), encoding="utf-8")
    build(bundle)
    (outcome,) = examine(bundle, "export-softmax-lost")
    assert outcome.answer is Detection.CAUGHT, (outcome.cause, [v.judgement for v in outcome.red])
    assert "the softmax was lost" in outcome.cause


def test_layers_that_must_stay_in_float_are_missed(tmp_path: Path) -> None:
    """A recipe that leaves its convolutions in float, and a file that does not."""
    bundle = make_image_bundle(tmp_path / "bundle")
    place = bundle / "contract.toml"
    text = place.read_text(encoding="utf-8")
    for old, new in (
        ('source = "fp32"\n', 'source = "fp32"\nexclude = ["*/Conv"]\n'),
        ("integer_weights = 0.9", "integer_weights = 0.01"),
        ("sqnr_db = 20.0", "sqnr_db = 34.0"),  # 36.5 without them, 32.3 with them
    ):
        assert old in text
        text = text.replace(old, new)
    place.write_text(text, encoding="utf-8")
    build(bundle)
    (outcome,) = examine(bundle, "quantisation-sensitive-included")
    assert outcome.answer is Detection.CAUGHT, (outcome.cause, [v.judgement for v in outcome.red])
    assert "/stem/stem.0/Conv, /body/body.0/Conv are quantised, although the recipe excludes them" in outcome.cause


def test_a_planted_leak_is_caught_run_by_run(tmp_path: Path) -> None:
    """A graph that takes more in each run: the same answers, and memory that nobody gives back."""
    bundle = bundle_with(tmp_path, "[variants.int8.limits.memory]\nmemory_leak = '1 MB'\nleak_runs = 40")
    (outcome,) = examine(bundle, "cost-leak")
    assert outcome.answer is Detection.CAUGHT, (outcome.cause, [v.judgement for v in outcome.red])
    assert [verdict.identity.clause for verdict in outcome.red] == ["memory_leak"], "the answers are as before"
    assert "it grew in 10 of 10 parts" in outcome.cause


def test_an_older_app_is_seen_and_named(tmp_path: Path) -> None:
    """A runtime of which nothing is known is no proof that the file loads on it; without the demand nobody looks."""
    bundle = bundle_with(tmp_path, "[variants.int8.limits.compatibility]\nmin_onnxruntime = '1.16'")
    (outcome,) = examine(bundle, "runtime-older-app")
    assert outcome.answer is Detection.CAUGHT, (outcome.cause, [v.judgement for v in outcome.red])
    assert "the table does not hold onnxruntime 1.4" in outcome.cause
    (unasked,) = examine(make_image_bundle(tmp_path / "unasked", build=True), "runtime-older-app")
    assert unasked.answer is Detection.UNCOVERED


def test_the_list_says_who_must_see_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Clauses that must turn red, and those of which one must; never nobody."""
    assert main(["selftest", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOGUE)
    assert not [line for line in lines if line.endswith("()")]
    assert any("(float:inference_mode)" in line for line in lines)
    assert any("(one of device:max_abs," in line for line in lines)


def test_what_a_bundle_has_not_cannot_be_damaged(tmp_path: Path) -> None:
    """A set of tensors is not prepared, and this contract demands no size: both are said."""
    bundle = make_tensor_bundle(tmp_path / "bundle", build=True)
    found = examine(bundle, "preprocessing-bgr", "cost-bigger-file", "export-opset")
    bgr, opset, size = found  # as they stand in the catalogue
    assert bgr.answer is Detection.NOT_APPLICABLE
    assert "prepared already" in bgr.cause
    assert size.answer is Detection.UNCOVERED
    assert "file_size" in size.cause
    assert opset.answer is Detection.CAUGHT


def test_a_fault_that_cannot_be_planted_costs_no_other(bundle: Path) -> None:
    """Whatever an edit stumbles over is told of that fault, and is no success."""

    def stumble(_workshop: object) -> Contract:
        raise IndexError("list index out of range")

    contract = open_contract(bundle / "contract.toml")
    examiner = Examiner(contract, EvidenceCache(bundle.parent / "store"), 1, SilentProgress())
    outcome = examiner.examine(replace(CATALOGUE[0], plant=stumble))
    assert outcome.answer is Detection.FAILED
    assert not outcome.answer.passes
    assert "IndexError" in outcome.cause


def test_a_weakened_contract_is_exposed(bundle: Path, tmp_path: Path) -> None:
    """Tolerances a hundred times as wide let faults pass."""
    weak = make_image_bundle(tmp_path / "weak", build=True)
    text = (weak / "contract.toml").read_text(encoding="utf-8")
    for old, new in (
        ("max_abs = 1e-4\ntop1_agreement = 1.0", "max_abs = 1e-2"),
        ("sqnr_db = 20.0\ntop1_agreement = 0.95", "sqnr_db = -20.0"),
        ("f1 = 0.9\n", "f1 = 0.0\n"),
        ("f1_drop = 0.0\n", ""),
        ("f1_drop = 0.2\n", "f1_drop = 1.0\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    (weak / "contract.toml").write_text(text, encoding="utf-8")
    names = ("weights-halves", "hybrid-scale", "preprocessing-mean-std-exchanged")
    assert {outcome.answer for outcome in examine(bundle, *names)} == {Detection.CAUGHT}
    assert {outcome.answer for outcome in examine(weak, *names)} == {Detection.MISSED}


def test_a_broken_check_is_exposed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause that holds whatever happens."""
    held = Judgement(Status.HELD)
    broken = [
        replace(clause, judge=lambda *_: held) if clause.name == "max_abs" else clause for clause in closeness.clauses
    ]
    (sound,) = examine(bundle, "weights-halves")
    assert sound.answer is Detection.CAUGHT
    monkeypatch.setattr(closeness, "clauses", broken)
    (blind,) = examine(bundle, "weights-halves")
    assert blind.answer is Detection.MISSED


def test_the_command_lists_chooses_and_ends_as_it_says(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--list`` is a line a fault; ``-k`` chooses; a fault that is missed ends with 1; an unknown name with 4."""
    common = ["selftest", "--contract", str(bundle / "contract.toml"), "--cache", str(tmp_path / "store")]
    assert main(["selftest", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CATALOGUE)
    assert main([*common, "-k", "export-opset", "-k", "export-torn"]) == 0
    told = capsys.readouterr().out
    assert "export-opset" in told
    assert "ALL SEEN; 2 caught" in told
    assert main([*common, "-k", "no-such-fault"]) == 4
    wide = ["--set", "variants.fp32.limits.closeness.max_abs=1000", "--set", "variants.fp32.limits.quality.f1_drop=1"]
    wide += ["--set", "variants.fp32.limits.closeness.top1_agreement=0", "--set", "variants.fp32.limits.quality.f1=0"]
    assert main([*common, *wide, "-k", "weights-halves"]) == 1
    assert "NOT ALL SEEN; 1 missed" in capsys.readouterr().out


def test_nothing_is_proven_by_faults_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No fault that could be planted: not a success."""
    bundle = make_tensor_bundle(tmp_path / "bundle", build=True)
    common = ["selftest", "--contract", str(bundle / "contract.toml"), "--cache", str(tmp_path / "store")]
    assert main([*common, "-k", "preprocessing"]) == 1
    assert "NOTHING PROVEN" in capsys.readouterr().out


def test_a_bundle_without_artefacts_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to damage, and the way out is said."""
    bundle = make_image_bundle(tmp_path / "bundle")
    assert main(["selftest", "--contract", str(bundle / "contract.toml")]) == 4
    assert "eyerace-parity export" in capsys.readouterr().err
