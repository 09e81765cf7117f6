"""``eyerace-parity verdict``: what a pipeline decides by, in a process that no conftest can reach."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.cli import Exit, main
from tests.cli.test_commands import gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORD = "build/parity/record.json"
SELECTED = ("-k", "int8 and (f1 or sqnr_db)")
SET = ("--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")


@pytest.fixture
def here(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tiny image bundle in ``golden``."""
    folder = image_bundle.parent / "project"
    folder.mkdir()
    shutil.move(image_bundle, folder / "golden")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def verdict(*options: str) -> int:
    """Ask for the verdict on the last record."""
    return main(["verdict", RECORD, "--contract", "golden/contract.toml", *options])


def test_a_full_run_that_is_held_is_held(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every clause of the contract, every one held; a broken contract or another's record is not."""
    assert gate(here).returncode == 0
    assert verdict("--full") == Exit.DONE
    assert "tiny-colours: HELD" in capsys.readouterr().out


def test_a_part_is_held_unless_all_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--full`` wants every clause."""
    assert gate(here, *SELECTED).returncode == 0
    assert verdict() == Exit.DONE
    assert verdict("--full") == Exit.NOT_HELD
    assert "clauses were not judged" in capsys.readouterr().out


def test_nothing_judged_is_not_held(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record without a verdict shows nothing."""
    assert gate(here, "-k", "no_such_clause").returncode == 5
    assert verdict() == Exit.NOT_HELD
    assert "no clause of the contract was judged" in capsys.readouterr().out


def test_no_conftest_reaches_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that forces the run's exit code to 0 leaves the record as it is."""
    (here / "conftest.py").write_text("import atexit, os\natexit.register(os._exit, 0)\n", encoding="utf-8")
    assert gate(here, *SELECTED, *SET).returncode == 0
    assert verdict() == Exit.NOT_HELD
    assert "int8 sqnr_db is broken" in capsys.readouterr().out


def _other_limit(folder: Path) -> None:
    file = folder / "golden" / "contract.toml"
    text = file.read_text(encoding="utf-8")
    assert "sqnr_db = 20" in text
    file.write_text(text.replace("sqnr_db = 20", "sqnr_db = 21"), encoding="utf-8")


def _other_name(folder: Path) -> None:
    file = folder / "golden" / "contract.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"tiny-colours"', '"second"'), encoding="utf-8")


def _clause_gone(folder: Path) -> None:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    del record["unjudged"][0]
    record["contracts"][0]["planned"] -= 1
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_other_limit, "the contract that was judged is not this file as it is now"),
        (_other_name, "it is of another contract: tiny-colours, not second"),
        (_clause_gone, "its clauses are not those of the contract: 1 differ"),
    ],
)
def test_the_record_must_be_of_this_contract(
    here: Path, change: Callable[[Path], None], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its limits, its name and its clauses as they are now."""
    assert gate(here, *SELECTED).returncode == 0
    change(here)
    assert verdict() == Exit.NOT_HELD
    assert told in capsys.readouterr().out


def test_a_limit_that_was_set_from_outside_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contract's own limits count, whatever the environment said to the run and says to this command."""
    monkeypatch.setenv("EYERACE_PARITY_SET", "variants.int8.limits.closeness.sqnr_db=1")
    assert gate(here, *SELECTED).returncode == 0
    assert verdict() == Exit.NOT_HELD
    assert "variants.int8.limits.closeness.sqnr_db was set by" in capsys.readouterr().out


def test_no_record_is_wrong_usage(here: Path) -> None:
    """Without a record there is no verdict."""
    assert not (here / RECORD).exists()
    assert verdict("--full") == Exit.USAGE
