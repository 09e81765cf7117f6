"""Usual mistakes of preprocessing, made on the tiny bundle and named by unmaking them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.result import Status
from eyerace_parity.diagnose import causes, preparation
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.diagnostics import PreparationTrial, PreparationTrials
from eyerace_parity.judging import judge
from eyerace_parity.measure.recorded import write
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.rejudge import judge_again
from tests.bundles import make_image_bundle
from tests.laboratories import change, laboratory

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.measure.laboratory import Laboratory

PHONE = "[preprocess.phone]\nresize = { width = 32, height = 32 }\n"
STATED = "mean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path / "bundle", build=True)


def clause(opened: Laboratory, variant: str, name: str) -> PlannedClause:
    """One clause of the plan."""
    return next(p for p in plan(opened.contract) if p.case.name == variant and p.clause.name == name)


def on_the_phone(bundle: Path, profile: str) -> Laboratory:
    """The bundle whose phone prepares its photographs by another profile."""
    change(bundle, "[variants.torch]\n", f"{PHONE}{profile}\n[variants.torch]\n")
    change(bundle, 'tier = "device"\n', 'tier = "device"\npreprocess = "phone"\n')
    return laboratory(bundle)


def test_a_profile_that_differs_in_several_things_is_told_from_the_right_one(bundle: Path) -> None:
    """No single mistake explains it, but the contract itself says how the others are prepared."""
    opened = on_the_phone(bundle, "scale = 0.02\nmean = [0.0, 2.0, 1.0]\nstd = [2.0, 1.0, 0.5]\n")
    (sentence,) = causes(clause(opened, "int8", "sqnr_db"), opened)
    assert "prepared by the profile 'app' of the contract" in sentence


def test_recorded_answers_stand_in_for_a_reference_without_torch(bundle: Path) -> None:
    """Where torch is not installed the mistake is named all the same, by what torch answered when it was."""
    change(bundle, 'tier = "cloud"\n', 'tier = "cloud"\npreprocess = "phone"\n')
    opened = on_the_phone(bundle, "mean = [0.25, 0.25, 0.25]\nstd = [0.5, 0.5, 0.5]\n")
    write(opened.contract, opened.obtain(Need(Outputs, "torch")))
    without = laboratory(bundle, store=bundle.parent / "another", use_recorded=True)
    source = without.obtain(Need(PreparationTrials, "fp32", versus="torch")).provenance
    assert source.settings["versus_recorded"].startswith("sha256:")
    (sentence,) = causes(clause(without, "fp32", "max_abs"), without)
    assert "mean and std exchanged" in sentence


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        # Whoever tells red from blue by colour alone cannot tell exchanged channels from exchanged classes.
        (f'color = "BGR"\n{STATED}', "blue in the place of red"),
        (f"scale = 1.0\n{STATED}", "divided by 255"),
        ("mean = [0.25, 0.25, 0.25]\nstd = [0.5, 0.5, 0.5]\n", "mean and std exchanged"),
    ],
    ids=["bgr", "unscaled", "exchanged"],
)
def test_a_mistake_of_the_phone_is_named(bundle: Path, profile: str, told: str) -> None:
    """By what brings its answers to the cloud's."""
    opened = on_the_phone(bundle, profile)
    verdict = judge(clause(opened, "int8", "sqnr_db"), opened)
    assert verdict.status is Status.BROKEN
    assert told in verdict.judgement.causes[0]


def test_a_mistake_of_all_is_named_by_the_labels(bundle: Path) -> None:
    """Where there is no reference, by how many more decisions are right without it."""
    change(bundle, "[preprocess.app]\n", '[preprocess.app]\ncolor = "BGR"\n')
    opened = laboratory(bundle)
    verdict = judge(clause(opened, "torch", "f1"), opened)
    # Whoever tells red from blue by colour alone cannot tell exchanged channels from exchanged classes.
    assert "the classes are in reverse order" in verdict.judgement.causes[0]


def test_what_is_held_asks_for_nothing_further(bundle: Path) -> None:
    """A green run measures nothing to explain it."""
    opened = laboratory(bundle)
    planned = clause(opened, "int8", "sqnr_db")
    verdict = judge(planned, opened)
    assert verdict.status.passes
    assert set(verdict.needs) == set(planned.needs)


def test_causes_come_again_when_a_record_is_judged_again(bundle: Path) -> None:
    """They rest on evidence, which stands in the record."""
    opened = on_the_phone(bundle, f'color = "BGR"\n{STATED}')
    planned = clause(opened, "int8", "sqnr_db")
    ledger = ContractFindings(opened.contract, (planned,))
    verdict = judge(planned, opened)
    ledger.enter(finding(planned, verdict, opened))
    record = compose([ledger], root=bundle, started="", seconds=0, why_unjudged=lambda _: "")
    contract = open_contract(bundle / "contract.toml")
    again = judge_again(record, contract, opened.context.store)
    row = next(row for row in again.verdicts if row.clause == "sqnr_db")
    assert row.causes == verdict.judgement.causes
    assert row.causes


def test_a_diagnosis_that_fails_costs_no_verdict(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict stands as it is, without a cause."""

    def fail(*_: object) -> None:
        raise RuntimeError("no diagnosis")

    monkeypatch.setattr("eyerace_parity.diagnose.answers.causes", fail)
    monkeypatch.setattr("eyerace_parity.diagnose.layers.causes", fail)
    monkeypatch.setattr("eyerace_parity.diagnose.preparation.causes", fail)
    monkeypatch.setattr("eyerace_parity.diagnose.sensitivity.causes", fail)
    opened = on_the_phone(bundle, f'color = "BGR"\n{STATED}')
    verdict = judge(clause(opened, "int8", "sqnr_db"), opened)
    assert verdict.status is Status.BROKEN
    assert verdict.judgement.causes == ()


def test_clauses_that_speak_for_themselves_are_not_explained(bundle: Path) -> None:
    """Sizes, interfaces, times."""
    opened = laboratory(bundle)
    assert causes(clause(opened, "int8", "file_size"), opened) == ()


def test_luck_is_no_cause() -> None:
    """A few more right decisions, or answers a little nearer, name nothing."""
    import numpy as np

    labels = np.zeros(32, np.int64)
    golden = GoldenFacts("", tuple(map(str, range(32))), ("a", "b"), labels)

    def tried(right: int, apart: float | None) -> PreparationTrials:
        stated = PreparationTrial(prepared="", decisions=(0,) * 20 + (1,) * 12, apart=None if apart is None else 1.0)
        other = PreparationTrial(prepared="otherwise", decisions=(0,) * right + (1,) * (32 - right), apart=apart)
        return PreparationTrials(
            provenance=Provenance(variant="x"), samples=tuple(range(32)), size=9.0, trials=(stated, other)
        )

    assert not preparation.causes("x", "", tried(24, None), golden)
    assert preparation.causes("x", "", tried(32, None), golden)
    assert not preparation.causes("x", "y", tried(20, 0.8), golden)
    assert preparation.causes("x", "y", tried(20, 0.5), golden)
