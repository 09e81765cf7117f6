"""One assistant for all contracts of a run, had when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eyerace_parity.isolation.client import Assistant


@dataclass(slots=True)
class Assistance:
    """Gives the assistant of a run.

    Attributes:
        wanted: Whether there is to be one; else the run's own process measures.
    """

    wanted: bool
    _assistant: Assistant | None = field(default=None, init=False)

    def get(self) -> Assistant | None:
        """The assistant, always the same; ``None`` where none is wanted."""
        if self._assistant is None and self.wanted:
            from eyerace_parity.isolation.client import Assistant  # noqa: PLC0415 - a run that only collects needs none

            self._assistant = Assistant()
        return self._assistant

    def close(self) -> None:
        """End its process, if it has one."""
        if self._assistant is not None:
            self._assistant.close()
