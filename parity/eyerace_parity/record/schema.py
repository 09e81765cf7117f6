"""The JSON Schema of a record; ``python -m eyerace_parity.record.schema`` writes it beside this file."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic.json_schema import models_json_schema

from eyerace_parity.core.files import write_atomically
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.registry import KINDS, add_kinds
from eyerace_parity.record.document import VERSION, EvidenceEntry, Record

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMA_FILE: Final = Path(__file__).with_name("record.schema.json")
"""The published schema of a record."""


_ATTRIBUTE: Final = re.compile(r"^(\w+): (.*)$")


def schema_text() -> str:
    """The schema of :class:`Record`, as it is published: with the kinds of evidence that our own extensions bring."""
    add_kinds()
    return schema_of(Record, f"urn:eyerace-parity:record:{VERSION}")


def schema_of(kind: type[BaseModel], identifier: str) -> str:
    """The schema of a document, its properties described by what its docstring says of each attribute."""
    schema = kind.model_json_schema(by_alias=True, mode="serialization")
    _name_documents(schema)
    for model in (schema, *schema.get("$defs", {}).values()):
        _describe(model)
    heading = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identifier,
    }
    return json.dumps(heading | schema, indent=1, ensure_ascii=False) + "\n"


def _name_documents(schema: dict[str, Any]) -> None:
    """Say which document belongs to each registered kind; the model names their base only."""
    entry = schema.get("$defs", {}).get(EvidenceEntry.__name__)
    if entry is None:
        return
    kinds: list[tuple[type[BaseModel], Literal["serialization"]]]
    kinds = [(kind.type, "serialization") for kind in KINDS if kind.is_fact]
    references, documents = models_json_schema(kinds, by_alias=True)
    definitions = schema["$defs"] | documents["$defs"]
    del definitions[Fact.__name__]
    schema["$defs"] = dict(sorted(definitions.items()))
    # By the name of the kind, because the fields of one kind may all be fields of another.
    null = {"type": "null"}
    entry["oneOf"] = [
        {
            "properties": {
                "kind": {"const": kind.word},
                "document": {"anyOf": [references[kind.type, "serialization"], null]} if kind.is_fact else null,
            }
        }
        for kind in sorted(KINDS, key=lambda kind: kind.word)
    ]
    del entry["properties"]["document"]["anyOf"]


def _describe(model: dict[str, Any]) -> None:
    """Move what a docstring says of each attribute to its property."""
    words, _, attributes = model.get("description", "").partition("\nAttributes:\n")
    if not attributes:
        return
    model["description"] = words.strip()
    name = ""
    for line in inspect.cleandoc(attributes).splitlines():
        found = _ATTRIBUTE.match(line)
        name, text = (found[1], found[2]) if found else (name, line.strip())
        place = model["properties"].get(name) or model["properties"].get(name.removesuffix("_version"))
        if place is not None:
            place["description"] = f"{place.get('description', '')} {text}".strip()


if __name__ == "__main__":
    write_atomically(SCHEMA_FILE, schema_text())
