"""Records on disk: written atomically, and read with clear errors."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import display_path, read_json, write_atomically
from eyerace_parity.evidence.registry import add_kinds
from eyerace_parity.record.document import FORMAT, VERSION, Record
from eyerace_parity.record.rows import Entry

if TYPE_CHECKING:
    from pathlib import Path


E = TypeVar("E", bound=Entry)

_HEAD = 200
"""Bytes of a file among which a record says what it is."""

RUN_AGAIN = "run `pytest --eyerace-parity` to write a new one"


def document_text(document: Entry) -> str:
    """Write a document as JSON that any reader takes: numbers that JSON does not know stand as texts."""
    content = _speakable(document.model_dump(mode="json", by_alias=True))
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_record(path: Path, record: Record) -> None:
    """Write a record, atomically; its folder is made.

    Raises:
        RecordError: The file cannot be written, or something else stands there; what stood there before still stands.
    """
    write_document(path, record, mark=FORMAT, option="--eyerace-parity-record")


def write_document(path: Path, document: Entry, *, mark: str, option: str) -> None:
    """Write a document of any form, atomically; its folder is made.

    Args:
        path: The file.
        document: What it will hold.
        mark: What the document's ``format`` says: only a file that begins with it is replaced.
        option: The option that names another place, for the error.

    Raises:
        RecordError: The file cannot be written, or something else stands there; what stood there before still stands.
    """
    try:
        if path.is_file() and path.stat().st_size and not _begins(path, mark):
            raise RecordError(
                f"{display_path(path)} is there already, and is no record: it is not overwritten",
                next_step="name another place for the record",
            )
        write_atomically(path, document_text(document))
    except OSError as error:
        raise RecordError(
            f"the record cannot be written to {display_path(path)}: {error.strerror or error}",
            next_step=f"name another place with {option} PATH",
        ) from None


def has_mark(path: Path, mark: str) -> bool:
    """Whether a file can be read and begins with the mark of a document."""
    try:
        return path.is_file() and _begins(path, mark)
    except OSError:
        return False  # reading it says why


def _begins(path: Path, mark: str) -> bool:
    """Whether a file begins with its mark, as every record does: what it is comes first."""
    with path.open("rb") as file:
        return mark.encode() in file.read(_HEAD)


def read_record(path: Path) -> Record:
    """Read a record, whose evidence may be of kinds that extensions bring.

    Raises:
        ContractError: An extension fails when it is asked for its kinds.
        RecordError: The file is missing, torn, no record, or of a newer form.
    """
    add_kinds()
    return read_document(path, Record, mark=FORMAT, version=VERSION, what="record", next_step=RUN_AGAIN)


def read_document(path: Path, kind: type[E], *, mark: str, version: int, what: str, next_step: str) -> E:
    """Read a document of any form.

    Args:
        path: The file.
        kind: Its type.
        mark: What its ``format`` must say.
        version: The newest form that is known.
        what: What it is called, for the error.
        next_step: How the user gets a sound one.

    Raises:
        RecordError: The file is missing, torn, something else, or of a newer form.
    """
    content = read_object(path, what=what, next_step=next_step)
    place = display_path(path)
    if content.get("format") != mark:
        raise RecordError(f"{place} is no {what} of eyerace-parity", next_step=next_step)
    found = content.get("schema")
    if isinstance(found, int) and found > version:
        raise RecordError(
            f"{place} has the form {found}; this eyerace-parity reads up to {version}",
            next_step="use the version that wrote it, or a newer one",
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        more = f" ({error.error_count()} faults in all)" if error.error_count() > 1 else ""
        fault = f"{where}: {message}" if where else message
        raise RecordError(f"{place} is not a sound {what}: {fault}{more}", next_step=next_step) from None


def read_object(path: Path, *, what: str, next_step: str) -> dict[str, Any]:
    """Read a JSON object within the bounds of :func:`~eyerace_parity.core.files.read_json`.

    Args:
        path: The file.
        what: What it is called, for the error.
        next_step: How the user gets a sound one.

    Raises:
        RecordError: The file is missing, cannot be read, is torn, or holds something else.
    """
    place = display_path(path)
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise RecordError(f"{place}: there is no such {what}", next_step=next_step) from None
    except OSError as error:
        raise RecordError(f"{place} cannot be read: {error.strerror or error}", next_step=next_step) from None
    except ValueError:
        raise RecordError(f"{place} is torn, or no JSON at all", next_step=next_step) from None
    if not isinstance(content, dict):
        raise RecordError(f"{place} is no {what} of eyerace-parity", next_step=next_step)
    return content


def _speakable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _speakable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_speakable(item) for item in value]
    return value
