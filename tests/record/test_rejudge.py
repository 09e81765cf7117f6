"""A finished run under changed limits: no inference, and no verdict on what was never measured."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.overrides import parse_override
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import Status
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.files import read_record, write_record
from eyerace_parity.record.rejudge import judge_again

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.record.document import Record

F1 = "variants.int8.limits.quality.f1"


@pytest.fixture(scope="module")
def finished(
    _built_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Record, EvidenceCache]:
    """A judged bundle, its record as it was read back, and the store of its run."""
    root = tmp_path_factory.mktemp("finished")
    bundle = shutil.copytree(_built_bundles["images"], root / "bundle")
    store = EvidenceCache(root / "store")
    contract = open_contract(bundle / "contract.toml")
    laboratory = Laboratory(contract, open_golden, store, jobs=1, progress=SilentProgress())
    ledger = ContractFindings(contract, plan(contract))
    for planned in ledger.planned:
        ledger.enter(finding(planned, judge(planned, laboratory), laboratory))
    record = compose(
        [ledger], root=root, started="2026-01-01T00:00:00+00:00", seconds=1, why_unjudged=lambda _: "deselected"
    )
    write_record(root / "record.json", record)
    return bundle, read_record(root / "record.json"), store


@pytest.fixture(autouse=True)
def _nothing_is_measured(monkeypatch: pytest.MonkeyPatch, finished: object) -> None:  # noqa: ARG001 - first the run
    """Whatever would measure fails the test."""

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        pytest.fail("something was measured")

    monkeypatch.setattr(Laboratory, "obtain", refuse)
    monkeypatch.setattr("eyerace_parity.runners.registry.open_runner", refuse)


def test_under_the_same_limits_the_verdicts_are_the_same(finished: tuple[Path, Record, EvidenceCache]) -> None:
    """Numbers from the record and arrays from the store say what the measurements said, to the last digit."""
    bundle, record, store = finished
    again = judge_again(record, open_contract(bundle / "contract.toml"), store)
    assert again.verdicts == record.verdicts
    assert again.contracts[0].judged_again
    assert again.contracts[0].outcome == "held"


def test_a_tighter_limit_breaks_its_clause_alone(finished: tuple[Path, Record, EvidenceCache]) -> None:
    """And a record of it says which value was set from outside."""
    bundle, record, store = finished
    overrides = [parse_override("variants.int8.limits.closeness.sqnr_db=90", "command line")]
    again = judge_again(record, open_contract(bundle / "contract.toml", overrides), store, overrides)
    broken = [(row.variant, row.clause) for row in again.verdicts if not row.status.passes]
    assert broken == [("int8", "sqnr_db")]
    assert again.contracts[0].overrides[0].value == 90


def test_a_new_limit_on_known_evidence_is_judged(finished: tuple[Path, Record, EvidenceCache]) -> None:
    """A clause that the run did not plan needs no new measurement when its evidence is there."""
    bundle, record, store = finished
    overrides = [parse_override("variants.int8.limits.size.download_size='1 MB'", "command line")]
    again = judge_again(record, open_contract(bundle / "contract.toml", overrides), store, overrides)
    row = next(row for row in again.verdicts if row.clause == "download_size")
    assert row.status is Status.HELD


def test_evidence_that_was_never_taken_is_an_error(finished: tuple[Path, Record, EvidenceCache]) -> None:
    """What needs a time that nobody measured is not held, and says to run the gate."""
    bundle, record, store = finished
    overrides = [parse_override("variants.int8.limits.memory.peak_memory='900 MB'", "command line")]
    again = judge_again(record, open_contract(bundle / "contract.toml", overrides), store, overrides)
    row = next(row for row in again.verdicts if row.check == "memory")
    assert row.status is Status.ERROR
    assert row.next == "run the gate, so that it is measured"


def test_an_emptied_store_is_an_error_not_a_guess(finished: tuple[Path, Record, EvidenceCache], tmp_path: Path) -> None:
    """Clauses on arrays are in error, clauses on numbers still stand in the record."""
    bundle, record, _ = finished
    again = judge_again(record, open_contract(bundle / "contract.toml"), EvidenceCache(tmp_path / "empty"))
    by_check = {row.check: row.status for row in again.verdicts}
    assert by_check["quality"] is Status.ERROR
    assert by_check["size"] is Status.HELD


@pytest.mark.parametrize(
    "change",
    ["golden.batch=2", "session.intra_op_threads=2", "preprocess.app.color='BGR'", "variants.int8.path='x.onnx'"],
)
def test_more_than_limits_is_refused(finished: tuple[Path, Record, EvidenceCache], change: str) -> None:
    """Evidence speaks only of what it was taken from."""
    bundle, record, store = finished
    changed = open_contract(bundle / "contract.toml", [parse_override(change, "command line")])
    with pytest.raises(RecordError, match="in more than limits"):
        judge_again(record, changed, store)


def test_another_contract_is_refused(finished: tuple[Path, Record, EvidenceCache]) -> None:
    """A record answers for the contracts that it knows."""
    bundle, record, store = finished
    other = open_contract(bundle / "contract.toml", [parse_override("name='other'", "command line")])
    with pytest.raises(RecordError, match="knows no contract 'other', only tiny-colours"):
        judge_again(record, other, store)
