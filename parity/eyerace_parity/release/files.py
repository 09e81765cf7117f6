"""Releases on disk: one folder for each release, with one small history file for each acceptance.

There is no list of all releases, and history files never change. So two branches that accept releases conflict in
version control only if both accept under the same name; that conflict is intended.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from eyerace_parity.core.digests import bytes_digest, json_digest
from eyerace_parity.core.errors import ContractError, MeasurementError, RecordError
from eyerace_parity.core.files import display_path, parse_json, write_atomically
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.evidence import npz
from eyerace_parity.record.files import read_document, read_object
from eyerace_parity.release.model import FORMAT, VERSION, Acceptance, Release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array

RELEASE: Final = "release.json"
ANSWERS: Final = "answers.npz"
HISTORY: Final = "history"
ARTEFACTS: Final = "artefacts"

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_STEM: Final = 16
"""Hexadecimal digits of a digest in the name of a history file."""

_SAVE_AGAIN: Final = "save it again with `eyerace-parity release save NAME`, or restore it from version control"

_IDS: Final = "ids.json"

_MAX_BYTES: Final = 1 << 30
"""Bytes of answers that are unpacked at most (1 GiB): a small archive could otherwise fill the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A release with its answers, as stored in its folder.

    Attributes:
        folder: The release's folder.
        release: Content of its JSON file.
        ids: Names of the samples.
        answers: Arrays by member of the archive, samples on the first axis.
    """

    folder: Path
    release: Release
    ids: tuple[str, ...]
    answers: Mapping[str, Array]


def check_name(name: str, origin: str) -> None:
    """Refuse a name that is no valid folder name on every system; Windows drops a final dot.

    Args:
        name: The name.
        origin: Where it was stated, for the message.

    Raises:
        ContractError: The name is refused.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ContractError(
            f"{origin}: {name!r} is no name of a release",
            next_step="use letters, digits, '_', '-' and '.', at most 64 of them",
        )


def folder_of(contract: Contract, name: str) -> Path:
    """Return the folder of a release; it need not exist."""
    return contract.path(contract.release.folder) / name


def names(contract: Contract) -> tuple[str, ...]:
    """Return the names of all releases of a bundle, sorted."""
    return tuple(sorted(path.parent.name for path in contract.path(contract.release.folder).glob(f"*/{RELEASE}")))


def find(contract: Contract, wanted: str, *places: Path) -> Path | None:
    """Find a release by its name or its path.

    Args:
        contract: The contract whose release it is.
        wanted: Name or path that the user stated.
        places: Folders that a path may be relative to.

    Returns:
        The release's folder, or ``None`` if there is none.
    """
    own = [folder_of(contract, wanted)] if _NAME.fullmatch(wanted) else []
    given = Path(wanted).expanduser()
    for folder in (*own, *((place / given) for place in places)):
        if folder.name == RELEASE and folder.is_file():
            return folder.parent
        if (folder / RELEASE).is_file():
            return folder
    return None


def refuse_unknown(contract: Contract, wanted: str, origin: str) -> ContractError:
    """Make the error of a release that does not exist, with a similar name or the names of all others.

    Args:
        contract: The contract.
        wanted: Name that the user stated.
        origin: Where it was stated, for the message.
    """
    known = names(contract)
    near = did_you_mean(wanted, known) or (f"; there are {join_names(known)}" if known else "; there is none")
    return ContractError(
        f"{origin}: there is no release {wanted!r} in {display_path(contract.path(contract.release.folder))}{near}",
        next_step=f"save one with `eyerace-parity release save {wanted}`",
    )


def read(folder: Path) -> Stored:
    """Read a release.

    Raises:
        RecordError: It is torn, was edited, is no release, or has a newer schema.
    """
    path = folder / RELEASE
    release = read_document(path, Release, mark=FORMAT, version=VERSION, what="release", next_step=_SAVE_AGAIN)
    try:
        _ = release.digest
    except ValueError as error:  # NaN or infinity, which JSON does not have
        raise RecordError(f"{display_path(path)} is torn: {error}", next_step=_SAVE_AGAIN) from None
    if not release.digest_of_answers:
        return Stored(folder, release, (), {})
    archive = folder / ANSWERS
    try:
        ids, answers = unpack(archive.read_bytes(), display_path(archive))
    except OSError as error:
        raise RecordError(
            f"{display_path(archive)} cannot be read: {error.strerror or error}", next_step=_SAVE_AGAIN
        ) from error
    except RecordError as error:
        raise RecordError(error.reason, next_step=_SAVE_AGAIN) from error
    if digest_of(ids, answers) != release.digest_of_answers:
        raise RecordError(f"{display_path(archive)} is not the one that {RELEASE} speaks of", next_step=_SAVE_AGAIN)
    return Stored(folder, release, ids, answers)


