"""Turns: many may work on the machine at once, or one alone, over all processes of a run.

Whoever takes times or memory must be alone; all other work shares. A share is one of a fixed number of lock files, so
that it ends with the process that holds it; who wants to be alone shuts the gate, so that no new share is given out,
and waits for those that are left: nobody who shares can keep it waiting for ever.

Nobody waits for anything while holding a share: it is let go and taken again. So however these turns and the claims of
the store lie in each other, no two processes wait for each other.
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
"""How many can share at once; who comes later waits."""

_POLL: Final = 0.05
"""Seconds between two looks at a lock that somebody holds."""


class _Lock(Protocol):
    def acquire(self, *, poll_interval: float, blocking: bool) -> object: ...

    def release(self) -> None: ...


class _Held(threading.local):
    """What a thread holds, by folder: the lock of its share, or ``None`` for being alone."""

    def __init__(self) -> None:
        self.by_folder: dict[Path, _Lock | None] = {}


_HELD = _Held()


class MachineLock:
    """The turns of all processes that agree on a folder.

    Where no lock can be had, everybody works at once and the trouble is told.

    Args:
        folder: Where the lock files lie; made when the first is taken.
        trouble: Called with why no lock could be had.
    """

    def __init__(self, folder: Path, trouble: Callable[[str], None]) -> None:
        self._folder = folder
        self._trouble = trouble

    @property
    def alone(self) -> bool:
        """Whether this thread works alone now."""
        return self._folder in _HELD.by_folder and _HELD.by_folder[self._folder] is None

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Work while others work, but never while somebody is alone. Within a turn of one's own it changes nothing."""
        if self._folder in _HELD.by_folder:
            yield
            return
        self._take_share()
        try:
            yield
        finally:
            self._drop_share()

    @contextmanager
    def by_oneself(self) -> Iterator[None]:
        """Work while nobody else does."""
        if self.alone:
            yield
            return
        with self.letting_go(), ExitStack() as locks:
            try:
                for lock in (self._gate(), *(self._share(number) for number in range(SHARES))):
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
    def letting_go(self) -> Iterator[None]:
        """Hold no share meanwhile: around everything that waits for another process."""
        if self._folder not in _HELD.by_folder or self.alone:
            yield
            return
        self._drop_share()
        try:
            yield
        finally:
            self._take_share()

    def _take_share(self) -> None:
        from filelock import Timeout  # noqa: PLC0415 - as in the store

        try:
            gate = self._gate()
            gate.acquire(poll_interval=_POLL, blocking=True)
            try:
                number = os.getpid()
                while True:
                    lock = self._share(number % SHARES)
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

    def _gate(self) -> _Lock:
        return self._lock("gate")

    def _share(self, number: int) -> _Lock:
        return self._lock(f"share-{number:02}")

    def _lock(self, name: str) -> _Lock:
        from filelock import FileLock  # noqa: PLC0415 - its import costs more than a run that finds all it needs

        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / f"{name}.lock")
