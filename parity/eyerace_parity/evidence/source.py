"""Interfaces of evidence sources: a laboratory, a record, or an accepted release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from eyerace_parity.core.errors import MeasurementError

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Need, Provenance

E = TypeVar("E")

NEXT_STEP_BASELINE: Final = (
    "save the release with `eyerace-parity release save NAME`, then name it with --eyerace-parity-baseline NAME "
    'or baseline = "NAME" below [release] in the contract'
)
"""Next step for a clause without an accepted release."""


class Source(Protocol):
    """A source of evidence: a laboratory that measures, or the record of an earlier run."""

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence for a need.

        Raises:
            MeasurementError: The evidence cannot be obtained.
        """

    def key(self, need: Need[Any]) -> str:
        """Return the evidence's key in the record.

        Raises:
            MeasurementError: A part of the key, such as a file's digest, cannot be read.
        """


class TrackedSource:
    """Remembers the evidence that it returned, so that a verdict can list all of its evidence.

    Args:
        source: The wrapped source.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._had: dict[Need[Any], tuple[str, Any]] = {}

    @property
    def needs(self) -> tuple[Need[Any], ...]:
        """Needs that were met, in order of request."""
        return tuple(self._had)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of their evidence, in the same order."""
        return tuple(key for key, _ in self._had.values())

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence for a need.

        Raises:
            MeasurementError: The evidence cannot be obtained.
        """
        if need not in self._had:
            evidence = self._source.obtain(need)
            self._had[need] = (self._source.key(need), evidence)
        return cast("E", self._had[need][1])

    def key(self, need: Need[Any]) -> str:
        """Return the evidence's key in the record.

        Raises:
            MeasurementError: A part of the key, such as a file's digest, cannot be read.
        """
        return self._had[need][0] if need in self._had else self._source.key(need)


class Baseline(Protocol):
    """A source of the accepted release's evidence, which the candidate is compared with."""

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence for a need.

        Raises:
            BaselineMissing: The release lacks this evidence.
            MeasurementError: The evidence cannot be read, or cannot be compared with the candidate's.
        """

    def key(self, need: Need[Any]) -> str:
        """Return the evidence's key in the record. It differs from every key of the candidate's evidence."""


def refuse_incomparable(need: Need[Any], found: Provenance, wanted: Provenance) -> None:
    """Refuse a release's evidence from another golden set or preprocessing profile than the candidate's.

    Args:
        need: The need for the evidence.
        found: Provenance of the release's evidence.
        wanted: Provenance of the candidate's evidence.

    Raises:
        MeasurementError: They differ; the message says in what.
    """
    compared = {"golden": "the golden set", "preprocess": f"the preprocessing profile of {need.variant}"}
    differs = [
        f"{words} ({then[:19]} then, {now[:19]} now)"
        for key, words in compared.items()
        if (then := getattr(found, key)) and (now := getattr(wanted, key)) and then != now
    ]
    if differs:
        raise MeasurementError(
            f"the release cannot be compared with, because of another state of {' and '.join(differs)}",
            next_step="restore what differs, or accept a new release with --eyerace-parity-accept NAME",
        )
