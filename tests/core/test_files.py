"""Files are named as the user would type them; a near miss is recognised."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.core.files import display_path
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    import pytest


def test_a_file_below_is_named_relatively(tmp_path, monkeypatch):
    """And one elsewhere in full."""
    monkeypatch.chdir(tmp_path)
    assert display_path(tmp_path / "a" / "b.toml") == "a/b.toml"
    assert display_path(Path("a/b.toml")) == "a/b.toml"
    assert display_path(tmp_path.parent / "c.toml") == (tmp_path.parent / "c.toml").as_posix()


def test_a_near_miss_is_recognised_whatever_its_case():
    """Only a near one."""
    assert did_you_mean("F1_dorp", ["f1", "f1_drop"]) == "; did you mean 'f1_drop'?"
    assert did_you_mean("latency", ["f1", "f1_drop"]) == ""


def test_a_long_list_is_cut():
    """With the number of what is left out."""
    assert join_names(["a", "b"]) == "a, b"
    assert join_names("abcd", most=2) == "a, b and 2 more"


def test_the_runtime_is_kept_from_reporting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate works offline; whoever asks for reports keeps them."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_the_projects_own_runs_report_to_nobody() -> None:
    """Whoever runs these tests has onnxruntime write no device id into his home."""
    assert os.environ.get("ORT_DISABLE_TELEMETRY") == "1"
