"""The tool that holds a run's verdicts against those of version 0.1: it sees each kind of difference, and no noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from tests.tools.loading import tool

ROOT = Path(__file__).parents[2]
EXPECTED = ROOT / "tests" / "fixtures" / "0.1" / "verdicts.json"


@pytest.fixture
def record() -> dict[str, Any]:
    """What the tool reads of a record, with the verdicts of version 0.1; times and memory have values again."""
    content: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    for verdict in content["verdicts"]:
        verdict["value"] = 3.5 if verdict["value"] is None else verdict["value"]
    return content


def compared(record: dict[str, Any], folder: Path, *options: str) -> int:
    """Exit code of the tool for a record."""
    place = folder / "record.json"
    place.write_text(json.dumps(record), encoding="utf-8")
    code: int = tool("compare_verdicts").main([str(place), *options])
    return code


def one(record: dict[str, Any], clause: str) -> dict[str, Any]:
    """The last verdict of a clause."""
    found: dict[str, Any] = [verdict for verdict in record["verdicts"] if verdict["clause"] == clause][-1]
    return found


def test_the_same_verdicts_pass(record: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the values of times and memory are."""
    assert compared(record, tmp_path) == 0


@pytest.mark.needs_extension("emulation", "matrix")
def test_every_clause_of_the_contract_stands_in_the_file() -> None:
    """The file names the verdicts that the golden contract plans, in that order, and so none is left out."""
    verdicts = json.loads(EXPECTED.read_text(encoding="utf-8"))["verdicts"]
    contract = open_contract(ROOT / "golden" / "contract.toml")
    planned = [(p.variant, p.check, p.clause, p.target) for p in (planned.identity for planned in plan(contract))]
    assert [(v["variant"], v["check"], v["clause"], v["target"]) for v in verdicts] == planned
    assert len(verdicts) == 99
    assert {verdict["status"] for verdict in verdicts} == {"held"}
    apart = {verdict["clause"] for verdict in verdicts if verdict["value"] is None}
    assert apart == {"p95", "latency_ratio", "preprocess_p95", "peak_memory", "cold_start_ms", "memory_leak"}


@pytest.mark.parametrize(
    ("clause", "key", "value"),
    [
        ("f1", "status", "unproven"),
        ("p95", "status", "broken"),
        ("f1", "limit", 0.89),
        ("file_size", "relation", "="),
        ("sqnr_db", "unit", "bel"),
        ("harmful_flips", "value", 3),
        ("f1", "value", 0.9197),
        ("release_sqnr_db", "value", 40.0),
        ("oldest_runtime", "value", "1.17"),
        ("instructions", "value", 180_000_000),
        ("mean_kl", "value", None),
    ],
)
def test_each_difference_is_seen(
    record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, clause: str, key: str, value: object
) -> None:
    """One line, which names the verdict, what it was and what it is."""
    verdict = one(record, clause)
    before, verdict[key] = verdict[key], value
    assert compared(record, tmp_path) == 1
    name = " ".join(verdict[part] for part in ("contract", "variant", "check", "clause", "target"))
    assert capsys.readouterr().out == f"! {name}: {key} was {before!r}, is {value!r}\n"


@pytest.mark.parametrize(
    ("clause", "factor"), [("instructions", 1.005), ("max_abs", 1.5), ("sqnr_db", 1.00005), ("p95", 2.0)]
)
def test_noise_is_no_difference(record: dict[str, Any], tmp_path: Path, clause: str, factor: float) -> None:
    """Counted instructions vary a little, floats in their last digits, times at will."""
    one(record, clause)["value"] *= factor
    assert compared(record, tmp_path) == 0


def test_a_verdict_too_few_too_many_or_twice_is_seen(
    record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of a part of the contract is no run of the contract."""
    gone, *rest = record["verdicts"]
    record["verdicts"] = [*rest, gone | {"clause": "other"}, rest[0]]
    assert compared(record, tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        "1 verdicts are duplicates",
        "- eyerace torch interface outputs host: missing",
        "+ eyerace torch interface other host: new",
    ]


def test_other_packages_are_told_where_something_differs(
    record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who sees a difference wants to know whether the code is the cause."""
    record["environment"]["packages"]["onnxruntime"] = "9.9"
    assert compared(record, tmp_path) == 0
    assert not capsys.readouterr().err
    one(record, "f1")["value"] = 0.5
    assert compared(record, tmp_path) == 1
    assert "9.9" in capsys.readouterr().err


def test_wanted_changes_are_written(record: dict[str, Any], tmp_path: Path) -> None:
    """The file is written as it was read, but for what changed."""
    place = tmp_path / "verdicts.json"
    assert compared(record, tmp_path, "--write", "--expected", str(place)) == 0
    assert place.read_bytes() == EXPECTED.read_bytes()
    one(record, "f1")["value"] = 0.95
    assert compared(record, tmp_path, "--expected", str(place)) == 1
    assert compared(record, tmp_path, "--write", "--expected", str(place)) == 0
    assert compared(record, tmp_path, "--expected", str(place)) == 0
