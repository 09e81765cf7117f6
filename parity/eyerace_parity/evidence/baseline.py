"""The accepted release as a source of evidence: what it must offer, and when it cannot be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from eyerace_parity.core.errors import MeasurementError

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Need, Provenance

E = TypeVar("E")

GIVE_BASELINE: Final = (
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
