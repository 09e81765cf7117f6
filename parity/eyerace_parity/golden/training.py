"""What the model was trained on, as far as it takes to see that no golden image is among it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import GoldenError
from eyerace_parity.core.places import shown
from eyerace_parity.golden.base import refuse

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_LINE: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})(?:\s+\*?(?P<name>\S.*))?")
_NEXT: Final = "set golden.training to the folder of training images, or to a text file of their SHA-256 digests"


def training_digests(path: Path, sizes: AbstractSet[int]) -> dict[str, str]:
    """Digests of the training images, each with where it was found.

    Args:
        path: A folder of images, or a text file of digests, one a line, as ``sha256sum`` writes them; ``#`` begins a
            remark.
        sizes: Sizes in bytes of the golden images. A training image of another size cannot be one of them, so it is
            not read.

    Returns:
        Name or line of each image, by digest.

    Raises:
        GoldenError: There is neither, or a line is not a digest, or nothing is in it.
    """
    try:
        found = _of_folder(path, sizes) if path.is_dir() else _of_list(path)
    except FileNotFoundError:
        raise GoldenError(f"{shown(path)}: there is no such list or folder", next_step=_NEXT) from None
    except UnicodeDecodeError:
        raise GoldenError(f"{shown(path)} is not a text in UTF-8", next_step=_NEXT) from None
    except OSError as error:
        raise GoldenError(f"{shown(path)} cannot be read: {error.strerror or error}", next_step=_NEXT) from None
    if found is None:
        raise GoldenError(f"{shown(path)} names no training image, so it proves nothing", next_step=_NEXT)
    return found


def _of_folder(path: Path, sizes: AbstractSet[int]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    anything = False
    for parent, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            anything = True
            file = path.__class__(parent, name)
            if file.is_file() and file.stat().st_size in sizes:
                found[file_digest(file)] = file.relative_to(path).as_posix()
    return found if anything else None


def _of_list(path: Path) -> dict[str, str] | None:
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        if match := _LINE.fullmatch(line):
            found[f"sha256:{match[1].lower()}"] = match["name"] or f"line {number}"
        else:
            problems.append(f"{shown(path)}:{number}: {line[:60]!r} is no SHA-256 digest")
    refuse(problems, _NEXT)
    return found or None
