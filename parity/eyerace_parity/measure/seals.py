"""Seals: prove that the files of a measurement are still those whose digest is in its key.

A digest is computed once in a run, but a measurement may read the files many times, in several processes. If a file was
replaced in between, the cache would hold evidence of one file under the digest of another. So each seal is proven after
the measurement and before the evidence is cached: the bytes are hashed again. Equal bytes are not enough, because a
file may have been replaced and restored; size, times and inode reveal that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.core.files import Marks, display_path, file_marks, settled
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class Seal:
    """Files and their digest.

    Args:
        files: Lists all files that the digest covers, including those that are missing.
        digest: Computes the digest.
        rehash: Whether to hash the bytes every time, even if size, times and inode are unchanged.

    Attributes:
        digest: The digest when the seal was made.

    Raises:
        MeasurementError: A file cannot be read.
    """

    def __init__(self, files: Callable[[], Iterable[Path]], digest: Callable[[], str], *, rehash: bool = False) -> None:
        self._hash = digest
        self._rehash = rehash
        self._paths = tuple(files())
        self._marks = self._seen()  # taken before the bytes are read, so that a change during reading is noticed
        now = time.time_ns()
        self._settled = all(settled(marks, now) for marks in self._marks.values())
        self.digest = digest()

    def require(self, *, quick: bool = False) -> None:
        """Require that the files are unchanged, before they are used or before a verdict on them.

        Files with unchanged size, times and inode are not hashed, unless ``rehash`` is set.

        Args:
            quick: Whether to skip hashing even then, because the bytes were hashed for the same evidence before.

        Raises:
            InputChanged: A file has changed.
        """
        seen = self._seen()
        if seen == self._marks and (quick or not self._rehash):
            return
        if self._now() != self.digest:
            raise self._changed(seen)
        self._marks = seen

    def prove(self, *, quick: bool = False) -> None:
        """Prove after a measurement that the files did not change during it.

        Args:
            quick: Whether unchanged size, times and inode of files that were :func:`settled` when they were hashed are
                proof enough, because the evidence is not cached.

        Raises:
            InputChanged: A file has changed, or was replaced and restored.
        """
        seen = self._seen()
        if seen != self._marks or ((self._rehash or not quick or not self._settled) and self._now() != self.digest):
            raise self._changed(seen)

    def _seen(self) -> dict[Path, Marks | None]:
        return {path: file_marks(path) for path in self._paths}

    def _now(self) -> str:
        try:
            return self._hash()
        except MeasurementError:
            return ""  # a file that can no longer be read has changed

    def _changed(self, seen: dict[Path, Marks | None]) -> InputChanged:
        changed = [path for path in self._paths if seen[path] != self._marks[path]]
        return InputChanged(f"{join_names(map(display_path, changed or self._paths))} changed while it was measured")
