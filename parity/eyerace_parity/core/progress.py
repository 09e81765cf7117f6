"""Progress reporting. The terminal shows progress and a log does not; the reporting code is the same for both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Task(Protocol):
    """A running task."""

    def advance(self, n: int = 1) -> None:
        """Report ``n`` more completed steps."""


class Progress(Protocol):
    """Receives progress of long tasks."""

    def task(self, label: str, total: int | None) -> AbstractContextManager[Task]:
        """Start a task of ``total`` steps; ``None`` if the number is unknown."""


class _SilentTask:
    def advance(self, n: int = 1) -> None:
        """Do nothing."""


class SilentProgress:
    """Discards progress."""

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Task]:  # noqa: ARG002 - signature of the protocol
        """Start a task that reports nothing."""
        yield _SilentTask()
