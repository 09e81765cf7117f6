"""Content digests, always written ``sha256:<64 hexadecimal digits>``."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def file_digest(path: Path) -> str:
    """Digest of a file's bytes.

    Reading and hashing release the interpreter lock, so several threads scale.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def bytes_digest(content: bytes) -> str:
    """Digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def text_digest(text: str) -> str:
    """Digest of a text in UTF-8."""
    return bytes_digest(text.encode("utf-8"))


def rows_digest(rows: Iterable[tuple[str, ...]]) -> str:
    """Digest of a table of texts: one JSON array a row, sorted, so that neither order nor separators can deceive."""
    lines = sorted(json.dumps(row, ensure_ascii=False) for row in rows)
    return text_digest("\n".join(lines))


def json_digest(value: Any) -> str:
    """Digest of a JSON value in its canonical form: keys sorted, no blanks.

    Raises:
        ValueError: The value holds a number that JSON does not know (NaN, infinity).
    """
    return text_digest(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
