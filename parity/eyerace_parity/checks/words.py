"""How numbers, lists and judgements are put into words, alike in every family."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from numbers import Integral
from typing import TYPE_CHECKING

from eyerace_parity.core.places import did_you_mean, listed
from eyerace_parity.core.result import Judgement, Relation, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INFINITE = "∞"
"""A value without bound: JSON has no number for it."""

_WHOLE = 1e15
_DIGITS = 3
_KILO = 1000
_BYTES = ("B", "kB", "MB", "GB", "TB")


def figure(value: float) -> str:
    """Write a number with four significant digits, a whole number as it is."""
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return f"{value:.4g}"


def volume(size: float) -> str:
    """Write a number of bytes in the decimal unit that fits it, as contracts and the table do: ``12.83 kB``."""
    unit = 0
    while size >= _KILO and unit < len(_BYTES) - 1:
        size, unit = size / _KILO, unit + 1
    return f"{figure(size)} {_BYTES[unit]}"


def counted(number: int, one: str, many: str = "") -> str:
    """Write ``1 run``, ``2 runs``; a plural that is not made with *s* is given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def unknown(key: str, known: Sequence[str], given: str, what: str) -> str:
    """Say that a name in a limit leads nowhere, and which would not."""
    near = did_you_mean(given, known) or ";"
    return (
        f"{key} names no {what}{near} there are {listed(known)}" if known else f"{key} names no {what}; there is none"
    )


def passing(value: float, relation: Relation) -> str:
    """Write the tightest limit of three significant digits that ``value`` would have held."""
    if not math.isfinite(value):
        return "none"
    exact = Decimal(repr(float(value)))
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(exact.adjusted() - _DIGITS + 1)
    rounding = ROUND_FLOOR if relation is Relation.AT_LEAST else ROUND_CEILING
    return f"{float((exact / step).to_integral_value(rounding) * step):.12g}"


def against(
    relation: Relation,
    limit: float,
    value: float,
    *,
    unit: str = "",
    found: str,
    next_step: str,
    details: Iterable[str] = (),
) -> Judgement:
    """Hold a number against its limit.

    Args:
        relation: How it must stand to the limit.
        limit: What the contract demands.
        value: What was measured. A NaN is an error, for there is nothing to compare.
        unit: Unit of both.
        found: What was found, one sentence; it stands whichever way the comparison goes.
        next_step: What to do when the limit does not hold.
        details: Further lines.
    """
    if math.isnan(value):
        found = f"{found} (the number is not defined)"
        return Judgement(Status.ERROR, None, limit, relation, unit, found, next_step, tuple(details))
    held = relation.holds(value, limit)
    shown: float | str = _plain(value)
    if math.isinf(value):
        shown = INFINITE if value > 0 else f"-{INFINITE}"
    status = Status.HELD if held else Status.BROKEN
    return Judgement(status, shown, _plain(limit), relation, unit, found, "" if held else next_step, tuple(details))


def _plain(number: float) -> float:
    """Make a builtin of a number of any library, which the record can hold; what counts stays whole."""
    return int(number) if isinstance(number, Integral) else float(number)


def matching(
    held: bool,  # noqa: FBT001 - the answer itself
    value: str,
    limit: str,
    *,
    relation: Relation = Relation.EQUAL,
    found: str,
    next_step: str,
    details: Iterable[str] = (),
) -> Judgement:
    """Hold a text against a text: names, shapes, versions."""
    status = Status.HELD if held else Status.BROKEN
    return Judgement(status, value, limit, relation, "", found, "" if held else next_step, tuple(details))


def cannot_judge(reason: str, next_step: str, details: Iterable[str] = ()) -> Judgement:
    """The evidence is there, but no number can be had from it."""
    return Judgement(Status.ERROR, reason=reason, next_step=next_step, details=tuple(details))
