"""The walk of a photograph: what it names is what ran, and it notices when it watched nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks import quality
from eyerace_parity.judging import judge
from tests.tools.loading import tool

if TYPE_CHECKING:
    from pathlib import Path


def test_the_walk_passes_the_places_that_judge_an_f1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The clause and its judge were called, in files that are named; what only counts modules is more."""
    walk = tool("walk_photograph")
    assert walk.main(["--report", str(tmp_path / "walk.json")]) == 0
    names = json.loads((tmp_path / "walk.json").read_text(encoding="utf-8"))
    called = {name.rpartition(": ")[2] for name in names["functions"]}
    assert {"_floor.<locals>.statistic", "_drop.<locals>.statistic", judge.__name__} <= called
    assert "f1_per_class" not in called  # the tiny contract has no such limit
    assert {quality.__name__, judge.__module__} <= set(names["modules"])
    assert {name.partition(": ")[0] for name in names["functions"]} == set(names["files"])
    assert len(names["files"]) < len(names["modules"])
    before = tool("figures").baseline()["walk"]
    printed = [line.split(";")[0].split() for line in capsys.readouterr().out.splitlines()]
    assert printed == [[str(len(names[name])), name] for name in walk.COUNTED]
    assert list(before) == list(walk.COUNTED)


def test_a_walk_through_another_copy_of_the_package_is_no_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that ran lies in the folder: then there is nothing to count, and no zero is reported."""
    package = tmp_path / "parity"
    package.mkdir()
    walk = tool("walk_photograph")
    report: dict[str, list[str]] = {name: [] for name in walk.COUNTED}

    def no_run(_command: object, *, env: dict[str, str], **_more: object) -> object:
        from types import SimpleNamespace

        assert env["WALK_FOLDER"] == str(package)
        (tmp_path / "walk.json").write_text(json.dumps(report), encoding="utf-8")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(walk, "package_folder", lambda: package)
    monkeypatch.setattr(walk.subprocess, "run", no_run)
    with pytest.raises(RuntimeError, match="another copy"):
        walk.walk(tmp_path)
