"""Records on disk: written whole or not at all, and read with a clear word when they are not what they should be."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.places import shown
from eyerace_parity.matrix import absence as absences
from eyerace_parity.matrix import document as matrix
from eyerace_parity.record.document import FORMAT, VERSION, Record
from eyerace_parity.record.rows import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

E = TypeVar("E", bound=Entry)

_HEAD = 200
"""Bytes of a file among which a record says what it is."""

_MOST_DIGITS = 40
"""Digits of the largest whole number in a record; no count and no size has more."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

_RUN = "run `pytest --eyerace-parity` to write a new one"
_MERGE = "merge the records again: eyerace-parity report RECORD… --merged PATH"


def record_text(record: Record | matrix.Merged) -> str:
    """Write a record as JSON that any reader takes: numbers that JSON does not know stand as texts."""
    content = _speakable(record.model_dump(mode="json", by_alias=True))
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_record(path: Path, record: Record) -> None:
    """Write a record, atomically; its folder is made.

    Raises:
        RecordError: The file cannot be written, or something else stands there; what stood there before still stands.
    """
    _write(path, record_text(record), FORMAT, "--eyerace-parity-record")


def write_merged(path: Path, merged: matrix.Merged) -> None:
    """Write a merged record in the same way.

    Raises:
        RecordError: The file cannot be written, or something else stands there; what stood there before still stands.
    """
    _write(path, record_text(merged), matrix.FORMAT, "--merged")


def _write(path: Path, text: str, mark: str, option: str) -> None:
    try:
        if path.is_file() and path.stat().st_size and not _begins(path, mark):
            raise RecordError(
                f"{shown(path)} is there already, and is no record: it is not overwritten",
                next_step="name another place for the record",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    except OSError as error:
        raise RecordError(
            f"the record cannot be written to {shown(path)}: {error.strerror or error}",
            next_step=f"name another place with {option} PATH",
        ) from None


def is_merged(path: Path) -> bool:
    """Whether a file begins as a merged record does."""
    return _is(path, matrix.FORMAT)


def is_absence(path: Path) -> bool:
    """Whether a file begins as a word does that stands in a record's place."""
    return _is(path, absences.FORMAT)


def _is(path: Path, mark: str) -> bool:
    try:
        return path.is_file() and _begins(path, mark)
    except OSError:
        return False  # reading it says why


def _begins(path: Path, mark: str) -> bool:
    """Whether a file begins with its mark, as every record does: what it is comes first."""
    with path.open("rb") as file:
        return mark.encode() in file.read(_HEAD)


def replace_file(path: Path, text: str) -> None:
    """Put a text in a file's place in one step: through a file beside it, which is gone whatever happens.

    Raises:
        OSError: The folder or the file cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        RecordError: The file is missing, torn, no record, or of a newer form.
    """
    return _read(path, Record, FORMAT, VERSION, _RUN)


def read_merged(path: Path) -> matrix.Merged:
    """Read a merged record.

    Raises:
        RecordError: The file is missing, torn, no merged record, or of a newer form.
    """
    return _read(path, matrix.Merged, matrix.FORMAT, matrix.VERSION, _MERGE)


def read_absence(path: Path) -> absences.Absence:
    """Read why there is no record.

    Raises:
        RecordError: The file is torn, or of a newer form.
    """
    return _read(path, absences.Absence, absences.FORMAT, absences.VERSION, _RUN)


def _read(path: Path, kind: type[E], mark: str, known: int, again: str) -> E:
    content = _content(path, again)
    place = shown(path)
    if content.get("format") != mark:
        what = "record" if kind is Record else "merged record"
        raise RecordError(f"{place} is no {what} of eyerace-parity", next_step=again)
    version = content.get("schema")
    if isinstance(version, int) and version > known:
        raise RecordError(
            f"{place} has the form {version}; this eyerace-parity reads up to {known}",
            next_step="use the version that wrote it, or a newer one",
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        more = f" ({error.error_count()} faults in all)" if error.error_count() > 1 else ""
        told = f"{where}: {message}" if where else message
        raise RecordError(f"{place} is not a sound record: {told}{more}", next_step=again) from None


def _content(path: Path, again: str) -> Mapping[str, Any]:
    place = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_int=_whole)
        if _SURROGATE.search(text):  # half a character can be written in JSON, and nowhere else
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except FileNotFoundError:
        raise RecordError(f"{place}: there is no such record", next_step=again) from None
    except OSError as error:
        raise RecordError(f"{place} cannot be read: {error.strerror or error}", next_step=again) from None
    except (ValueError, RecursionError):
        raise RecordError(f"{place} is torn, or no JSON at all", next_step=again) from None
    if not isinstance(content, dict):
        raise RecordError(f"{place} is no record of eyerace-parity", next_step=again)
    return content


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        message = "a number in it has too many digits"
        raise ValueError(message)
    return int(digits)


def _speakable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _speakable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_speakable(item) for item in value]
    return value


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
