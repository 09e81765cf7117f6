"""The store: measurements kept by content, so that a run after no change measures nothing again.

An entry's key is the digest of everything that could have changed the measurement. An entry is one file: a line of
JSON that names schema, kind, key, and the length and digest of the body, then the body. Whatever is torn, foreign, of
another schema or not whole is treated as absent and replaced; nothing is ever repaired, nothing doubtful ever judged.

Times are never read back: a :class:`~eyerace_parity.evidence.costs.Timing` or
:class:`~eyerace_parity.evidence.costs.Footprint` of yesterday says nothing about today's machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import RecordError
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.codec import decode, encode
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.machine_lock import MachineLock

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = 1
"""Version of an entry's form; entries of any other are not read."""

MAX_BYTES: Final = 2 << 30
"""How much the store keeps by default."""

_FORMAT: Final = "eyerace-parity evidence"
_SUFFIX: Final = ".evidence"
_KEY: Final = re.compile(r"(?:release )?(?:sha256:)?[^/\\:\x00]{1,200}")
"""What a key may look like: never like a path."""
_WRITING: Final = ".writing-"
_DAY: Final = 86_400.0


@dataclass(slots=True)
class EvidenceCache:
    """Measurements by content.

    Attributes:
        folder: Where entries lie; made when the first one is written.
        max_bytes: What :meth:`tidy` leaves.
        trouble: Why something could not be kept, or an empty string. The run goes on without: it only costs time.
        wrote: Whether this object has added an entry.
    """

    folder: Path
    max_bytes: int = MAX_BYTES
    trouble: str = ""
    wrote: bool = field(default=False, init=False)

    def read(self, kind: str, key: str) -> bytes | None:
        """Return an entry's body, or ``None`` if there is no whole entry of this kind and key."""
        if not _KEY.fullmatch(key) or not kind.isalpha():
            return None  # a record names keys, too, and a record may say anything
        path = self._path(kind, key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        head, _, body = content.partition(b"\n")
        if head != _head(kind, key, body):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now: the oldest are tidied away first
        return body

    def write(self, kind: str, key: str, body: bytes) -> None:
        """Add or replace an entry, whole or not at all. What cannot be written is told in :attr:`trouble`."""
        path = self._path(kind, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_WRITING)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_head(kind, key, body) + b"\n")
                    file.write(body)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.trouble = self.trouble or f"{self.folder}: {error.strerror or error}"
            return
        self.wrote = True

    @contextlib.contextmanager
    def claim(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold a key while measuring it: of two runs, or two xdist workers, one measures and the other waits.

        The lock is the system's and ends with the process that holds it. Where no lock can be had, both measure.

        Args:
            key: The key.
            wait: Whether to wait for another that holds it. Yields whether it is held, or nobody can hold it.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - its import costs more than a run that finds all it needs

        turns = self._turns()
        if wait and turns.alone:
            # All others stand still: the holder of the key would never come to give it back.
            yield True
            return
        lock = FileLock(self.folder / "locks" / f"{_stem(key)}.lock")
        free = True
        try:
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
            with turns.letting_go() if wait else contextlib.nullcontext():
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
        """Work on the machine: beside all others that do so with this store, or while none of them does.

        Args:
            alone: Whether nobody else may work meanwhile.
        """
        turns = self._turns()
        return turns.by_oneself() if alone else turns.sharing()

    def _turns(self) -> MachineLock:
        return MachineLock(self.folder / "locks", self._note)

    def _note(self, trouble: str) -> None:
        self.trouble = self.trouble or f"{self.folder}: {trouble}"

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, size, _ in self._entries())

    def tidy(self, max_bytes: int | None = None) -> int:
        """Remove entries, those unused for longest first, until no more than ``max_bytes`` are left.

        Args:
            max_bytes: What to leave; the store's own limit by default, 0 empties it.

        Returns:
            Bytes that were freed.
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
        """Remove what runs that were killed while they wrote have left; nobody writes for a day."""
        for path in self.folder.glob(f"*/{_WRITING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _DAY:
                    path.unlink()

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{_stem(key)}{_SUFFIX}"

    def _entries(self) -> list[tuple[float, int, Path]]:
        """All entries: last use, bytes, path."""
        found = []
        for path in self.folder.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # another run may tidy at the same time
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return found


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


E = TypeVar("E")


_FAILED: Final = ("failure", "batch_refused", "checker")
"""Fields in which evidence says that something failed."""


def put(store: EvidenceCache, key: str, evidence: object) -> None:
    """Put evidence into the store, if it is true of more than this run.

    What failed while a limit on this process was in force may have failed of the limit, however native code worded it.
    """
    if any(getattr(evidence, name, "") for name in _FAILED) and _limited():
        return
    store.write(KINDS.of(type(evidence)).word, key, encode(evidence))


def _limited() -> bool:
    """Whether this process, and so all that it starts, has less memory, disk or time than the machine gives."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return False
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


def get(store: EvidenceCache, kind: type[E], key: str) -> E | None:
    """Take evidence out of the store, marked as such; ``None`` if there is none that is whole."""
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
