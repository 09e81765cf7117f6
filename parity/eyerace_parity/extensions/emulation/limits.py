"""Budgets of instructions: how a contract writes them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from eyerace_parity.checks.limits import RatioLimit
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.numbers import KILO, PREFIXES

_WRITTEN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)")


def _read(value: object) -> object:
    """Read a number that is written with a prefix; anything else is left to the check of types."""
    if not isinstance(value, str):
        return value
    written = _WRITTEN.fullmatch(value.strip())
    if written is None:
        message = 'must be a number of instructions, or a text with one of the units k, M, G, T, such as "190 M"'
        raise ValueError(message)
    number = Decimal(written[1]) * KILO ** PREFIXES.index(written[2])
    if number != number.to_integral_value():
        raise ValueError("must be a whole number of instructions")
    return int(number)


Count = Annotated[int, BeforeValidator(_read), Field(gt=0)]
"""A number of instructions, or a text with a unit."""


Budget = Count | dict[str, Count]
"""One number for all targets, or a table of target and number."""


class InstructionLimits(Limits):
    """What an emulated inference may cost. Instructions are a proxy: caches, clock and heat are not in them."""

    instructions: Budget | None = limit(
        'Most instructions of a steady inference with one thread, e.g. 190000000 or "190 M"; or a table of '
        "them by target, which demands nothing of the targets that it does not name."
    )
    load_instructions: Budget | None = limit("Most instructions of creating a session, in the same form.")
    instructions_ratio: RatioLimit | None = limit(
        "Largest ratio of the instructions of an inference to another variant's on the same target, e.g. "
        '{versus = "fp32", at_most = 0.5}.'
    )
    instructions_growth: Annotated[float, Field(ge=0.0)] | None = limit(
        "How much more instructions an inference may take than the accepted release's, as a share: 0.02 for 2 %."
    )
