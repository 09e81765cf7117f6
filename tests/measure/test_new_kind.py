"""A kind of evidence that another package adds: measured, kept, recorded, read back and judged by one declaration."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.base import Case, Clause, PlannedClause
from eyerace_parity.contract.base import Limits
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.evidence import base
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.files import read_record, write_record
from eyerace_parity.record.rejudge import RecordedRun
from tests.laboratories import laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from eyerace_parity.checks.base import ClauseEvidence
    from eyerace_parity.measure.laboratory import Laboratory

NAME = "brightness_of_a_package"

SOURCE = """
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eyerace_parity.evidence.base import Array, Fact, Provenance
from eyerace_parity.evidence.registry import KINDS, EvidenceKind
from eyerace_parity.measure.measurer import Derivation, Measurer
from eyerace_parity.evidence.base import Need


class Brightness(Fact):
    provenance: Provenance
    mean: float
    process: int


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    provenance: Provenance
    by_input: Mapping[str, Array]
    best: Array | None
    samples: tuple[str, ...]
    process: int


class Spread(Fact):
    provenance: Provenance
    width: float


def provenance(context, need):
    return context.provenance(need.variant, target=need.target, golden=True, settings={"mean": "all samples"})


def means(context, need):
    golden, profile = context.golden(), context.contract.preprocess_of(need.variant)
    return np.array([np.mean(list(golden.feeds(i, profile).values())[0]) for i in range(len(golden))])


def measure(context, need, source):
    return Brightness(provenance=source, mean=float(means(context, need).mean()), process=os.getpid())


def measure_means(context, need, source):
    found = means(context, need)
    return Means(source, {"x/y": found}, None, context.golden().ids, os.getpid())


def inputs(need):
    return (Need(Means, need.variant, need.target),)


def compute(contract, found, source):
    return Spread(provenance=source, width=float(np.ptp(found.by_input["x/y"])))


BRIGHTNESS = Measurer(provenance, measure)
MEANS = Measurer(provenance, measure_means)
SPREAD = Derivation(inputs, compute)
KINDS.register(EvidenceKind(name="Brightness", type=Brightness, measurer=f"{__name__}:BRIGHTNESS"))
KINDS.register(EvidenceKind(name="Means", type=Means, measurer=f"{__name__}:MEANS"))
"""
DERIVED = 'KINDS.register(EvidenceKind(name="Spread", type=Spread, measurer=f"{__name__}:SPREAD", runs=Runs.DERIVED))\n'
SOURCE = SOURCE.replace("import KINDS, EvidenceKind", "import KINDS, EvidenceKind, Runs") + DERIVED


class BrightnessLimits(Limits):
    """What a temporary check demands."""

    mean: float = 2.0


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that adds kinds when it is imported, forgotten afterwards."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(KINDS, "_by_type", dict(KINDS._by_type))
    known = dict(base.WORDS)
    yield importlib.import_module(NAME)
    del sys.modules[NAME]
    base.WORDS.clear()
    base.WORDS.update(known)


@pytest.fixture
def isolated() -> Iterator[IsolatedWorker]:
    """An isolated worker."""
    worker = IsolatedWorker()
    yield worker
    worker.close()


def planned(lab: Laboratory, *needs: Need[Any]) -> PlannedClause:
    """A clause of a temporary check, which holds where the mean of all samples is below its limit."""
    limits = BrightnessLimits()

    def judged(_case: Case, findings: ClauseEvidence) -> Judgement:
        """Not too bright."""
        value = findings[needs[0]].mean
        assert [findings[need] is not None for need in needs]
        return Judgement(Status.HELD if value < limits.mean else Status.BROKEN, value=value, limit=limits.mean)

    clause: Clause[Any] = Clause(
        "not_bright", "brightness", "Not too bright.", judged, lambda *_: needs, lambda *_: True
    )  # as a family registers it
    return PlannedClause(Case(lab.contract, "fp32", labelled=True), clause, limits)


def test_a_new_kind_is_measured_kept_recorded_read_back_and_judged(
    package: ModuleType, image_bundle: Path, isolated: IsolatedWorker, tmp_path: Path
) -> None:
    """Numbers, arrays, and what is derived from arrays, with nothing said of them but their declarations."""
    needs = [Need(kind, "fp32") for kind in (package.Brightness, package.Means, package.Spread)]
    assert [str(need) for need in needs] == ["brightness/fp32/host", "means/fp32/host", "spread/fp32/host"]

    lab = laboratory(image_bundle, isolated=isolated)
    clause = planned(lab, *needs)
    verdict = judge(clause, lab)
    assert verdict.judgement.status is Status.HELD
    brightness, means, spread = (lab.obtain(need) for need in needs)
    assert brightness.mean == pytest.approx(means.by_input["x/y"].mean())
    assert spread.width == np.ptp(means.by_input["x/y"]) > 0
    # Isolation is the default of a kind.
    assert brightness.process == means.process == isolated._worker._process.pid  # type: ignore[union-attr]

    # kept: another run measures nothing, and has the same
    second = laboratory(image_bundle)
    again = second.obtain(needs[0])
    assert again.provenance.cached
    assert again.process == brightness.process
    kept = second.obtain(needs[1])
    assert kept.best is None
    assert kept.samples == means.samples
    np.testing.assert_array_equal(kept.by_input["x/y"], means.by_input["x/y"])
    assert [second.key(need) for need in needs] == list(verdict.evidence)

    # recorded and read back
    ledger = ContractFindings(lab.contract, (clause,))
    ledger.enter(finding(clause, verdict, lab))
    record = compose([ledger], root=tmp_path, started="2026-01-01T00:00:00+00:00", seconds=1.0, why_unjudged=str)
    write_record(tmp_path / "record.json", record)
    read = read_record(tmp_path / "record.json")
    assert {entry.kind for entry in read.evidence.values()} == {"brightness", "means", "spread"}
    run = RecordedRun(read, lab.contract, EvidenceCache(image_bundle.parent / "store"))
    assert run.obtain(needs[0]) == brightness
    assert run.obtain(needs[2]) == spread
    np.testing.assert_array_equal(run.obtain(needs[1]).by_input["x/y"], means.by_input["x/y"])
    assert judge(clause, run) == verdict


def test_a_change_of_the_measurers_own_file_voids_what_it_measured(
    package: ModuleType, image_bundle: Path, tmp_path: Path
) -> None:
    """The file of a package that is no part of ours counts, too."""
    need = Need(package.Brightness, "fp32")
    before = laboratory(image_bundle).key(need)
    (tmp_path / f"{NAME}.py").write_text(SOURCE + "\n", encoding="utf-8")
    assert laboratory(image_bundle).key(need) != before


def test_a_record_of_an_unknown_kind_is_refused_by_its_name(package: ModuleType, image_bundle: Path) -> None:
    """Without the package that added it, nobody can say what its numbers mean."""
    from eyerace_parity.record.document import EvidenceEntry

    lab = laboratory(image_bundle)
    need = Need(package.Brightness, "fp32")
    written = EvidenceEntry.of(need, lab.obtain(need)).model_dump_json()
    assert EvidenceEntry.model_validate_json(written).document == lab.obtain(need)
    del KINDS._by_type[package.Brightness]
    with pytest.raises(ValueError, match="no kind of evidence is called 'brightness'"):
        EvidenceEntry.model_validate_json(written)
