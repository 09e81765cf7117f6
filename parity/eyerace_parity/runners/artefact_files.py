"""Reads the external-data locations and the metadata of an ONNX file without the onnx package.

Importing ``onnx`` takes longer than all the rest of a cached run, and ONNX Runtime does not report these values. The
file is protobuf: a field is a key (number and wire type) and a value, and a message is length-delimited bytes. Only
fields that can lead to a tensor are followed; weights are skipped, never read.

The field numbers are those of ``onnx.proto``. Protobuf never reassigns a field number.
"""

from __future__ import annotations

import mmap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ArtefactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eyerace_parity.contract.model import Contract

# Wire types, see https://protobuf.dev/programming-guides/encoding/.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Fields that can lead to a tensor: {message: {field: message of its value}}.
_PATHS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_MAX_DEPTH: Final = 100
"""Deepest nesting that is followed; protobuf's parsers refuse nesting deeper than 100 by default."""

_VARINT_BITS: Final = 70
"""Bits of the longest varint: ten bytes of seven bits."""

_METADATA: Final = 14
"""Field ``metadata_props`` of a model: one metadata property each."""

_MAX_PROPERTY: Final = 1 << 20
"""Bytes of the largest property that is read (1 MiB): larger ones only serve to exhaust the memory."""

Content = bytes | mmap.mmap

MAX_BYTES: Final = (1 << 31) - 1
"""Bytes of the largest ONNX file: protobuf messages are limited to 2 GiB."""


def external_locations(path: Path) -> tuple[str, ...]:
    """Return the locations of external data as the model states them, in order of appearance, each once.

    A torn or foreign file has the locations up to the place where it cannot be read; loading it reports the defect.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return ()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return locations_in(content)


def locations_in(content: Content) -> tuple[str, ...]:
    """Return the locations of external data in the bytes of an ONNX file; see :func:`external_locations`."""
    if content.find(b"location") < 0:  # the key of a tensor's external location: most files have none, found fast
        return ()
    locations: dict[str, None] = {}
    pending = [(0, len(content), "model", 0)]
    while pending:
        start, end, message, depth = pending.pop()
        deeper = []
        for number, begin, stop in _fields(content, start, end):
            inner = _PATHS[message].get(number)
            if inner == "entry":
                key, value = _entry(content, begin, stop)
                if key == b"location":
                    locations[value.decode("utf-8", errors="replace")] = None
            elif inner is not None and depth < _MAX_DEPTH:
                deeper.append((begin, stop, inner, depth + 1))
        pending += reversed(deeper)
    return tuple(locations)


def lies_inside(bundle: Path, path: Path, location: str) -> Path | None:
    """Resolve the path of external data, with symbolic links followed.

    Args:
        bundle: The bundle's folder.
        path: The model.
        location: Location that the model states, relative to the model's folder.

    Returns:
        The path; ``None`` if it lies outside the bundle or is no valid path.
    """
    try:
        place = (path.parent / location).resolve()
        place.is_file()  # raises here for a name that the system refuses, instead of when the file is opened
        return place if place.is_relative_to(bundle.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a NUL byte, a name that is too long, or a loop of links
        return None


def metadata_of(path: Path) -> dict[str, str]:
    """Return the metadata properties of an ONNX file; the graph is skipped, however large it is.

    A torn or foreign file has the properties up to the place where it cannot be read.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            entries = [
                _entry(content, begin, stop)
                for number, begin, stop in _fields(content, 0, len(content))
                if number == _METADATA and stop - begin <= _MAX_PROPERTY
            ]
    return {key.decode("utf-8", errors="replace"): value.decode("utf-8", errors="replace") for key, value in entries}


def _entry(content: Content, start: int, end: int) -> tuple[bytes, bytes]:
    fields = {number: content[begin:stop] for number, begin, stop in _fields(content, start, end)}
    return fields.get(1, b""), fields.get(2, b"")


def _fields(content: Content, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the length-delimited fields between two positions: number, begin, end. Stops at invalid bytes."""
    while position < end:
        key, position = _varint(content, position, end)
        kind = key & 7
        if kind == _BYTES:
            size, position = _varint(content, position, end)
            if position + size > end:
                return
            yield key >> 3, position, position + size
            position += size
        elif kind == _VARINT:
            _, position = _varint(content, position, end)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:
            return


def _varint(content: Content, position: int, end: int) -> tuple[int, int]:
    """Read a varint: its value and the position after it; the position is ``end`` if it is invalid."""
    value = shift = 0
    while position < end:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift >= _VARINT_BITS:
            break  # no varint is longer: reading on would take quadratic time
    return 0, end


def artefact(contract: Contract, variant: str) -> Path:
    """Return the path of a variant's file, after checking that it can be opened.

    Raises:
        ArtefactError: The file is missing, no regular file, empty, or unreadable.
    """
    path = contract.path(contract.variants[variant].path)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    with readable(name):
        if not path.exists():
            raise ArtefactError(f"{name} does not exist", next_step=_how_to_make(contract, variant))
        if not path.is_file():
            raise ArtefactError(f"{name} is not a file", next_step="name the model file itself in the contract")
        if not path.stat().st_size:
            raise ArtefactError(f"{name} is empty", next_step=_how_to_make(contract, variant))
    return path


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn a system error in the block into the error of a file that cannot be read."""
    try:
        yield
    except OSError as error:
        reason = f"{name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the file's permissions", transient=True) from error


def contents(contract: Contract, variant: str) -> bytes:
    """Read a variant's file as bytes.

    Raises:
        ArtefactError: As for :func:`artefact`, or the file is larger than :data:`MAX_BYTES`.
    """
    path = artefact(contract, variant)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    with readable(name):
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"{name} has {size} bytes; a model that is loaded from bytes can have {MAX_BYTES} at most"
            raise ArtefactError(reason, next_step="export a smaller model, or one with external data")
        return path.read_bytes()


def _how_to_make(contract: Contract, variant: str) -> str:
    if contract.recipe_of(variant) is not None:
        return f"build it with `eyerace-parity export {contract.file.name} {variant}`"
    return f"put the file there, or correct variants.{variant}.path in {contract.file.name}"
