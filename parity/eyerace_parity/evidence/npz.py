"""Reading ``.npz`` files that may be torn, foreign or hostile: sizes first, contents later, pickles never."""

from __future__ import annotations

import io
import math
import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from eyerace_parity.core.errors import GoldenError, is_transient
from eyerace_parity.core.files import display_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eyerace_parity.evidence.base import Array

_DIRECTORY: Final = 1 << 20
"""Bytes that the directory and the headers of an archive may take."""

_NEXT: Final = "write the file again with numpy.savez"


@dataclass(frozen=True, slots=True)
class Member:
    """An array as its header states it.

    Attributes:
        shape: Extents, samples first.
        dtype: Element type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


Archive: TypeAlias = dict[str, Member]
"""The arrays of a file by name."""


def read_whole(path: Path, max_bytes: int) -> bytes:
    """Read a file's bytes, so that what is hashed is what is loaded.

    Args:
        path: The file.
        max_bytes: Most that it may hold once decompressed; packed, it takes no more but for what a directory takes.

    Raises:
        GoldenError: The file is missing, too large, or cannot be read.
    """
    most = max_bytes + (max_bytes >> 8) + _DIRECTORY
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size <= most:
                return file.read()
    except FileNotFoundError:
        raise GoldenError(f"{display_path(path)}: there is no such file", next_step="record the inputs again") from None
    except OSError as error:
        reason = f"{display_path(path)} cannot be read: {error.strerror or error}"
        raise GoldenError(reason, next_step="make the golden set readable") from None
    raise GoldenError(
        f"{display_path(path)} holds more than golden.max_bytes = {max_bytes}",
        next_step="split the file, or raise golden.max_bytes",
    )


def read_archive(content: bytes, place: str, max_bytes: int) -> Archive:
    """Read the headers of all arrays, and make sure that each array is as large as its header says.

    Args:
        content: The file's bytes.
        place: The file, for messages.
        max_bytes: Most that it may hold once decompressed.

    Returns:
        Shape and type of every array, by name.

    Raises:
        GoldenError: The file is torn, foreign, too large, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_directory(members, max_bytes, place)
            return {member.filename.removesuffix(".npy"): _header(archive, member, place) for member in members}
    except GoldenError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file makes its readers raise anything, even TokenError
        reason = f"{place} is torn, or no .npz file: {error}"
        raise GoldenError(reason, next_step=_NEXT, transient=is_transient(error)) from None


def read_arrays(content: bytes, place: str, names: Sequence[str]) -> dict[str, Array]:
    """Read some arrays of a file whose headers :func:`read_archive` has checked.

    Raises:
        GoldenError: The contents are torn.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except Exception as error:  # noqa: BLE001 - as above
        raise GoldenError(f"{place} is torn: {error}", next_step=_NEXT, transient=is_transient(error)) from None


def _check_directory(members: Sequence[zipfile.ZipInfo], max_bytes: int, place: str) -> None:
    """Hold what the archive's directory says against the bounds."""
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise GoldenError(
            f"{place} holds {total} bytes decompressed, more than golden.max_bytes = {max_bytes}",
            next_step="split the file, or raise golden.max_bytes",
        )
    if len({member.filename.removesuffix(".npy") for member in members}) < len(members):
        raise GoldenError(f"{place} holds two arrays of the same name", next_step=_NEXT)


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> Member:
    """Read one array's header; its data is not touched."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise GoldenError(f"{place}: {member.filename} is of the unknown array format {version}", next_step=_NEXT)
        shape, _, dtype = readers[version](file)
        stated = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise GoldenError(
            f"{place}: {member.filename} holds pickled Python objects, which are never loaded: they can run any code",
            next_step="store arrays of numbers",
        )
    if any(extent < 0 for extent in shape):
        raise GoldenError(f"{place}: {member.filename} has the shape {list(shape)}", next_step=_NEXT)
    if stated != member.file_size:
        raise GoldenError(
            f"{place}: {member.filename} has {member.file_size} bytes, but its header speaks of {stated}",
            next_step=_NEXT,
        )
    return Member(tuple(shape), dtype)
