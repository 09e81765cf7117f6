"""Files are named as the user would type them; a near miss is recognised."""

from __future__ import annotations

from pathlib import Path

from parity.places import did_you_mean, listed, shown


def test_a_file_below_is_named_relatively(tmp_path, monkeypatch):
    """And one elsewhere in full."""
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.toml") == "a/b.toml"
    assert shown(Path("a/b.toml")) == "a/b.toml"
    assert shown(tmp_path.parent / "c.toml") == (tmp_path.parent / "c.toml").as_posix()


def test_a_near_miss_is_recognised_whatever_its_case():
    """Only a near one."""
    assert did_you_mean("F1_dorp", ["f1", "f1_drop"]) == "; did you mean 'f1_drop'?"
    assert did_you_mean("latency", ["f1", "f1_drop"]) == ""


def test_a_long_list_is_cut():
    """With the number of what is left out."""
    assert listed(["a", "b"]) == "a, b"
    assert listed("abcd", most=2) == "a, b and 2 more"
