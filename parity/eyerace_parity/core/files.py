"""File names for display, atomic writes, and reads with a limit on size and nesting."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

MAX_JSON_BYTES: Final = 1 << 28
"""Largest JSON file in bytes. No record comes near it."""

WRITING: Final = ".writing-"
"""Prefix of a temporary file that is being written. An old one is left over and may be removed."""

_MOST_DIGITS: Final = 40
"""Most digits of an integer in a JSON file. No count or size has more, and Python parses long ones in square time."""

_DEEPEST: Final = 100
"""Deepest nesting of lists and objects. Later code walks a document by recursion."""

Marks = tuple[int, int, int, int]
"""Size in bytes, modification time and change time in ns, and inode."""

_COARSEST_TICK_NS: Final = 2_000_000_000
"""Largest step of a file system's clock, that of FAT."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class FileTooLarge(OSError):  # noqa: N818 - named for what was found
    """A file is larger than its reader accepts."""


def display_path(path: Path) -> str:
    """Format a path as the user would type it: relative if it is below the working directory, with forward slashes."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Replace a file atomically: write a temporary file beside it, then rename. The temporary file never remains.

    Missing folders are created. A symbolic link to a file is followed. Writing to the null device does nothing.

    Args:
        path: The file. It gets the default permissions of a new file.
        parts: The content, in order. Text is encoded in UTF-8 and keeps its line breaks.

    Raises:
        OSError: The folder or the file cannot be written, or the path is not a regular file.
    """
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        if target.samefile(os.devnull):
            return
        message = "something stands there that is no file"
        raise OSError(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    # tempfile would create the file with mode 0600. Restoring the default mode needs the umask, and a process can read
    # it only by setting it, which affects all threads.
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


def file_marks(path: Path) -> Marks | None:
    """Marks that reveal a changed file without reading it; ``None`` if there is no such file."""
    try:
        return marks_of(os.stat(path))  # noqa: PTH116 - called for every clause; faster than pathlib
    except (OSError, ValueError):
        return None


def marks_of(found: os.stat_result) -> Marks:
    """Take the marks from what the system says of a file."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def settled(marks: Marks | None, now_ns: int) -> bool:
    """Whether a change after ``now_ns`` (of :func:`time.time_ns`) would show in the marks of a file.

    Two writes within one tick of the file system's clock leave the same times, so a file that was just written is not
    settled. FAT has the coarsest clock, of 2 s. A missing file is settled.
    """
    return marks is None or now_ns - marks[2] > _COARSEST_TICK_NS


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a regular file completely.

    Args:
        path: The file.
        max_bytes: Largest accepted size in bytes.

    Raises:
        OSError: The file is missing, cannot be read, or is a folder, a device or a pipe, which may never end.
        FileTooLarge: The file is larger than ``max_bytes``.
    """
    # Check before opening: opening a pipe blocks until somebody writes to it.
    if not stat.S_ISREG(path.stat().st_mode):
        message = "it is no regular file"
        raise OSError(message)
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= max_bytes:
            # One byte more, because the file may have grown since fstat.
            content = file.read(max_bytes + 1)
            if len(content) <= max_bytes:
                return content
    message = f"it holds more than {max_bytes} bytes"
    raise FileTooLarge(message)


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file; see :func:`parse_json`.

    Raises:
        OSError: The file cannot be read, or is larger than ``max_bytes``.
        ValueError: The content is not JSON, or exceeds a limit.
    """
    return parse_json(read_bytes(path, max_bytes))


def parse_json(content: bytes) -> Any:
    """Parse untrusted JSON.

    Args:
        content: JSON text in UTF-8.

    Raises:
        ValueError: The content is not JSON, contains a lone surrogate or an integer with too many digits, or nests too
            deeply.
    """
    text = content.decode("utf-8")
    try:
        found = json.loads(text, parse_int=_whole)
    except RecursionError:
        message = "its lists and objects are nested too deep"
        raise ValueError(message) from None
    _check_depth(found)
    if _SURROGATE.search(text):  # JSON can escape a lone surrogate, but UTF-8 cannot encode it: fail here, not later
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
