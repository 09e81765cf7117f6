"""The folder of the package, and the figures measured of version 0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
"""The repository."""

BASELINE: Final = Path(__file__).with_name("baseline-0.1.json")
"""Figures of version 0.1, each with its command and its commit."""


def package_folder(root: Path = ROOT) -> Path:
    """Find the package: the folder ``parity/`` itself, or the only package directly in it.

    Raises:
        FileNotFoundError: There is no package, or more than one.
    """
    source = root / "parity"
    if (source / "__init__.py").is_file():
        return source
    found = [path.parent for path in source.glob("*/__init__.py")]
    if len(found) != 1:
        raise FileNotFoundError(f"{source} holds {len(found)} packages, not one: name the folder")
    return found[0]


def baseline() -> dict[str, Any]:
    """Read the figures of version 0.1."""
    values: dict[str, Any] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return values
