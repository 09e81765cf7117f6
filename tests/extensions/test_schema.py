"""The published schema of a record holds what all extensions of this package write into one."""

from __future__ import annotations

from eyerace_parity.record.schema import SCHEMA_FILE, schema_text


def test_the_published_schema_is_the_models() -> None:
    """``python -m eyerace_parity.record.schema`` writes it anew."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()
