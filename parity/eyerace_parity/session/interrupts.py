"""Ctrl-C: the record is written first, and a second Ctrl-C gets a message that says so.

A second interrupt would otherwise end pytest with a traceback while the record is written, and the record is lost.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_AT_ONCE = 2
"""Further interrupts, after which the run is ended as it is."""


def _may_be_heard() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt here. In a background job it is ignored, and stays ignored."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return usual and threading.current_thread() is threading.main_thread()


@contextmanager
def held_back() -> Iterator[None]:
    """Delay Ctrl-C until the block ends. During an import it would appear as an error of the imported module."""
    if not _may_be_heard():
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


class InterruptGuard:
    """Holds back interrupts from the first one to the end of the run."""

    def __init__(self) -> None:
        self._before: Any = None
        self._further = 0

    def begin(self) -> None:
        """Hold further interrupts back. Only the main thread may do this."""
        if self._before is None and _may_be_heard():
            self._before = signal.signal(signal.SIGINT, self._hear)

    def end(self) -> None:
        """Let interrupts through again."""
        if self._before is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._further += 1
        if self._further >= _AT_ONCE:
            raise KeyboardInterrupt
        with suppress(OSError, ValueError):
            sys.stderr.write("\neyerace-parity: the record is being written; interrupt once more to end at once\n")
