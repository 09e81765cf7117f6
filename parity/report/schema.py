"""The record's JSON Schema. ``python -m parity.report.schema`` writes it anew beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from parity.report.document import VERSION, Record
from parity.report.files import replace_file

SCHEMA_FILE: Final = Path(__file__).with_name("record.schema.json")
"""The published schema."""


def schema_text() -> str:
    """The schema of :class:`Record`, as it is published."""
    schema = Record.model_json_schema(by_alias=True, mode="serialization")
    heading = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eyerace-parity:record:{VERSION}",
    }
    return json.dumps(heading | schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    replace_file(SCHEMA_FILE, schema_text())
