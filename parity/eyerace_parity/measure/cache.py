"""The evidence cache: measurements by content, so that a run without changes measures nothing again.

The key of an entry is the digest of everything that could change the measurement. An entry is one file: a line of JSON
with schema, kind, key, and the length and digest of the body, then the body. An entry that is torn, foreign or of
another schema counts as absent and is replaced; entries are never repaired.

Times are never read back: a :class:`~eyerace_parity.evidence.costs.Timing` or
:class:`~eyerace_parity.evidence.costs.Footprint` of another day does not describe today's machine. Between CI jobs
times moved by 26 %, within one job by 0.3 %.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import WRITING, write_atomically
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.codec import decode, encode
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.machine_lock import MachineLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA: Final = 1
"""Version of the entry format; entries of other versions are not read."""

MAX_BYTES: Final = 2 << 30
"""Default size limit of the cache: 2 GiB."""

_FORMAT: Final = "eyerace-parity evidence"
_SUFFIX: Final = ".evidence"
_KEY: Final = re.compile(r"(?:release )?(?:sha256:)?[^/\\:\x00]{1,200}")
"""Form of a key; it can never be a path, because records name keys and a record may be forged."""
_DAY: Final = 86_400.0
"""Age in seconds from which a partly written file counts as abandoned."""

E = TypeVar("E")

_FAILED: Final = ("failure", "batch_refused", "checker")
"""Fields of evidence that report a failure."""


@dataclass(slots=True)
class EvidenceCache:
    """Measurements by content.

    Attributes:
        folder: Folder of the entries; created with the first entry.
        max_bytes: Size that :meth:`tidy` leaves, in bytes.
        trouble: Why something could not be stored; empty for none. The run goes on without it and only costs more time.
        wrote: Whether this object has added an entry.
    """

    folder: Path
    max_bytes: int = MAX_BYTES
    trouble: str = ""
    wrote: bool = field(default=False, init=False)

    def read(self, kind: str, key: str) -> bytes | None:
        """Return an entry's body, or ``None`` if there is no intact entry of this kind and key."""
        if not _KEY.fullmatch(key) or not kind.isalpha():
            return None  # keys also come from records, which may be forged
        path = self._path(kind, key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        head, _, body = content.partition(b"\n")
        if head != _head(kind, key, body):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # marks the entry as used: the least recently used are removed first
        return body

    def write(self, kind: str, key: str, body: bytes) -> None:
        """Add or replace an entry atomically. A failure to write is reported in :attr:`trouble`."""
        path = self._path(kind, key)
        try:
            write_atomically(path, _head(kind, key, body), b"\n", body)
        except OSError as error:
            self.trouble = self.trouble or f"{self.folder}: {error.strerror or error}"
            return
        self.wrote = True

    @contextlib.contextmanager
    def claim(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold a key while measuring it: of two runs, or two xdist workers, one measures and the other waits.

        The lock belongs to the system and ends with the process that holds it. If no lock is available, both measure.

        Args:
            key: The key.
            wait: Whether to wait for another process that holds the key.

        Yields:
            ``False`` if another process holds the key, else ``True``.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - the import takes longer than a fully cached run

        machine_lock = MachineLock(self.folder / "locks", self._note)
        if wait and machine_lock.is_exclusive:
            # All other processes are stopped by the exclusive lock: the holder of the key would never release it.
            yield True
            return
        lock = FileLock(self.folder / "locks" / f"{_stem(key)}.lock")
        free = True
        try:
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
            with machine_lock.released() if wait else contextlib.nullcontext():
                lock.acquire(poll_interval=0.1, blocking=wait)
        except Timeout:
            free = False
        except (OSError, NotImplementedError) as error:
            self._note(str(error))
        try:
            yield free
        finally:
            lock.release()

    def turn(self, *, alone: bool = False) -> contextlib.AbstractContextManager[None]:
        """Hold the machine lock: shared with all processes that use this cache, or exclusively.

        Args:
            alone: Whether to hold it exclusively.
        """
        machine_lock = MachineLock(self.folder / "locks", self._note)
        return machine_lock.exclusive() if alone else machine_lock.shared()

    def _note(self, trouble: str) -> None:
        self.trouble = self.trouble or f"{self.folder}: {trouble}"

    def size(self) -> int:
        """Return the total size of all entries in bytes."""
        return sum(size for _, size, _ in self._entries())

    def tidy(self, max_bytes: int | None = None) -> int:
        """Remove entries, the least recently used first, until at most ``max_bytes`` are left.

        Args:
            max_bytes: Size to leave; :attr:`max_bytes` by default, 0 empties the cache.

        Returns:
            Number of bytes freed.
        """
        self._sweep()
        limit = self.max_bytes if max_bytes is None else max_bytes
        entries = sorted(self._entries(), key=lambda entry: entry[0])
        excess = sum(size for _, size, _ in entries) - limit
        freed = 0
        for _, size, path in entries:
            if freed >= excess:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
        return freed

    def _sweep(self) -> None:
        """Remove partly written files of killed runs; no write takes a day."""
        for path in self.folder.glob(f"*/{WRITING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _DAY:
                    path.unlink()

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{_stem(key)}{_SUFFIX}"

    def _entries(self) -> list[tuple[float, int, Path]]:
        """List all entries: time of the last use, bytes, path."""
        entries = []
        for path in self.folder.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # another run may tidy at the same time
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        return entries


def _head(kind: str, key: str, body: bytes) -> bytes:
    head = {
        "format": _FORMAT,
        "schema": SCHEMA,
        "kind": kind,
        "key": key,
        "bytes": len(body),
        "digest": bytes_digest(body),
    }
    return json.dumps(head).encode("utf-8")


def _stem(key: str) -> str:
    return key.removeprefix("sha256:")


def put(store: EvidenceCache, key: str, evidence: object) -> None:
    """Store evidence, unless a resource limit may have caused the failure that it reports.

    Native code words a failure by a limit (``ulimit``) in many ways, so any failure under a limit is not cached.

    Args:
        store: The evidence cache.
        key: Content key of the evidence.
        evidence: The evidence.
    """
    if any(getattr(evidence, name, "") for name in _FAILED) and _limited():
        return
    store.write(KINDS.of(type(evidence)).word, key, encode(evidence))


def _limited() -> bool:
    """Whether memory, file size or CPU time of this process and its children are limited."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return False
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


def get(store: EvidenceCache, kind: type[E], key: str) -> E | None:
    """Read evidence from the cache and mark its provenance as cached; ``None`` if there is no intact entry."""
    declared = KINDS.of(kind)
    body = store.read(declared.word, key)
    if body is None:
        return None
    try:
        evidence: Any = decode(kind, body)
    except RecordError:
        return None
    if not declared.has_provenance:
        return cast("E", evidence)
    source = evidence.provenance.model_copy(update={"cached": True})
    if isinstance(evidence, Fact):
        return cast("E", evidence.model_copy(update={"provenance": source}))
    return cast("E", dataclasses.replace(evidence, provenance=source))
