"""Releases on disk: one folder a release, and in it one small file for each time it was accepted.

Nothing lists all releases, and no file of history is ever changed, so two branches that accept do not meet in a file
unless both accept under one name; then the release itself is in conflict, as it should be.
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
from eyerace_parity.core.files import display_path, parse_json, read_json, write_atomically
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.evidence import npz
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
_SAVE_AGAIN: Final = "save it again with `eyerace-parity release save NAME`, or restore it from version control"


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A release with its answers, as it lies in its folder.

    Attributes:
        folder: Where it lies.
        release: What is kept of it.
        ids: One name a sample.
        answers: Arrays by member.
    """

    folder: Path
    release: Release
    ids: tuple[str, ...]
    answers: Mapping[str, Array]


def check_name(name: str, origin: str) -> None:
    """Refuse a name that can be no folder's on every system.

    Raises:
        ContractError: It is such a name.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ContractError(
            f"{origin}: {name!r} is no name of a release",
            next_step="use letters, digits, '_', '-' and '.', at most 64 of them",
        )


def folder_of(contract: Contract, name: str) -> Path:
    """Where a release of a name lies, or will lie."""
    return contract.path(contract.release.folder) / name


def names(contract: Contract) -> tuple[str, ...]:
    """Names of all releases of a bundle, sorted."""
    return tuple(sorted(path.parent.name for path in contract.path(contract.release.folder).glob(f"*/{RELEASE}")))


def find(contract: Contract, wanted: str, *places: Path) -> Path | None:
    """Find a release by its name, or by its folder.

    Args:
        contract: The contract whose release it is.
        wanted: What the user said.
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
    """The error of a release that is not there."""
    known = names(contract)
    near = did_you_mean(wanted, known) or (f"; there are {join_names(known)}" if known else "; there is none")
    return ContractError(
        f"{origin}: there is no release {wanted!r} in {display_path(contract.path(contract.release.folder))}{near}",
        next_step=f"save one with `eyerace-parity release save {wanted}`",
    )


def read(folder: Path) -> Stored:
    """Read a release.

    Raises:
        RecordError: It is torn, changed, something else, or of a newer form.
    """
    path = folder / RELEASE
    content = _content(path)
    if content.get("format") != FORMAT:
        raise RecordError(f"{display_path(path)} is no release of eyerace-parity", next_step=_SAVE_AGAIN)
    version = content.get("schema")
    if isinstance(version, int) and version > VERSION:
        raise RecordError(
            f"{display_path(path)} has the form {version}; this eyerace-parity reads up to {VERSION}",
            next_step="use the version that wrote it, or a newer one",
        )
    try:
        release = Release.model_validate(content)
        _ = release.digest
    except ValidationError as error:
        told = error.errors()[0]
        where = ".".join(str(part) for part in told["loc"])
        raise RecordError(f"{display_path(path)}: {where}: {told['msg']}", next_step=_SAVE_AGAIN) from None
    except ValueError as error:  # a number that JSON does not know
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
    """Write a release and its line of history; what stood there before is replaced, its history stays.

    Raises:
        RecordError: It cannot be written.
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
    """All that was ever accepted under a name, each before what took its place.

    Raises:
        RecordError: A file of it is torn.
    """
    found: dict[str, Acceptance] = {}
    for path in sorted((folder / HISTORY).glob("*.json")):
        try:
            line = Acceptance.model_validate(_content(path))
        except ValidationError as error:
            raise RecordError(f"{display_path(path)} is no line of history", next_step=_SAVE_AGAIN) from error
        found[line.digest] = line
    ordered: list[Acceptance] = []
    waiting = dict(found)
    while waiting:
        ready = [line for line in waiting.values() if line.follows not in waiting]
        # A circle cannot be: a digest holds that of the one before. A file edited by hand may still make one.
        ordered += [waiting.pop(line.digest) for line in ready or list(waiting.values())]
    return tuple(ordered)


def text_of(model: BaseModel) -> str:
    """Write a model as JSON whose lines version control can compare."""
    content = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps({**_head(model), **content}, indent=1, ensure_ascii=False) + "\n"


def _head(model: BaseModel) -> dict[str, Any]:
    return {"format": FORMAT, "schema": VERSION} if isinstance(model, Release) else {}


def _content(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except OSError as error:
        raise RecordError(
            f"{display_path(path)} cannot be read: {error.strerror or error}", next_step=_SAVE_AGAIN
        ) from error
    except ValueError as error:
        raise RecordError(f"{display_path(path)} is torn: {error}", next_step=_SAVE_AGAIN) from error
    if not isinstance(content, dict):
        raise RecordError(f"{display_path(path)} is no release of eyerace-parity", next_step=_SAVE_AGAIN)
    return content


_IDS: Final = "ids.json"


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
    members: dict[str, Array | bytes] = {_IDS: json.dumps(list(ids), ensure_ascii=False, indent=0).encode("utf-8")}
    members |= {name + npz.SUFFIX: np.ascontiguousarray(array) for name, array in sorted(answers.items())}
    return npz.pack(members, compress=True)


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
        others, arrays = npz.unpack(body, place, npz.Bound(_MAX_BYTES))
        ids = tuple(str(name) for name in parse_json(others[_IDS]))
    except MeasurementError as error:
        raise RecordError(f"{place} holds no answers of a release: {error.reason}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{place} holds no answers of a release: {error}") from error
    return ids, {name.removesuffix(npz.SUFFIX): array for name, array in arrays.items()}
