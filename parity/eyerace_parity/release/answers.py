"""Answers of a release on disk: a compressed ``.npz`` that ``numpy.load`` reads, with the samples' names beside."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.digests import bytes_digest, json_digest
from eyerace_parity.core.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.evidence.base import Array

_IDS: Final = "ids.json"
_SUFFIX: Final = ".npy"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LEVEL: Final = 9
_MAX_BYTES: Final = 1 << 30


def narrowed(array: Array) -> Array:
    """Keep no more digits than float32 has: a release is to be small, and no comparison needs more."""
    if array.dtype != np.float64:
        return array
    with np.errstate(over="ignore"):
        short = array.astype(np.float32)
    return array if np.isinf(short).any() else short


def digest_of(ids: Sequence[str], answers: Mapping[str, Array]) -> str:
    """Digest of the content, however it is compressed."""
    told = {
        name: [str(array.dtype), list(array.shape), bytes_digest(np.ascontiguousarray(array).tobytes())]
        for name, array in answers.items()
    }
    return json_digest({"ids": list(ids), "answers": told})


def pack(ids: Sequence[str], answers: Mapping[str, Array]) -> bytes:
    """Write answers down; the same answers give the same bytes.

    Args:
        ids: One name a sample.
        answers: By member, samples on the first axis.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        _add(archive, _IDS, json.dumps(list(ids), ensure_ascii=False, indent=0).encode("utf-8"))
        for name, array in sorted(answers.items()):
            body = io.BytesIO()
            np.lib.format.write_array(body, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            _add(archive, name + _SUFFIX, body.getvalue())
    return buffer.getvalue()


def unpack(body: bytes, place: str) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Read answers back.

    Args:
        body: What :func:`pack` wrote.
        place: The file, for messages.

    Returns:
        The samples' names, and the answers by member.

    Raises:
        RecordError: It is torn or something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            _refuse_size(archive, place)
            ids = tuple(str(name) for name in json.loads(archive.read(_IDS)))
            "".join(ids).encode("utf-8")  # half a character can be written in JSON, and nowhere else
            answers: dict[str, Array] = {}
            for member in archive.namelist():
                if member.endswith(_SUFFIX):
                    with archive.open(member) as file:
                        array = np.lib.format.read_array(file, allow_pickle=False)
                    answers[member.removesuffix(_SUFFIX)] = array
    except RecordError:
        raise
    except Exception as error:  # hostile bytes make their readers raise anything, even TokenError
        raise RecordError(f"{place} holds no answers of a release: {error}") from error
    return ids, answers


def _refuse_size(archive: zipfile.ZipFile, place: str) -> None:
    if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
        raise RecordError(f"{place} holds more than {_MAX_BYTES} bytes: these are no answers of a release")


def _add(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3  # the same on every system
    archive.writestr(member, body, compresslevel=_LEVEL)
