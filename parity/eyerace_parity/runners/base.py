"""The interface of runners: load once, infer many times, close.

Only runners know how a variant is executed. They know nothing about golden sets, limits or verdicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from eyerace_parity.evidence.artefacts import PortFact
    from eyerace_parity.evidence.base import Array


class Runner(ABC):
    """One loaded variant.

    Use it as a context manager: entering loads, leaving frees. Several threads may call ``infer`` at once.
    """

    @property
    @abstractmethod
    def runtime(self) -> str:
        """Name and version of the runtime, such as ``onnxruntime 1.32.0``; known before loading."""

    @abstractmethod
    def load(self) -> None:
        """Load the artefact.

        Raises:
            ArtefactError: It is missing, torn or of another format, or the runtime refuses it.
        """

    @abstractmethod
    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one inference.

        Args:
            feeds: All inputs by name, batch axis included.

        Returns:
            All outputs by name, batch axis included.

        Raises:
            MeasurementError: The runtime refused the inputs or failed.
        """

    @abstractmethod
    def ports(self) -> tuple[tuple[PortFact, ...], tuple[PortFact, ...]]:
        """Inputs and outputs as the loaded model declares them; empty if the format declares none (torch)."""

    def close(self) -> None:  # noqa: B027 - most runtimes free by themselves
        """Free the loaded model. Closing twice does no harm."""

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
