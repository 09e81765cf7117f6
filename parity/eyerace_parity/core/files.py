"""Files: named as the user would type them, and replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def display_path(path: Path) -> str:
    """Name a file as the user would type it: relative to where they stand if it is below, with forward slashes."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def write_atomically(path: Path, text: str) -> None:
    """Put a text in a file's place in one step: through a file beside it, which is gone whatever happens.

    Raises:
        OSError: The folder or the file cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
