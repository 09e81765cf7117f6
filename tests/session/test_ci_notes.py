"""What a CI service is told: GitHub's notes and summary, where it listens, and nothing elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.session.conftest import Project

BROKEN = ("-k", "sqnr_db", "--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")


def test_a_broken_clause_is_noted_on_the_contracts_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note leads to the line that demands it, and the summary holds the table."""
    summary = project.root / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = project.run(*BROKEN)
    (note,) = [line for line in result.outlines if line.startswith("::error")]
    (row,) = [row for row in project.record().verdicts if row.status.value == "broken"]
    assert f"file=golden/contract.toml,line={row.line},title=" in note
    assert "sqnr_db" in project.contract.read_text(encoding="utf-8").splitlines()[(row.line or 0) - 1]
    assert "❌ broken" in summary.read_text(encoding="utf-8")


def test_nobody_is_told_where_nobody_listens(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal and another service see no workflow commands."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert not [line for line in project.run(*BROKEN).outlines if line.startswith("::")]


def test_a_summary_that_cannot_be_written_costs_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is the run's, not the summary's."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root))
    result = project.run("-k", "valid")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*summary cannot be written*"])
