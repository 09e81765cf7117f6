"""Where evidence comes from, for whoever only asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Need

E = TypeVar("E")


class Source(Protocol):
    """Wherever evidence comes from: a laboratory that measures, or the record of a run that has."""

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be had.
        """

    def key(self, need: Need[Any]) -> str:
        """Name the evidence as it stands in the record.

        Raises:
            MeasurementError: What would name it cannot be read.
        """


class Inquiry:
    """A source that remembers what was asked of it and had, so that a verdict can name all that it rests on.

    Args:
        source: The source that answers.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._had: dict[Need[Any], tuple[str, Any]] = {}

    @property
    def needs(self) -> tuple[Need[Any], ...]:
        """What was had, in the order in which it was asked for."""
        return tuple(self._had)

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys, in the same order."""
        return tuple(key for key, _ in self._had.values())

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be had.
        """
        if need not in self._had:
            evidence = self._source.obtain(need)
            self._had[need] = (self._source.key(need), evidence)
        return cast("E", self._had[need][1])

    def key(self, need: Need[Any]) -> str:
        """Name the evidence as it stands in the record.

        Raises:
            MeasurementError: What would name it cannot be read.
        """
        return self._had[need][0] if need in self._had else self._source.key(need)
