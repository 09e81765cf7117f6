"""The record: what it may say, how it is written, and how it is refused when it is not whole."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import ValidationError

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.result import Identity, Judgement, Status, Verdict
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.costs import Footprint, Preflight
from eyerace_parity.record.document import EvidenceEntry, outcome
from eyerace_parity.record.files import document_text, read_record, write_record
from eyerace_parity.record.rows import VerdictEntry
from eyerace_parity.record.schema import SCHEMA_FILE
from tests.record.records import record, unjudged, verdict

if TYPE_CHECKING:
    from pathlib import Path


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading are inverse, numbers to the last digit; the folder is made."""
    path = tmp_path / "deep" / "record.json"
    written = record([verdict("f1", value=0.1 + 0.2), verdict("p95", status=Status.BROKEN)], [unjudged("drop")])
    write_record(path, written)
    assert read_record(path) == written
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"], "no temporary file is left"


def test_a_record_keeps_the_published_schema() -> None:
    """Whoever validates with the schema accepts what we write."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads(document_text(record([verdict("f1"), verdict("opset", value="opset 18", limit="opset 17")])))
    jsonschema.validate(content, schema)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_are_texts(number: float, tmp_path: Path) -> None:
    """Any JSON reader takes the file, and reading it back loses no meaning."""
    path = tmp_path / "record.json"
    write_record(path, record([verdict("f1", status=Status.BROKEN, value=number)]))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert read_record(path).verdicts[0].value in {"NaN", "Infinity", "-Infinity"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "torn"),
        ('{"format": "eyerace-parity record", "sch', "torn"),
        ("[1, 2]", "no record of eyerace-parity"),
        ('{"verdicts": []}', "no record of eyerace-parity"),
        ('{"format": "eyerace-parity record", "schema": 99}', "has the form 99"),
        ('{"format": "eyerace-parity record", "schema": 1}', "not a sound record: tool: Field required"),
    ],
    ids=["empty", "cut", "list", "foreign", "newer", "lacking"],
)
def test_what_is_no_record_is_refused_with_a_word(tmp_path: Path, content: str, told: str) -> None:
    """Torn, foreign, newer: each has its own message and says what to do."""
    path = tmp_path / "record.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecordError, match=told) as caught:
        read_record(path)
    assert caught.value.next_step


def test_a_missing_record_and_a_folder_are_refused(tmp_path: Path) -> None:
    """No traceback for a slip of the finger."""
    with pytest.raises(RecordError, match="there is no such record"):
        read_record(tmp_path / "none.json")
    with pytest.raises(RecordError, match="cannot be read"):
        read_record(tmp_path)


def test_a_failed_write_leaves_the_old_record(tmp_path: Path) -> None:
    """Whole or not at all: what cannot replace a file leaves it and nothing else."""
    folder = tmp_path / "record.json"
    folder.mkdir()
    (folder / "kept").touch()
    with pytest.raises(RecordError, match="cannot be written"):
        write_record(folder, record([verdict("f1")]))
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"planned": 3},
        {"outcome": "held"},
    ],
    ids=["a clause is lost", "the outcome is embellished"],
)
def test_a_record_that_does_not_add_up_is_refused(change: dict[str, object]) -> None:
    """Rows and contract must tell one story, also after somebody has edited the file."""
    sound = record([verdict("f1"), verdict("p95", status=Status.BROKEN)])
    content = json.loads(document_text(sound))
    content["contracts"][0] |= change
    with pytest.raises(ValidationError):
        type(sound).model_validate(content)


def test_a_clause_stands_once() -> None:
    """Two rows on one clause would let a reader pick the better one."""
    with pytest.raises(ValidationError, match="stands twice"):
        record([verdict("f1"), verdict("f1", status=Status.BROKEN)])


@pytest.mark.parametrize(
    ("statuses", "missing", "expected"),
    [
        ([Status.HELD], 0, "held"),
        ([Status.HELD], 1, "unjudged"),
        ([], 0, "unjudged"),
        ([Status.HELD, Status.UNPROVEN], 1, "unproven"),
        ([Status.UNPROVEN, Status.ERROR], 0, "error"),
        ([Status.ERROR, Status.BROKEN], 3, "broken"),
    ],
)
def test_a_contract_is_held_only_when_every_clause_is(statuses: list[Status], missing: int, expected: str) -> None:
    """What is certain comes first, and nothing is held for want of a verdict."""
    rows = [verdict(f"c{number}", status=status) for number, status in enumerate(statuses)]
    assert outcome(rows, unjudged=missing) == expected


def test_values_of_numpy_become_pythons_own() -> None:
    """Checks compute in numpy; what leaves the process is builtin, so any border lets it pass."""
    import numpy as np

    judgement = Judgement(Status.HELD, value=np.float64(0.5), limit=np.float32(0.25))  # type: ignore[arg-type]
    row = VerdictEntry.of(Verdict(Identity("eyes", "int8", "quality", "f1"), judgement))
    assert type(row.value) is float
    assert type(row.limit) is float


def test_kinds_with_like_fields_are_told_apart() -> None:
    """A preflight without times is no footprint without times: the kind decides."""
    source = Provenance(variant="int8")
    for found in (Preflight(provenance=source), Footprint(provenance=source)):
        entry = EvidenceEntry.of(Need(type(found), "int8"), found)
        again = EvidenceEntry.model_validate_json(entry.model_dump_json())
        assert type(again.document) is type(found)
    assert EvidenceEntry.of(Need(Files, "int8"), Files(provenance=source, bytes=1, deflated=1)).answers(
        Need(Files, "int8")
    )


@pytest.mark.parametrize("content", ["schema = 1\n", '{"model": 1}', "\x08\x07"])
def test_a_record_takes_no_other_files_place(tmp_path: Path, content: str) -> None:
    """A slip of the pen, and the contract or a model would be gone."""
    path = tmp_path / "contract.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecordError, match="is there already, and is no record"):
        write_record(path, record([verdict("f1")]))
    assert path.read_text(encoding="utf-8") == content
