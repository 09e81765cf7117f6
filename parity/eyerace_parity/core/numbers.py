"""Formats numbers for display: counts, sizes, factors and limits, with one rule each."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import Relation

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNIFICANT: Final = 4
"""Default significant digits. More are used where a value would otherwise look equal to its limit."""

INFINITE: Final = "∞"
"""Text for an unbounded value, which JSON cannot represent as a number."""

FACTOR: Final = "×"  # noqa: RUF001 - the sign of a factor
"""Sign before a factor, and start of the unit of a ratio."""

PREFIXES: Final = ("", "k", "M", "G", "T")
"""SI prefixes, each :data:`KILO` times the one before."""

KILO: Final = 1000

UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "bytes": ("B", *(f"{prefix}B" for prefix in PREFIXES[1:])),
    "instructions": PREFIXES,
}
"""Units that get an SI prefix, spelled as in contracts."""

_WHOLE: Final = 1e15
"""Integers from this size on are written with an exponent. Below it, float64 holds every integer exactly."""

_PASSING: Final = 3
"""Significant digits of a suggested limit."""


def format_number(value: float, *, digits: int = SIGNIFICANT) -> str:
    """Format a number to ``digits`` significant digits. An integer keeps all of its digits."""
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return f"{value:.{digits}g}"


def format_quantity(value: float | str, unit: str, *, digits: int = SIGNIFICANT) -> str:
    """Format a value. Bytes and instructions get an SI prefix; all other values are written without their unit.

    Args:
        value: A number, or a text, which is returned unchanged.
        unit: Unit of the value.
        digits: Significant digits of a number that is not an integer.
    """
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    names, place = UNITS.get(unit, ("",)), 0
    while abs(value) >= KILO and place < len(names) - 1:
        value, place = value / KILO, place + 1
    return f"{format_number(value, digits=digits)} {names[place]}".rstrip()


def format_bytes(size: float) -> str:
    """Format a size in bytes: ``12.83 kB``."""
    return format_quantity(size, "bytes")


def format_count(count: float) -> str:
    """Format a number of instructions: ``134.2 M``."""
    return format_quantity(count, "instructions")


def shown_unit(unit: str) -> str:
    """Return the unit to print after a number; empty for units that :func:`format_quantity` handles."""
    return "" if unit in UNITS else unit


def format_percent(share: float) -> str:
    """Format a share (0 to 1) in per cent: ``4.88 %``."""
    return f"{100 * share:.3g} %"


def passing_limit(value: float, relation: Relation) -> str:
    """Format the tightest limit with three significant digits that ``value`` meets; ``none`` if it is not finite."""
    if not math.isfinite(value):
        return "none"
    exact = Decimal(repr(float(value)))
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(exact.adjusted() - _PASSING + 1)
    rounding = ROUND_FLOOR if relation is Relation.AT_LEAST else ROUND_CEILING
    return f"{float((exact / step).to_integral_value(rounding) * step):.12g}"


def pluralise(number: int, one: str, many: str = "") -> str:
    """Format ``1 run``, ``2 runs``. Pass ``many`` for an irregular plural."""
    return f"{number} {one if number == 1 else many or one + 's'}"
