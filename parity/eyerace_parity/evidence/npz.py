"""Reads and writes numpy's ``.npz`` files. Writing is reproducible. Reading checks sizes first and refuses pickles."""

from __future__ import annotations

import io
import math
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from eyerace_parity.core.errors import MeasurementError, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eyerace_parity.evidence.base import Array

SUFFIX: Final = ".npy"
"""Suffix of archive members that are arrays."""

NEXT_STEP: Final = "write the file again with numpy.savez"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Modification time of every member, the earliest that ZIP can store. With it equal arrays always give equal bytes."""

_UNIX: Final = 3
"""Creating system of every member (ZIP's ``version made by``). :mod:`zipfile` would write the current one."""

_LEVEL: Final = 9  # smallest file: archives are written once and read often


@dataclass(frozen=True, slots=True)
class Member:
    """Type and shape of an array, from its header.

    Attributes:
        shape: Extents, samples first.
        dtype: Element type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


Archive: TypeAlias = dict[str, Member]
"""Headers of a file's arrays, by name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Limit on the decompressed size of an archive, against zip bombs.

    Attributes:
        max_bytes: Most bytes after decompression.
        name: Name of the setting with this limit; empty if there is none.
    """

    max_bytes: int
    name: str = ""


def pack(members: Mapping[str, Array | bytes], *, compress: bool = False) -> bytes:
    """Write an archive. Equal members give equal bytes on every system and at any time.

    Args:
        members: Bytes or arrays by name, in order. Names of arrays end in :data:`SUFFIX`.
        compress: Whether to compress the members.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = _UNIX
            if compress:
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, _bytes(content), compresslevel=_LEVEL)
            elif isinstance(content, bytes):
                archive.writestr(info, content)
            else:
                # Write directly into the archive, without a copy: outputs may take gigabytes.
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(content), allow_pickle=False)
    return buffer.getvalue()


def _bytes(content: Array | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    body = io.BytesIO()
    np.lib.format.write_array(body, content, allow_pickle=False)
    return body.getvalue()


def unpack(content: bytes, place: str, bound: Bound) -> tuple[dict[str, bytes], dict[str, Array]]:
    """Read an archive that :func:`pack` wrote.

    Args:
        content: The file's bytes.
        place: Name of the file for messages.
        bound: Limit on the decompressed size.

    Returns:
        Members that are bytes, and arrays, both by member name.

    Raises:
        MeasurementError: The archive is damaged, of another format, too large, or contains pickled objects.
    """
    others: dict[str, bytes] = {}
    arrays: dict[str, Array] = {}
    with _opened(content, place) as archive:
        for member in _directory(archive, place, bound):
            if member.filename.endswith(SUFFIX):
                _header(archive, member, place)
                arrays[member.filename] = _array(archive, member.filename)
            else:
                others[member.filename] = archive.read(member)
    return others, arrays


@contextmanager
def _opened(content: bytes, place: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive, and turn whatever its readers raise into one error.

    Raises:
        MeasurementError: The archive is damaged or of another format.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except MeasurementError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file makes its readers raise anything, even TokenError
        reason = f"{place} is torn, or no .npz file: {error}"
        raise MeasurementError(reason, next_step=NEXT_STEP, transient=is_transient(error)) from None


def read_headers(content: bytes, place: str, bound: Bound) -> Archive:
    """Read the headers of all arrays, and check each member's size against its header.

    Args:
        content: The file's bytes.
        place: Name of the file for messages.
        bound: Limit on the decompressed size.

    Returns:
        Shape and type of every array, by name.

    Raises:
        MeasurementError: The file is damaged, of another format, too large, or contains pickled objects.
    """
    with _opened(content, place) as archive:
        members = _directory(archive, place, bound)
        return {member.filename.removesuffix(SUFFIX): _header(archive, member, place) for member in members}


def read_arrays(content: bytes, place: str, names: Iterable[str]) -> dict[str, Array]:
    """Read arrays of a file whose headers :func:`read_headers` has checked.

    Raises:
        MeasurementError: The contents are damaged.
    """
    with _opened(content, place) as archive:
        there = set(archive.namelist())
        return {name: _array(archive, name + SUFFIX if name + SUFFIX in there else name) for name in names}


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # zipfile verifies the checksum only at the end of the member
        return array


def _directory(archive: zipfile.ZipFile, place: str, bound: Bound) -> Sequence[zipfile.ZipInfo]:
    """List the archive's members, and check their sizes against the limit and their names for duplicates."""
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if total > bound.max_bytes:
        limit = f"{bound.name} = {bound.max_bytes}" if bound.name else f"{bound.max_bytes}"
        next_step = f"split the file, or raise {bound.name}" if bound.name else NEXT_STEP
        raise MeasurementError(f"{place} holds {total} bytes decompressed, more than {limit}", next_step=next_step)
    if len({member.filename.removesuffix(SUFFIX) for member in members}) < len(members):
        raise MeasurementError(f"{place} holds two arrays of the same name", next_step=NEXT_STEP)
    return members


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> Member:
    """Read the header of one array, without its data."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    where = f"{place}: {member.filename}"
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise MeasurementError(f"{where} is of the unknown array format {version}", next_step=NEXT_STEP)
        shape, _, dtype = readers[version](file)
        stated = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise MeasurementError(
            f"{where} holds pickled Python objects, which are never loaded: they can run any code",
            next_step="store arrays of numbers",
        )
    if any(extent < 0 for extent in shape):
        raise MeasurementError(f"{where} has the shape {list(shape)}", next_step=NEXT_STEP)
    if stated != member.file_size:
        raise MeasurementError(
            f"{where} has {member.file_size} bytes, but its header speaks of {stated}", next_step=NEXT_STEP
        )
    return Member(tuple(shape), dtype)
