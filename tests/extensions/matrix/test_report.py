"""``eyerace-parity report`` over several records, as a release job runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from eyerace_parity.cli import Exit, main
from eyerace_parity.extensions.matrix.schema import SCHEMA_FILE, schema_text
from tests.extensions.matrix.matrices import Cells, fail

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """The bundle of a matrix, and where one stands to report on it."""
    monkeypatch.chdir(cells.bundle)
    monkeypatch.setenv("COLUMNS", "160")
    return cells


def report(*arguments: object) -> int:
    """Run the command under the bundle's contract."""
    return main(["report", *map(str, arguments), "--contract", "contract.toml"])


def merged_at(path: Path) -> dict[str, Any]:
    """What was written."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_folder_of_records_is_merged(here: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is printed, the merged record is written as its schema says, and can be shown again."""
    here.all()
    target = here.folder / "matrix.json"
    assert report(here.folder, "--merged", target) == Exit.DONE
    assert "HELD on 3 runtimes" in capsys.readouterr().out
    jsonschema.validate(merged_at(target), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert main(["report", str(target)]) == Exit.DONE
    assert "HELD on 3 runtimes" in capsys.readouterr().out
    # What an earlier merge left among the records is none of them.
    assert report(here.folder, "--merged", target) == Exit.DONE


def test_the_published_schema_is_that_of_the_program() -> None:
    """``python -m eyerace_parity.record.schema`` would change nothing."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def test_the_worst_decides(here: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """One broken cell, one missing record, one torn file: each ends with 1, and the rest is shown."""
    here.write("ort1.21", "1.21.1", fail("int8", "it is worse", "f1"))
    here.all(but="1.21")
    assert report(here.folder) == Exit.NOT_HELD
    assert "it is worse" in capsys.readouterr().out
    (here.folder / "ort1.21.json").unlink()
    assert report(here.folder) == Exit.NOT_HELD
    assert "no record" in capsys.readouterr().out
    (here.folder / "ort1.21.json").write_text("{", encoding="utf-8")
    assert report(here.folder) == Exit.NOT_HELD
    assert "ort1.21.json is torn" in capsys.readouterr().out


def test_the_merged_record_is_written_wherever_one_merges(here: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """Below ``build/parity`` unless a place is named, red or not; Markdown stays clean of where that is."""
    here.all(but="1.21")
    assert report(here.folder, "--markdown") == Exit.NOT_HELD
    said = capsys.readouterr()
    assert merged_at(here.bundle / "build" / "parity" / "matrix.json")["outcome"] == "broken"
    assert "merged record" not in said.out
    assert "merged record: build/parity/matrix.json" in said.err


def test_an_empty_folder_is_not_held(here: Cells) -> None:
    """No record is no evidence."""
    assert report(here.folder) == Exit.NOT_HELD


def test_a_part_can_be_asked_for(here: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """As CI does, which has no time for all; a version that nobody declared is wrong usage."""
    here.all(but="1.21")
    assert report(here.folder, "--versions", "1.22,newest") == Exit.DONE
    assert "not asked for: 1.21" in capsys.readouterr().out
    assert report(here.folder, "--versions", "1.2") == Exit.USAGE


def test_a_record_is_never_written_over(here: Cells) -> None:
    """``--merged`` is a place of its own."""
    first, *rest = here.all()
    before = first.read_bytes()
    assert report(first, *rest, "--merged", first) == Exit.USAGE
    assert report(*rest, "--merged", first) == Exit.USAGE
    assert first.read_bytes() == before


def test_the_gate_judges_one_cell(here: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """What an environment of the matrix runs: no torch variant, times beside the peer, and a record that is merged."""
    target = here.folder / "ortnewest.json"
    options = [
        "--eyerace-parity-matrix",
        "--eyerace-parity-peer",
        sys.executable,
        "--eyerace-parity-record",
        str(target),
    ]
    command = [sys.executable, "-m", "pytest", "--eyerace-parity", "contract.toml", *options, "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=here.bundle, capture_output=True, text=True, encoding="utf-8", check=False)
    found = merged_at(target)
    assert found["contracts"][0]["cell"], done.stdout
    assert {row["variant"] for row in found["verdicts"]} == {"fp32", "int8"}
    ratios = [row for row in found["verdicts"] if row["clause"] == "runtime_ratio"]
    assert [row["status"] for row in ratios] == ["held", "held"]
    report(here.folder, "--versions", "newest")
    said = capsys.readouterr().out
    assert f"newest ({here.runtime})" in said
    assert "no record" not in said


def test_a_merge_has_all_three_forms_too(
    cells: Cells, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page and Markdown of the table over runtimes."""
    monkeypatch.chdir(cells.bundle)
    cells.all(but="1.21")
    page = cells.folder / "page.html"
    arguments = [str(cells.folder), "--contract", "contract.toml", "--markdown", "--html", str(page)]
    assert main(["report", *arguments]) == Exit.NOT_HELD
    said = capsys.readouterr().out
    assert said.startswith("### ❌ ")
    assert "| 1.21 | ❌ no record |" in said
    assert "**next:**" in said
    assert "no record" in page.read_text(encoding="utf-8") or "missing" in page.read_text(encoding="utf-8")
