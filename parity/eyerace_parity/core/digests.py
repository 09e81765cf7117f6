"""SHA-256 digests of content, written ``sha256:<64 hexadecimal digits>``."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_AT_ONCE: Final = 1 << 22
"""Bytes. Files up to this size are read whole, because one system call and one hash are cheaper than a loop."""


def file_digest(path: Path | str) -> str:
    """Digest a file's bytes. Reading and hashing release the GIL, so threads digest in parallel.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path object costs as much as a small file
        if os.fstat(file.fileno()).st_size <= _AT_ONCE:
            return bytes_digest(file.read())
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


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
