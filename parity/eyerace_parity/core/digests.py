"""SHA-256 digests of content, written ``sha256:<64 hexadecimal digits>``."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.files import Marks, marks_of, settled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_AT_ONCE: Final = 1 << 22
"""Bytes. Files up to this size are read whole, because one system call and one hash are cheaper than a loop."""

_known: Final[dict[str, tuple[Marks, str]]] = {}
"""Marks and digest of each large file that was hashed, by its path."""


def file_digest(path: Path | str) -> str:
    """Digest a file's bytes. Reading and hashing release the GIL, so threads digest in parallel.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path object costs as much as a small file
        found = os.fstat(file.fileno())
        if found.st_size <= _AT_ONCE:
            return bytes_digest(file.read())
        began, marks = time.time_ns(), marks_of(found)
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if settled(marks, began) and marks_of(os.fstat(file.fileno())) == marks:
            _known[os.fspath(path)] = (marks, digest)
        return digest


def known_digest(path: Path | str) -> str:
    """Digest a file's bytes, which are not read again as long as its size, times and inode stay the same.

    Two writes within one tick of the file system's clock leave the same times, so a file that was written shortly
    before it was hashed is hashed each time (Git's index has the same rule). A proof that a file did not change must
    not rely on it: use :func:`file_digest`.

    Raises:
        OSError: The file cannot be read.
    """
    known = _known.get(os.fspath(path))
    if known is not None and known[0] == marks_of(os.stat(path)):  # noqa: PTH116 - as above
        return known[1]
    return file_digest(path)


def bytes_digest(content: bytes) -> str:
    """Digest bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def text_digest(text: str) -> str:
    """Digest a text encoded in UTF-8."""
    return bytes_digest(text.encode("utf-8"))


def rows_digest(rows: Iterable[tuple[str, ...]]) -> str:
    """Digest a table of texts. The order of the rows does not matter."""
    return json_digest(sorted(rows))


def json_digest(value: Any) -> str:
    """Digest a JSON value in canonical form: sorted keys, no whitespace.

    Raises:
        ValueError: The value contains NaN or infinity, which JSON cannot represent.
    """
    return text_digest(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
