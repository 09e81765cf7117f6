"""How files are named to the user, how a near miss is recognised, and what is kept quiet around them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def shown(path: Path) -> str:
    """Name a file as the user would type it: relative to where they stand if it is below, with forward slashes."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return ``; did you mean 'f1_drop'?`` if one of the known names is near, else an empty string.

    Args:
        given: What was written.
        known: What could have been written.
    """
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(given).casefold(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def listed(items: Iterable[str], *, most: int = 12) -> str:
    """Join names for a sentence, cut after ``most`` of them, with the number of those left out."""
    names = list(items)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def hush() -> None:
    """Keep ONNX Runtime from reporting to its makers; called before it is imported.

    A gate works offline, and a thread that reports disturbs what is measured. Who has set the variable keeps it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
