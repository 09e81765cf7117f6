"""Samples on which two variants decide differently, and those of them that the bundle knows."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from eyerace_parity.core.text import NAME, NAME_IN_WORDS, NAME_LENGTH
from eyerace_parity.evidence.base import Fact, Provenance


class Flip(Fact):
    """A sample on which two variants decide differently.

    Attributes:
        id: The sample.
        label: Its class; empty in a set without labels.
        decision: What the candidate decides.
        other: What the other one decides.
        kind: Who was right: ``harmed`` (right→wrong), ``mended`` (wrong→right), ``moved`` (wrong→wrong), or
            ``unlabelled``.
        margin: The candidate's score of its own decision less its score of the other's; a narrow one is nearly a tie.
        other_margin: The other's score of its own decision less its score of the candidate's.
        capture: What the table of labels says of the photograph, by column.
    """

    id: str
    label: str
    decision: str
    other: str
    kind: Literal["harmed", "mended", "moved", "unlabelled"]
    margin: float
    other_margin: float
    capture: dict[str, str] = {}


class FlipLedger(Fact):
    """Every sample on which two variants decide differently, reckoned from what both answered.

    Attributes:
        provenance: Where the candidate's answers came from; its settings name the other's evidence.
        failure: Why decisions could not be compared; everything else is then empty.
        samples: Samples that both answered.
        total: How many flipped.
        harmed: How many of them the other decided rightly and the candidate wrongly.
        mended: How many the other way round.
        moved: How many both decide wrongly.
        rows: The flips, the harmful first, each kind in the set's order; no more than a record can carry.
    """

    provenance: Provenance
    failure: str = ""
    samples: int = 0
    total: int = 0
    harmed: int = 0
    mended: int = 0
    moved: int = 0
    rows: tuple[Flip, ...] = ()


class KnownFlips(Fact):
    """The flips that the bundle says are known, and the day on which that is read.

    Attributes:
        provenance: Which file.
        failure: Why the file could not be read; there are then no entries.
        today: The day, ISO 8601: an acceptance has an end.
        entries: What the file says; empty where there is no file.
    """

    provenance: Provenance
    failure: str = ""
    today: str
    entries: tuple[AcceptedFlip, ...] = ()


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""A text that a person has written."""

VariantName = Annotated[
    str,
    StringConstraints(pattern=NAME.pattern, max_length=NAME_LENGTH),
    Field(description=NAME_IN_WORDS),
]
"""A name that a contract can give a variant."""


BASELINE = "baseline"
"""Stands for the accepted release where a flip says against which variant it was found."""


class AcceptedFlip(Fact):
    """A flip that somebody has looked at and accepted.

    Attributes:
        id: The sample.
        variant: The variant that decides otherwise.
        against: The variant that it differs from, or ``baseline`` for the accepted release.
        decision: What it is accepted to decide; any other decision is a new flip. Empty for any.
        reason: Why it is accepted.
        expires: The last day on which it is.
    """

    id: Text
    variant: VariantName
    against: VariantName
    decision: str = ""
    reason: Text
    expires: dt.date
