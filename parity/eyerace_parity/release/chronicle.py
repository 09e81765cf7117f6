"""All that was ever accepted of a bundle, for the page that shows it beside a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import ParityError
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.release.files import folder_of, history, names, read
from eyerace_parity.report.html.material import Accepted

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.release.model import Release

_STEM = 6


def accepted_of(contract: Contract) -> tuple[Accepted, ...]:
    """Every acceptance of every release: by name, numbers in it by their value, and of one name in its order.

    A release that cannot be read is left out: the page tells of a run, and whoever judges against it says why.
    """
    found: list[Accepted] = []
    for name in sorted(names(contract), key=_natural):
        try:
            folder = folder_of(contract, name)
            release, lines = read(folder).release, history(folder)
        except ParityError:
            continue
        for line in lines:
            last = line.digest == release.digest
            label = name if last else f"{name} {line.digest.removeprefix('sha256:')[:_STEM]}"
            found.append(Accepted(label, line.golden, line.f1, _sizes(release) if last else {}))
    return tuple(found)


def _sizes(release: Release) -> dict[str, int]:
    documents = ((piece.entry.variant, piece.entry.document) for piece in release.evidence)
    return {variant: document.bytes for variant, document in documents if isinstance(document, Files)}


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort 1.9 before 1.10."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]
