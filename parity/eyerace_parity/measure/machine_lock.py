"""Cross-process readers-writer lock on the machine: measurements of times and memory hold it exclusively.

A shared holder owns one of a fixed number of slots. The exclusive holder takes the gate and then every slot. The gate
stops new shared holders, so the exclusive holder never starves. Slots and gate are lock files of the system, which end
with the process that holds them.

A process never waits for another one while it holds a slot: it releases the slot and takes one again. So nested claims
of the evidence cache and this lock cannot deadlock.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHARES: Final = 64
"""Number of slots: processes that can hold the lock shared at once."""

_POLL: Final = 0.05
"""Seconds between two attempts to take a lock."""


class _Lock(Protocol):
    def acquire(self, *, poll_interval: float, blocking: bool) -> object: ...

    def release(self) -> None: ...


class _Held(threading.local):
    """What the thread holds, by folder: the lock of its slot, or ``None`` if it holds the machine exclusively."""

    def __init__(self) -> None:
        self.by_folder: dict[Path, _Lock | None] = {}


_HELD = _Held()


class MachineLock:
    """Lock of all processes that use the same folder.

    If the file system has no locks, nothing waits, and the reason is reported.

    Args:
        folder: Folder of the lock files; created with the first lock.
        trouble: Called with the reason if no lock can be taken.
    """

    def __init__(self, folder: Path, trouble: Callable[[str], None]) -> None:
        self._folder = folder
        self._trouble = trouble

    @property
    def is_exclusive(self) -> bool:
        """Whether this thread holds the lock exclusively."""
        return self._folder in _HELD.by_folder and _HELD.by_folder[self._folder] is None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock shared. Has no effect if this thread already holds the lock."""
        if self._folder in _HELD.by_folder:
            yield
            return
        self._take_share()
        try:
            yield
        finally:
            self._drop_share()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock exclusively."""
        if self.is_exclusive:
            yield
            return
        with self.released(), ExitStack() as locks:
            try:
                for lock in map(self._lock, ("gate", *(_slot(number) for number in range(SHARES)))):
                    lock.acquire(poll_interval=_POLL, blocking=True)
                    locks.callback(lock.release)
            except (OSError, NotImplementedError) as error:
                self._trouble(str(error))
            _HELD.by_folder[self._folder] = None
            try:
                yield
            finally:
                del _HELD.by_folder[self._folder]

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the slot in the context; used around everything that waits for another process."""
        if self._folder not in _HELD.by_folder or self.is_exclusive:
            yield
            return
        self._drop_share()
        try:
            yield
        finally:
            self._take_share()

    def _take_share(self) -> None:
        from filelock import Timeout  # noqa: PLC0415 - as in _lock

        try:
            gate = self._lock("gate")
            gate.acquire(poll_interval=_POLL, blocking=True)
            try:
                # Starts at a slot that depends on the process, so that processes rarely try the same slot.
                number = os.getpid()
                while True:
                    lock = self._lock(_slot(number))
                    try:
                        lock.acquire(poll_interval=_POLL, blocking=False)
                        break
                    except Timeout:
                        number += 1
                        if (number - os.getpid()) % SHARES == 0:
                            time.sleep(_POLL)
            finally:
                gate.release()
            _HELD.by_folder[self._folder] = lock
        except (OSError, NotImplementedError) as error:
            self._trouble(str(error))

    def _drop_share(self) -> None:
        lock = _HELD.by_folder.pop(self._folder, None)
        if lock is not None:
            lock.release()

    def _lock(self, name: str) -> _Lock:
        from filelock import FileLock  # noqa: PLC0415 - the import takes longer than a fully cached run

        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / f"{name}.lock")


def _slot(number: int) -> str:
    return f"share-{number % SHARES:02}"