def write(stored: Stored, acceptance: Acceptance) -> None:
    """Write a release and its history file. A release of the same name is replaced; its history is kept.

    Args:
        stored: The release.
        acceptance: Its line of history.

    Raises:
        RecordError: A file cannot be written.
    """
    folder, release = stored.folder, stored.release
    try:
        if stored.answers:
            write_atomically(folder / ANSWERS, pack(stored.ids, stored.answers))
        write_atomically(folder / RELEASE, text_of(release))
        stem = acceptance.digest.removeprefix("sha256:")[:_STEM]
        write_atomically(folder / HISTORY / f"{stem}.json", text_of(acceptance))
        ignore = folder.parent / ".gitignore"
        if not ignore.exists():
            write_atomically(ignore, f"# Artefacts of releases are not committed.\n*/{ARTEFACTS}/\n")
    except OSError as error:
        raise RecordError(
            f"{display_path(folder)} cannot be written: {error.strerror or error}",
            next_step="make the folder of releases writable",
        ) from error


def history(folder: Path) -> tuple[Acceptance, ...]:
    """Read all acceptances of a name, each before its successor.

    Args:
        folder: The release's folder.

    Raises:
        RecordError: A history file is torn.
    """
    by_digest: dict[str, Acceptance] = {}
    for path in sorted((folder / HISTORY).glob("*.json")):
        try:
            line = Acceptance.model_validate(read_object(path, what="release", next_step=_SAVE_AGAIN))
        except ValidationError as error:
            raise RecordError(f"{display_path(path)} is no line of history", next_step=_SAVE_AGAIN) from error
        by_digest[line.digest] = line
    ordered: list[Acceptance] = []
    waiting = dict(by_digest)
    while waiting:
        ready = [line for line in waiting.values() if line.follows not in waiting]
        # A digest covers the digest of its predecessor, so a cycle is impossible unless a file was edited by hand.
        ordered += [waiting.pop(line.digest) for line in ready or list(waiting.values())]
    return tuple(ordered)


def text_of(model: BaseModel) -> str:
    """Serialise a model as indented JSON, so that version control shows changes line by line."""
    content = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps({**_head(model), **content}, indent=1, ensure_ascii=False) + "\n"


def _head(model: BaseModel) -> dict[str, Any]:
    return {"format": FORMAT, "schema": VERSION} if isinstance(model, Release) else {}


def narrowed(array: Array) -> Array:
    """Convert float64 to float32 unless a value overflows: releases stay small, and comparisons need no more digits."""
    if array.dtype != np.float64:
        return array
    with np.errstate(over="ignore"):
        short = array.astype(np.float32)
    return array if np.isinf(short).any() else short


def digest_of(ids: Sequence[str], answers: Mapping[str, Array]) -> str:
    """Return the digest of names and arrays; it does not depend on the compression."""
    members = {
        name: [str(array.dtype), list(array.shape), bytes_digest(np.ascontiguousarray(array).tobytes())]
        for name, array in answers.items()
    }
    return json_digest({"ids": list(ids), "answers": members})


def pack(ids: Sequence[str], answers: Mapping[str, Array]) -> bytes:
    """Pack answers into an archive; equal answers give equal bytes.

    Args:
        ids: Names of the samples.
        answers: Arrays by member, samples on the first axis.
    """
    members: dict[str, Array | bytes] = {_IDS: json.dumps(list(ids), ensure_ascii=False, indent=0).encode("utf-8")}
    members |= {name + npz.SUFFIX: np.ascontiguousarray(array) for name, array in sorted(answers.items())}
    return npz.pack(members, compress=True)


def unpack(body: bytes, place: str) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Unpack the archive that :func:`pack` made.

    Args:
        body: Bytes of the archive.
        place: Name of the file, for messages.

    Returns:
        The samples' names, and the arrays by member.

    Raises:
        RecordError: The archive is torn or something else.
    """
    try:
        others, arrays = npz.unpack(body, place, npz.Bound(_MAX_BYTES))
        ids = tuple(str(name) for name in parse_json(others[_IDS]))
    except MeasurementError as error:
        raise RecordError(f"{place} holds no answers of a release: {error.reason}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{place} holds no answers of a release: {error}") from error
    return ids, {name.removesuffix(npz.SUFFIX): array for name, array in arrays.items()}
