"""The cost of an unchanged run: pairs in turns, one ratio a pair, and the same clauses as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.loading import tool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which side ran, in order; the gate takes three seconds, the empty run two."""
    order: list[str] = []

    def run(arguments: list[str], folder: Path) -> tuple[float, int]:
        side = "gate" if "--eyerace-parity" in arguments else "empty"
        assert (folder / "test_empty.py").exists() is (side == "empty")
        order.append(side)
        return (3.0, 93) if side == "gate" else (2.0, 1)

    monkeypatch.setattr(tool("startup_ratio"), "run", run)
    return order


def test_pairs_change_who_comes_first(taken: list[str], tmp_path: Path) -> None:
    """The first run fills the cache and counts nothing; each pair is gate over empty, whatever its order."""
    assert tool("startup_ratio").measure(3, tmp_path / "cache", tmp_path) == ([1.5, 1.5, 1.5], 93)
    assert taken == ["gate", "empty", "gate", "gate", "empty", "empty", "gate"]


def test_another_number_of_clauses_is_not_comparable(taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio of fewer clauses says nothing beside that of version 0.1."""
    startup = tool("startup_ratio")
    assert startup.main(["--pairs", "1"]) == 0
    monkeypatch.setattr(startup, "baseline", lambda: {"startup": {"ratio": 2.0, "clauses": 94}})
    assert startup.main(["--pairs", "1"]) == 1
    assert taken


def test_a_run_that_fails_has_no_time(tmp_path: Path) -> None:
    """A gate that breaks at once must not look fast."""
    (tmp_path / "test_broken.py").write_text("def test_it():\n    assert False\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="ended with 1"):
        tool("startup_ratio").run(["test_broken.py"], tmp_path)
