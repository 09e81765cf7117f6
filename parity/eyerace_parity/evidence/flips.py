"""Evidence of flips (samples that two variants decide differently) and of accepted flips."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from eyerace_parity.core.text import NAME, NAME_IN_WORDS, NAME_LENGTH
from eyerace_parity.evidence.base import Fact, Provenance

BASELINE = "baseline"
"""Name of the accepted release in :attr:`AcceptedFlip.against`."""


class Flip(Fact):
    """A sample that two variants decide differently.

    Attributes:
        id: Name of the sample.
        label: Its class; empty in an unlabelled set.
        decision: The candidate's decision.
        other: The other variant's decision.
        kind: ``harmed`` (right→wrong), ``mended`` (wrong→right), ``moved`` (wrong→wrong), or ``unlabelled``.
        margin: The candidate's score of its own decision minus its score of the other's. Near 0, it is almost a tie.
        other_margin: The other variant's score of its own decision minus its score of the candidate's.
        capture: Other columns of the label table for this photograph, by name.
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
    """All samples that two variants decide differently, computed from their answers.

    Attributes:
        provenance: Origin of the candidate's answers; its settings name the other variant's evidence.
        failure: Why decisions could not be compared; all other fields are then empty.
        samples: Number of samples that both answered.
        total: Number of flips.
        harmed: Number of flips from right to wrong.
        mended: Number of flips from wrong to right.
        moved: Number of flips between wrong decisions.
        rows: The flips, harmed ones first, each kind in the set's order. Their number is limited for the record.
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
    """Contents of the bundle's accepted-flips file, and the date of reading.

    Attributes:
        provenance: Identifies the file.
        failure: Why the file could not be read; there are then no entries.
        today: Date of reading, ISO 8601. Accepted flips expire.
        entries: Entries of the file; empty without a file.
    """

    provenance: Provenance
    failure: str = ""
    today: str
    entries: tuple[AcceptedFlip, ...] = ()


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""A text for readers."""

VariantName = Annotated[
    str,
    StringConstraints(pattern=NAME.pattern, max_length=NAME_LENGTH),
    Field(description=NAME_IN_WORDS),
]
"""A valid name of a variant."""


class AcceptedFlip(Fact):
    """A flip that a person has reviewed and accepted.

    Attributes:
        id: Name of the sample.
        variant: The variant with the other decision.
        against: The variant that it differs from, or ``baseline`` for the accepted release.
        decision: The accepted decision; any other decision is a new flip. Empty accepts every decision.
        reason: Why the flip is accepted.
        expires: Last day of the acceptance.
    """

    id: Text
    variant: VariantName
    against: VariantName
    decision: str = ""
    reason: Text
    expires: dt.date
