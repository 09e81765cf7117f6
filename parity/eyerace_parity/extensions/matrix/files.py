"""Reads and writes merged records, and the notes that stand for missing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.extensions.matrix.document import (
    ABSENCE_FORMAT,
    ABSENCE_VERSION,
    FORMAT,
    VERSION,
    MergedRecord,
    MissingRecord,
)
from eyerace_parity.record.files import RUN_AGAIN, has_mark, read_document, write_document

if TYPE_CHECKING:
    from pathlib import Path

_MERGE_AGAIN = "merge the records again: eyerace-parity report RECORD… --merged PATH"


def write_merged(path: Path, merged: MergedRecord) -> None:
    """Write a merged record, atomically; its folder is made.

    Raises:
        RecordError: The file cannot be written, or something else stands there; what stood there before still stands.
    """
    write_document(path, merged, mark=FORMAT, option="--merged")


def is_merged(path: Path) -> bool:
    """Whether a file begins as a merged record does."""
    return has_mark(path, FORMAT)


def is_absence(path: Path) -> bool:
    """Whether a file begins as the note does that stands for a missing record."""
    return has_mark(path, ABSENCE_FORMAT)


def read_merged(path: Path) -> MergedRecord:
    """Read a merged record.

    Raises:
        RecordError: The file is missing, torn, no merged record, or of a newer form.
    """
    return read_document(path, MergedRecord, mark=FORMAT, version=VERSION, what="merged record", next_step=_MERGE_AGAIN)


def read_absence(path: Path) -> MissingRecord:
    """Read why there is no record.

    Raises:
        RecordError: The file is torn, or of a newer form.
    """
    return read_document(
        path, MissingRecord, mark=ABSENCE_FORMAT, version=ABSENCE_VERSION, what="merged record", next_step=RUN_AGAIN
    )
