"""Content digests, under the name by which the rooms above the golden set know them."""

from __future__ import annotations

from parity.digests import bytes_digest, file_digest, json_digest, rows_digest, text_digest

__all__ = ["bytes_digest", "file_digest", "json_digest", "rows_digest", "text_digest"]
