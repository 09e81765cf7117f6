"""How long work tells how far it is. The terminal shows it, a log stays quiet; the work does not know which."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Task(Protocol):
    """One piece of long work under way."""

    def advance(self, n: int = 1) -> None:
        """Say that ``n`` more steps are done."""


class Progress(Protocol):
    """Whoever wants to hear of long work."""

    def task(self, label: str, total: int | None) -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps, or of an unknown number."""


class _SilentTask:
    def advance(self, n: int = 1) -> None:
        """Say nothing."""


class SilentProgress:
    """A progress that nobody hears."""

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Task]:  # noqa: ARG002 - the agreed shape
        """Open a task in silence."""
        yield _SilentTask()
