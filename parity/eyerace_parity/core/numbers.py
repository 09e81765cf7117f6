"""Numbers in words: every count, size, factor and limit that is shown is written here, by one rule each."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import Relation

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNIFICANT: Final = 4
"""Digits of a number, unless more are needed to tell it from its limit."""

INFINITE: Final = "∞"
"""A value without bound: JSON has no number for it."""

FACTOR: Final = "×"  # noqa: RUF001 - the sign of a factor
"""Stands before a factor, and begins the unit of a ratio."""

PREFIXES: Final = ("", "k", "M", "G", "T")
"""Prefixes of a unit, each :data:`KILO` times the one before."""

KILO: Final = 1000

UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "bytes": ("B", *(f"{prefix}B" for prefix in PREFIXES[1:])),
    "instructions": PREFIXES,
}
"""Units that are written with the prefix that fits a value, as contracts write them."""

_WHOLE: Final = 1e15
"""Whole numbers from here on are written with an exponent."""

_PASSING: Final = 3
"""Significant digits of a limit that would have passed."""


def format_number(value: float, *, digits: int = SIGNIFICANT) -> str:
    """Write a number with some significant digits, a whole number as it is."""
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return f"{value:.{digits}g}"


def format_quantity(value: float | str, unit: str, *, digits: int = SIGNIFICANT) -> str:
    """Write a value; bytes and instructions with the prefix that fits them, everything else without its unit.

    Args:
        value: A number, or a text that stands for itself.
        unit: Its unit.
        digits: Significant digits of a number that is not whole.
    """
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    names, place = UNITS.get(unit, ("",)), 0
    while abs(value) >= KILO and place < len(names) - 1:
        value, place = value / KILO, place + 1
    return f"{format_number(value, digits=digits)} {names[place]}".rstrip()


def format_bytes(size: float) -> str:
    """Write a number of bytes: ``12.83 kB``."""
    return format_quantity(size, "bytes")


def format_count(count: float) -> str:
    """Write a number of instructions: ``134.2 M``."""
    return format_quantity(count, "instructions")


def shown_unit(unit: str) -> str:
    """The unit as it stands beside a number; bytes carry theirs already, instructions are the name of their clause."""
    return "" if unit in UNITS else unit


def format_percent(share: float) -> str:
    """Write a share in per cent: ``4.88 %``."""
    return f"{100 * share:.3g} %"


def passing_limit(value: float, relation: Relation) -> str:
    """Write the tightest limit of three significant digits that ``value`` would have held."""
    if not math.isfinite(value):
        return "none"
    exact = Decimal(repr(float(value)))
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(exact.adjusted() - _PASSING + 1)
    rounding = ROUND_FLOOR if relation is Relation.AT_LEAST else ROUND_CEILING
    return f"{float((exact / step).to_integral_value(rounding) * step):.12g}"


def pluralise(number: int, one: str, many: str = "") -> str:
    """Write ``1 run``, ``2 runs``; a plural that is not made with *s* is given."""
    return f"{number} {one if number == 1 else many or one + 's'}"
