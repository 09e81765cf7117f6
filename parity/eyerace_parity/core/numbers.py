"""How numbers, lists and judgements are put into words, alike in every family."""

from __future__ import annotations

import math

_WHOLE = 1e15

_KILO = 1000
_BYTES = ("B", "kB", "MB", "GB", "TB")
_COUNTS = ("", "k", "M", "G", "T")


def format_count(count: float) -> str:
    """Write a number of instructions with the prefix that fits it: ``134.2 M``."""
    unit = 0
    while abs(count) >= _KILO and unit < len(_COUNTS) - 1:
        count, unit = count / _KILO, unit + 1
    return f"{format_number(count)} {_COUNTS[unit]}".rstrip()


def format_number(value: float) -> str:
    """Write a number with four significant digits, a whole number as it is."""
    if math.isfinite(value) and float(value).is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return f"{value:.4g}"


def format_bytes(size: float) -> str:
    """Write a number of bytes in the decimal unit that fits it, as contracts and the table do: ``12.83 kB``."""
    unit = 0
    while size >= _KILO and unit < len(_BYTES) - 1:
        size, unit = size / _KILO, unit + 1
    return f"{format_number(size)} {_BYTES[unit]}"


def pluralise(number: int, one: str, many: str = "") -> str:
    """Write ``1 run``, ``2 runs``; a plural that is not made with *s* is given."""
    return f"{number} {one if number == 1 else many or one + 's'}"
