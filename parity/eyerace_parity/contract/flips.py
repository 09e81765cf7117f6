"""Flips that are known and accepted: where they are written down, and what is written of each."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field, StringConstraints

from eyerace_parity.contract.base import BundlePath, Model, Name

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]

BASELINE = "baseline"
"""Stands for the accepted release where a flip says against which variant it was found."""


class Flips(Model):
    """The contract's word on flips.

    Attributes:
        accepted: The file of flips that are known and accepted; it need not be there.
    """

    accepted: BundlePath = BundlePath("flips.toml")


class AcceptedFlip(Model):
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
    variant: Name
    against: Name
    decision: str = ""
    reason: Text
    expires: dt.date


class FlipFile(Model):
    """The whole file.

    Attributes:
        flip: Every accepted flip.
    """

    flip: tuple[AcceptedFlip, ...] = Field(default=())
