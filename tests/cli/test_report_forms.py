"""``eyerace-parity report`` as a page, as Markdown, and over two records side by side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.cli import Exit, main
from eyerace_parity.core.result import Status
from eyerace_parity.record.files import write_record
from tests.record.records import record, verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a record of one clause, and stand where it lies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("EYERACE_PARITY_CACHE", str(tmp_path / "store"))

    def write(name: str, **fields: Any) -> str:
        write_record(tmp_path / name, record([verdict("f1", **fields)]))
        return name

    return write


def test_a_record_becomes_a_page(keep: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a record whose arrays are gone too; the exit code stays that of the record."""
    assert main(["report", keep("record.json"), "--html", "out/page.html"]) == Exit.DONE
    assert "page: out/page.html" in capsys.readouterr().out
    assert "<h1" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert main(["report", keep("bad.json", status=Status.BROKEN), "--html", "page.html"]) == Exit.NOT_HELD


def test_markdown_is_all_that_is_printed(keep: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on into a comment: what else there is to say goes to the other stream."""
    assert main(["report", keep("record.json"), "--markdown", "--html", "page.html"]) == Exit.DONE
    said = capsys.readouterr()
    assert said.out.startswith("### ✅ eyes")
    assert "page.html" not in said.out
    assert "page: page.html" in said.err


@pytest.mark.parametrize(
    ("after", "code"),
    [({}, Exit.DONE), ({"status": Status.BROKEN}, Exit.NOT_HELD), ({"value": 0.95}, Exit.DONE)],
)
def test_two_records_are_compared(
    keep: Callable[..., str], capsys: pytest.CaptureFixture[str], after: dict[str, object], code: int
) -> None:
    """Only what became worse ends with 1, in each of the three forms."""
    names = [keep("old.json"), keep("new.json", **after)]
    assert main(["report", "--compare", *names]) == code
    assert "old → new" in capsys.readouterr().out
    assert main(["report", "--compare", *names, "--markdown", "--html", "changes.html"]) == code
    assert capsys.readouterr().out.startswith("### old → new")


def test_records_of_one_name_are_told_apart_by_their_folders(
    keep: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As two downloaded artefacts lie."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        keep(f"{folder}/record.json")
    main(["report", "--compare", "a/record.json", "b/record.json"])
    assert "a/record.json → b/record.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no record is named"),
        (["--compare", "record.json", "record.json", "record.json"], "--compare takes two records"),
        (["--compare", "record.json", "absent.json"], "absent.json: there is no such record"),
        (["record.json", "--html", "record.json"], "would be written over a record"),
        (["--compare", "record.json", "other.json", "--html", "other.json"], "would be written over a record"),
        (["record.json", "--html", "."], "is a folder"),
    ],
)
def test_what_makes_no_sense_is_refused(
    keep: Callable[..., str], capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """Before anything is written."""
    keep("record.json")
    assert main(["report", *arguments]) == Exit.USAGE
    assert told in capsys.readouterr().err


def test_without_what_draws_pages_the_line_that_installs_it_is_told(
    keep: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named."""
    keep("record.json")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert main(["report", "record.json", "--html", "page.html"]) == Exit.USAGE
    assert "eyerace-parity[html]" in capsys.readouterr().err
