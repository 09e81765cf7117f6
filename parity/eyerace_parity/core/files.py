"""Files: named as the user would type them, replaced whole or not at all, and read within bounds."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

MAX_JSON_BYTES: Final = 1 << 28
"""Most that a JSON file may hold: no record has as much."""

WRITING: Final = ".writing-"
"""How the name of a file begins that is being written: whoever finds an old one may remove it."""

_MOST_DIGITS: Final = 40
"""Digits of the largest whole number in a JSON file; no count and no size has more."""

_DEEPEST: Final = 100
"""Lists and objects inside each other; whoever walks through a document later does so by recursion."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class FileTooLarge(OSError):  # noqa: N818 - named for what was found
    """A file holds more than its reader takes."""


def display_path(path: Path) -> str:
    """Name a file as the user would type it: relative to where they stand if it is below, with forward slashes."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Put content in a file's place in one step: through a file beside it, which is gone whatever happens.

    Its folder is made. A symbolic link to a file is followed. The null device takes everything and keeps nothing.

    Args:
        path: The file. It gets the permissions of any new file of the user's.
        parts: What it will hold, one after the other; a text is written in UTF-8 with the line breaks that it has.

    Raises:
        OSError: The folder or the file cannot be written, or something else than a file stands there.
    """
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        if target.samefile(os.devnull):
            return
        message = "something stands there that is no file"
        raise OSError(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile: its files are their owner's alone, and the umask can be read only by setting it, for all threads.
    part = target.with_name(f"{WRITING}{os.urandom(8).hex()}")
    try:
        with part.open("xb") as file:
            for content in parts:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a regular file whole.

    Args:
        path: The file.
        max_bytes: Most that it may hold; it is not read further.

    Raises:
        OSError: It is missing, cannot be read, or is a folder, a device or a pipe, which may never end.
        FileTooLarge: It holds more.
    """
    # Looked at first: to open a pipe waits for somebody who writes to it.
    if not stat.S_ISREG(path.stat().st_mode):
        message = "it is no regular file"
        raise OSError(message)
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= max_bytes:
            # It may grow meanwhile.
            content = file.read(max_bytes + 1)
            if len(content) <= max_bytes:
                return content
    message = f"it holds more than {max_bytes} bytes"
    raise FileTooLarge(message)


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file; see :func:`parse_json`.

    Raises:
        OSError: It cannot be read, or holds more than ``max_bytes``.
        ValueError: It is not JSON, or out of bounds.
    """
    return parse_json(read_bytes(path, max_bytes))


def parse_json(content: bytes) -> Any:
    """Read JSON from somewhere else, which may be torn, foreign or hostile.

    Args:
        content: A text in UTF-8.

    Raises:
        ValueError: It is not JSON, holds half a character or a number with too many digits, or nests too deep.
    """
    text = content.decode("utf-8")
    try:
        found = json.loads(text, parse_int=_whole)
    except RecursionError:
        message = "its lists and objects are nested too deep"
        raise ValueError(message) from None
    _check_depth(found)
    if _SURROGATE.search(text):  # half a character can be written in JSON, and nowhere else
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        message = "a number in it has too many digits"
        raise ValueError(message)
    return int(digits)


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    message = "its lists and objects are nested too deep"
    raise ValueError(message)
