"""Where an ONNX file keeps data beside itself, and its metadata, found without the onnx package.

Importing ``onnx`` costs more than all the rest of a cached run, and ONNX Runtime does not tell. The file is protobuf,
whose wire format is simple: fields are a key (number and wire type) and a value, messages are length-delimited bytes.
Only the few fields that can lead to a tensor are followed; weights are stepped over, never read.

The field numbers are those of ``onnx.proto``, which never change: that is protobuf's promise.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ArtefactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eyerace_parity.contract.model import Contract

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# What can hold a tensor, as {message: {field: message of its value}}.
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
_VARINT_BITS: Final = 70

_METADATA: Final = 14
"""Field of a model that holds one metadata property."""

_MAX_PROPERTY: Final = 1 << 20
"""Bytes of the largest property that is read: more is no property but a file that was made to fill the memory."""

Content = bytes | mmap.mmap


def external_locations(path: Path) -> tuple[str, ...]:
    """Names of the files that hold external data, as the model states them, in order of appearance, each once.

    A file that is no ONNX model, or is torn, has none as far as it can be read: whoever loads it says so.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return ()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return locations_in(content)


def locations_in(content: Content) -> tuple[str, ...]:
    """The same, of a file's bytes."""
    if content.find(b"location") < 0:  # the key under which a tensor states where its data lie
        return ()
    found: dict[str, None] = {}
    pending = [(0, len(content), "model", 0)]
    while pending:
        start, end, message, depth = pending.pop()
        deeper = []
        for number, begin, stop in _fields(content, start, end):
            inner = _PATHS[message].get(number)
            if inner == "entry":
                key, value = _entry(content, begin, stop)
                if key == b"location":
                    found[value.decode("utf-8", errors="replace")] = None
            elif inner is not None and depth < _MAX_DEPTH:
                deeper.append((begin, stop, inner, depth + 1))
        pending += reversed(deeper)
    return tuple(found)


def lies_inside(bundle: Path, path: Path, location: str) -> Path | None:
    """Place a file of external data, links followed; ``None`` where it leads outside the bundle, or nowhere at all.

    Args:
        bundle: The bundle's folder.
        path: The model.
        location: What the model says, relative to where it stands.
    """
    try:
        place = (path.parent / location).resolve()
        place.is_file()  # a name that no system takes is told here, and not by whoever opens it
        return place if place.is_relative_to(bundle.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, links in a circle
        return None


def metadata_of(path: Path) -> dict[str, str]:
    """Metadata properties of an ONNX file; the graph is stepped over unread, however large it is.

    A file that is no ONNX model, or is torn, has those that stand before the place where it makes no sense.

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
    """Length-delimited fields between two positions: number, begin, end. Stops where the bytes make no sense."""
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
    value = shift = 0
    while position < end:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift >= _VARINT_BITS:
            break  # no number of protobuf is longer: reading on would take a time that grows with the square
    return 0, end


MAX_BYTES: Final = (1 << 31) - 1
"""Largest ONNX file: protobuf, in which it is written, cannot hold more."""


def artefact(contract: Contract, variant: str) -> Path:
    """Place a variant's file and make sure that there is something to open.

    Raises:
        ArtefactError: It is missing, no file, empty, or unreadable.
    """
    path = contract.path(contract.variants[variant].path)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    try:
        if not path.exists():
            raise ArtefactError(f"{name} does not exist", next_step=_how_to_make(contract, variant))
        if not path.is_file():
            raise ArtefactError(f"{name} is not a file", next_step="name the model file itself in the contract")
        if not path.stat().st_size:
            raise ArtefactError(f"{name} is empty", next_step=_how_to_make(contract, variant))
    except OSError as error:
        reason = f"{name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the file's permissions", transient=True) from error
    return path


def contents(contract: Contract, variant: str) -> bytes:
    """Read a variant's file, which the runtime then takes as bytes.

    Raises:
        ArtefactError: As :func:`artefact`, or it is larger than any such file can be.
    """
    path = artefact(contract, variant)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"{name} has {size} bytes; a model that is loaded from bytes can have {MAX_BYTES} at most"
            raise ArtefactError(reason, next_step="export a smaller model, or one with external data")
        return path.read_bytes()
    except OSError as error:
        reason = f"{name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the file's permissions", transient=True) from error


def _how_to_make(contract: Contract, variant: str) -> str:
    if getattr(contract.variants[variant], "recipe", None) is not None:
        return f"build it with `eyerace-parity export {contract.file.name} {variant}`"
    return f"put the file there, or correct variants.{variant}.path in {contract.file.name}"
