"""A word in a record's place: why there is none. ``tools/install_runtime.py`` leaves it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from eyerace_parity.record.rows import Entry

FORMAT: Final = "eyerace-parity absence"
"""How it is told from a record."""

VERSION: Final = 1
"""Version of its form."""


class Absence(Entry):
    """Why a run could not be made.

    Attributes:
        format: Always ``eyerace-parity absence``.
        schema_version: Version of the form; written ``schema``.
        reason: Why.
        next: What to do about it.
    """

    format: Literal["eyerace-parity absence"] = "eyerace-parity absence"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    reason: str = Field(min_length=1)
    next: str = ""
