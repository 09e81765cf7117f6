"""The JSON Schema of a merged record; run as a module (``python -m``), this writes it beside itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eyerace_parity.core.files import write_atomically
from eyerace_parity.extensions.matrix.document import VERSION, MergedRecord
from eyerace_parity.record.schema import schema_of

SCHEMA_FILE: Final = Path(__file__).with_name("matrix.schema.json")
"""The published schema of a merged record."""


def schema_text() -> str:
    """The schema of :class:`~eyerace_parity.extensions.matrix.document.MergedRecord`, as it is published."""
    return schema_of(MergedRecord, f"urn:eyerace-parity:matrix:{VERSION}")


if __name__ == "__main__":
    write_atomically(SCHEMA_FILE, schema_text())
