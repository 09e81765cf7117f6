"""Where evidence comes from, for whoever only asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from eyerace_parity.core.errors import MeasurementError

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Need, Provenance

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


class TrackedSource:
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


NEXT_STEP_BASELINE: Final = (
    "save the release with `eyerace-parity release save NAME`, then name it with --eyerace-parity-baseline NAME "
    'or baseline = "NAME" below [release] in the contract'
)
"""What settles a clause that has no release to compare with."""


class Baseline(Protocol):
    """The accepted release that a candidate is judged against: whoever gives the evidence of it."""

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            BaselineMissing: The release holds no such evidence.
            MeasurementError: What it holds cannot be compared with the candidate, or cannot be read.
        """

    def key(self, need: Need[Any]) -> str:
        """Name the evidence as it stands in the record; never a name that evidence of the candidate can have."""


def refuse_incomparable(need: Need[Any], found: Provenance, wanted: Provenance) -> None:
    """Refuse evidence of a release that was measured on something else than the candidate is.

    Args:
        need: What was asked for.
        found: Where the release's evidence came from.
        wanted: Where the candidate's comes from.

    Raises:
        MeasurementError: It was; says what differs.
    """
    told = {"golden": "the golden set", "preprocess": f"the preprocessing profile of {need.variant}"}
    differs = [
        f"{words} ({then[:19]} then, {now[:19]} now)"
        for key, words in told.items()
        if (then := getattr(found, key)) and (now := getattr(wanted, key)) and then != now
    ]
    if differs:
        raise MeasurementError(
            f"the release cannot be compared with, because of another state of {' and '.join(differs)}",
            next_step="restore what differs, or accept a new release with --eyerace-parity-accept NAME",
        )
