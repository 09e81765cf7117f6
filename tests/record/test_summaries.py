"""Derived evidence in a record: written where its inputs were obtained, and never measured for."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.overrides import parse_override
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import Quality, Slices, TimeQuantiles
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.measure.measurer import Derivation, derivation_of
from eyerace_parity.record import summaries
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.files import read_record, write_record
from eyerace_parity.record.rejudge import judge_again
from eyerace_parity.record.summaries import with_summaries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.record.document import Record

CLAUSES = {"f1", "sqnr_db", "flips", "new_flips", "file_size", "oldest_runtime", "p50", "decisions"}


@dataclass(frozen=True)
class Run:
    """A finished run of a few clauses.

    Attributes:
        contract: Its contract.
        record: Its record, without summaries.
        store: Its cache.
    """

    contract: Contract
    record: Record
    store: EvidenceCache

    def kinds(self, record: Record) -> set[tuple[str, str, str]]:
        """What a record's summary names: (kind, variant, versus)."""
        (entry,) = record.contracts
        pieces = [record.evidence[key] for key in entry.summary]
        return {(piece.kind, piece.variant, piece.versus) for piece in pieces}

    def of(self, record: Record, kind: type[Any]) -> dict[str, Any]:
        """The facts of a kind by variant."""
        (entry,) = record.contracts
        pieces = [record.evidence[key] for key in entry.summary]
        return {piece.variant: piece.document for piece in pieces if isinstance(piece.document, kind)}


@pytest.fixture(scope="module")
def judged(_built_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[set[str]], Run]:
    """Judges a few clauses of the bundle of images."""
    root = tmp_path_factory.mktemp("summaries")
    bundle = shutil.copytree(_built_bundles["images"], root / "bundle")
    store = EvidenceCache(root / "store")

    def run(clauses: set[str]) -> Run:
        contract = open_contract(bundle / "contract.toml")
        laboratory = Laboratory(contract, open_golden, store, jobs=1, progress=SilentProgress())
        ledger = ContractFindings(contract, plan(contract))
        for planned in ledger.planned:
            if planned.identity.clause in clauses:
                ledger.enter(finding(planned, judge(planned, laboratory), laboratory))
        record = compose([ledger], root=root, started="2026-01-01", seconds=1, why_unjudged=lambda _: "deselected")
        return Run(contract, record, store)

    return run


def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Stands in for what must not be called."""
    pytest.fail("something was measured or computed again")


def only_quantiles(kind: type[Any]) -> Derivation[Any]:
    """Derivations that refuse to compute, but for times, which no cache keeps."""
    found: Derivation[Any] = derivation_of(kind)
    return found if kind is TimeQuantiles else dataclasses.replace(found, compute=refuse)


def test_what_was_obtained_gives_its_facts(
    judged: Callable[[set[str]], Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each fact once, read back as it was written, and a second run computes nothing."""
    run = judged(CLAUSES)
    monkeypatch.setattr(Laboratory, "obtain", refuse)
    found = with_summaries(run.record, {run.contract.name: run.contract}, run.store)
    kinds = run.kinds(found)
    assert {("quality", "int8", ""), ("slices", "int8", ""), ("noise", "int8", "fp32")} <= kinds
    assert {("flipledger", "int8", "fp32"), ("samples", "int8", "fp32")} <= kinds
    write_record(tmp_path / "record.json", found)
    read = read_record(tmp_path / "record.json")
    assert run.of(read, Quality) == run.of(found, Quality)
    assert set(run.record.evidence) <= set(found.evidence)
    monkeypatch.setattr(summaries, "derivation_of", only_quantiles)
    kept = {name for name, _, _ in run.kinds(with_summaries(run.record, {run.contract.name: run.contract}, run.store))}
    assert kept == {name for name, _, _ in kinds}
    again = with_summaries(found, {run.contract.name: run.contract}, EvidenceCache(tmp_path / "gone"))
    assert run.of(again, Slices) == run.of(found, Slices)


def test_what_was_not_obtained_gives_none(judged: Callable[[set[str]], Run]) -> None:
    """A run that looked at files only derives nothing of answers."""
    run = judged({"file_size"})
    found = with_summaries(run.record, {run.contract.name: run.contract}, run.store)
    assert found.contracts[0].summary == ()
    assert found.evidence == run.record.evidence


def test_a_ledger_that_a_clause_asked_for_is_not_written_twice(judged: Callable[[set[str]], Run]) -> None:
    """The summary names the very one that the verdict rests on."""
    run = judged(CLAUSES)
    cited = {key for row in run.record.verdicts for key in row.evidence}
    asked = {key for key in cited if isinstance(run.record.evidence[key].document, FlipLedger)}
    found = with_summaries(run.record, {run.contract.name: run.contract}, run.store)
    named = {key for key in found.contracts[0].summary if isinstance(found.evidence[key].document, FlipLedger)}
    assert asked <= named


def test_judged_again_the_bounds_are_those_of_the_new_confidence(judged: Callable[[set[str]], Run]) -> None:
    """What was computed for the old one is gone."""
    run = judged(CLAUSES)
    found = with_summaries(run.record, {run.contract.name: run.contract}, run.store)
    override = parse_override("statistics.confidence=0.99", "a test")
    stricter = open_contract(run.contract.file, (override,))
    again = with_summaries(judge_again(found, stricter, run.store, (override,)), {stricter.name: stricter}, run.store)
    assert run.of(again, Quality)["int8"].confidence == 0.99
    pieces = [piece for piece in again.evidence.values() if piece.kind == "quality" and piece.variant == "int8"]
    assert len(pieces) == 1


def test_without_the_table_of_labels_the_rest_is_told(judged: Callable[[set[str]], Run]) -> None:
    """Only slices and ledgers read its further columns."""
    run = judged(CLAUSES)
    moved = run.contract.file.parent / "labels.csv"
    content = moved.read_bytes()
    moved.write_text("torn", encoding="utf-8")
    try:
        found = with_summaries(run.record, {run.contract.name: run.contract}, run.store)
    finally:
        moved.write_bytes(content)
    assert ("quality", "int8", "") in run.kinds(found)
    assert ("slices", "int8", "") not in run.kinds(found)
