"""The tool that counts lines of code: what counts as one, and that it counts this package."""

from __future__ import annotations

from pathlib import Path

import pytest

import eyerace_parity
from tests.tools.loading import tool

SOURCE = '''"""A module.

Of three lines.
"""

# A comment alone.
LIMIT = 3  # a comment behind code
"""Docstring of an attribute."""


def text(
    count: int,
) -> str:
    """One line."""
    told = """kept

    # no comment: it stands in a text
    """
    return told * count
'''
CODE_LINES = 1 + 3 + 3 + 1


def test_only_code_counts() -> None:
    """Docstrings, comments and blank lines do not; a text that is used does, without its blank lines."""
    assert tool("code_lines").code_lines(SOURCE) == CODE_LINES


def test_it_counts_the_package_that_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    """It finds the package wherever it lies, adds up its rooms, and shows the figure of version 0.1."""
    assert tool("code_lines").main([]) == 0
    printed = capsys.readouterr().out.splitlines()
    lines = [int(line.split()[0].replace(",", "")) for line in printed]
    *rooms, total, before = lines
    files = len(list(Path(eyerace_parity.__file__).parent.rglob("*.py")))
    assert f"in {files} files" in printed[-2]
    assert sum(rooms) == total
    assert before == tool("figures").baseline()["code_lines"] == 25_824


def test_the_largest_stand_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files by all their lines, functions by theirs."""
    (tmp_path / "short.py").write_text("def long():\n    a = 1\n    b = 2\n    return a + b\n", encoding="utf-8")
    (tmp_path / "tall.py").write_text("# a\n# b\n# c\n# d\n# e\n\n\ndef brief():\n    return 1\n", encoding="utf-8")
    assert tool("code_lines").main(["--folder", str(tmp_path), "--largest", "1"]) == 0
    assert capsys.readouterr().out.split("\n\n")[1:] == ["     9  tall.py", "     4  short.py: long\n"]


@pytest.mark.parametrize("place", ["parity", "parity/some_name"])
def test_the_package_is_found_before_and_after_it_moves(tmp_path: Path, place: str) -> None:
    """The folder itself, or the one package in it."""
    package = tmp_path / place
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "room" / "__init__.py").touch()
    assert tool("figures").package_folder(tmp_path) == package


def test_a_folder_without_a_package_is_told(tmp_path: Path) -> None:
    """Nothing is counted as nothing."""
    (tmp_path / "parity").mkdir()
    with pytest.raises(FileNotFoundError, match="holds 0 packages"):
        tool("figures").package_folder(tmp_path)
