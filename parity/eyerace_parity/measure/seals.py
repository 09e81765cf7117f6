"""Seals: files that evidence rests on, and the proof that they are still those whose digest stands in its key.

A digest is taken once a run, and a measurement may read the files many times, in several processes. A file that is
replaced in between would leave evidence of one file under the digest of another, in the store, for good. So a seal is
proven after each measurement and before anything is kept: the bytes are hashed again. Equal bytes alone do not prove
it, because a file may have been replaced and put back; the system's own marks (size, times, inode) tell that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Marks = tuple[int, int, int, int]
"""Size, modification time and change time in ns, and inode."""


class Seal:
    """Files and the digest that stands for them.

    Args:
        files: Lists all files that the digest is made of, those that are missing included.
        digest: Hashes them.
        rehash: Whether unchanged marks never stand for the digest, so that the bytes are hashed every time.

    Attributes:
        digest: The digest as it was when the seal was made.

    Raises:
        MeasurementError: A file cannot be read.
    """

    def __init__(self, files: Callable[[], Iterable[Path]], digest: Callable[[], str], *, rehash: bool = False) -> None:
        self._hash = digest
        self._rehash = rehash
        self._paths = tuple(files())
        self._marks = self._seen()  # before the bytes are read: a change while they are read is then seen later
        self.digest = digest()

    def require(self, *, quick: bool = False) -> None:
        """Make sure that the files are the same before they are used, or before a verdict is given on them.

        Unchanged marks stand for the digest here, unless every digest is to be taken again.

        Args:
            quick: Let unchanged marks do in any case: the bytes were hashed for the same evidence before.

        Raises:
            InputChanged: They are not.
        """
        seen = self._seen()
        if seen == self._marks and (quick or not self._rehash):
            return
        if self._now() != self.digest:
            raise self._changed(seen)
        self._marks = seen

    def prove(self) -> None:
        """Prove after a measurement that the files were the same all along.

        Raises:
            InputChanged: They are not, or were replaced and put back.
        """
        seen = self._seen()
        if seen != self._marks or self._now() != self.digest:
            raise self._changed(seen)

    def _seen(self) -> dict[Path, Marks | None]:
        return {path: _marks(path) for path in self._paths}

    def _now(self) -> str:
        try:
            return self._hash()
        except MeasurementError:
            return ""  # a file that cannot be read any more is not the same

    def _changed(self, seen: dict[Path, Marks | None]) -> InputChanged:
        changed = [path for path in self._paths if seen[path] != self._marks[path]]
        return InputChanged(f"{join_names(map(display_path, changed or self._paths))} changed while it was measured")


def _marks(path: Path) -> Marks | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for at every clause
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
