"""How a verdict is put into words and signs, alike in the table, in a failure and in a CI note.

Every status has a sign of its own beside its colour, for those who see none, and a stream that cannot encode the signs
gets plain ones.
"""

# ruff: noqa: RUF001 - the signs below are meant as they stand

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import without_control_characters
from eyerace_parity.core.numbers import SIGNIFICANT, format_quantity, shown_unit
from eyerace_parity.core.result import HOST, Relation, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.record.rows import VerdictEntry


@dataclass(frozen=True, slots=True)
class StatusSigns:
    """The signs of one stream.

    Attributes:
        status: One sign a status.
        unjudged: Sign of a clause without a verdict.
        stands: How a value stands to its limit, when it holds.
        fails: The same, when it does not.
        plain: Whether everything beyond ASCII must be written otherwise.
    """

    status: Mapping[Status, str]
    unjudged: str
    stands: Mapping[Relation, str]
    fails: Mapping[Relation, str]
    plain: bool = False

    def text(self, text: str) -> str:
        """Write any text so that the stream can take it."""
        text = without_control_characters(text)
        if not self.plain:
            return text
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


RICH: Final = StatusSigns(
    status={Status.HELD: "✓", Status.BROKEN: "✗", Status.UNPROVEN: "?", Status.ERROR: "!"},
    unjudged="·",
    stands={relation: relation.value for relation in Relation},
    fails={Relation.AT_MOST: ">", Relation.AT_LEAST: "<", Relation.EQUAL: "≠"},
)
"""For a stream that takes Unicode."""

PLAIN: Final = StatusSigns(
    status={Status.HELD: "+", Status.BROKEN: "x", Status.UNPROVEN: "?", Status.ERROR: "!"},
    unjudged=".",
    stands={Relation.AT_MOST: "<=", Relation.AT_LEAST: ">=", Relation.EQUAL: "="},
    fails={Relation.AT_MOST: ">", Relation.AT_LEAST: "<", Relation.EQUAL: "!="},
    plain=True,
)
"""For a stream that does not."""

_PLAIN: Final = str.maketrans(
    {
        "≤": "<=", "≥": ">=", "≠": "!=", "×": "x", "∞": "inf", "±": "+-", "→": "->", "…": "...", "—": "-", "–": "-",
        "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "·": ".", "✓": "+", "✗": "x", "─": "-", "━": "-", "µ": "u",
    }
)  # fmt: skip


def signs_for(encoding: str | None) -> StatusSigns:
    """The signs that a stream of this encoding can take."""
    try:
        "✓✗≤≥≠×·…∞─━".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return RICH


def comparison(row: VerdictEntry, signs: StatusSigns) -> str:
    """Write value against limit, e.g. ``0.921 ≥ 0.875``; what is said is true: a broken one reads ``0.81 < 0.875``."""
    return " ".join(filter(None, compared(row, signs)))


def compared(row: VerdictEntry, signs: StatusSigns) -> tuple[str, str]:
    """Write value and limit apart, e.g. ``0.921`` and ``≥ 0.875``, each empty where there is none to tell.

    A number gets as many digits as it takes to differ from its limit.
    """
    stands = signs.fails if row.status is Status.BROKEN else signs.stands
    sign = stands[row.relation]
    if row.value is None:
        return "", "" if row.limit is None else f"{signs.stands[row.relation]} {format_quantity(row.limit, row.unit)}"
    if row.limit is None:
        return format_quantity(row.value, row.unit), ""
    value, limit = format_quantity(row.value, row.unit), format_quantity(row.limit, row.unit)
    for digits in range(SIGNIFICANT + 1, 18):
        if value != limit or row.value == row.limit:
            break
        value, limit = (format_quantity(number, row.unit, digits=digits) for number in (row.value, row.limit))
    if row.status.passes and row.relation is Relation.EQUAL and value == limit:
        return value, ""
    return value, f"{sign} {limit}"


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A row of the clause table.

    Attributes:
        row: The verdict.
        sign: Its sign.
        number: What was found.
        limit: How that stands to what is demanded, with the unit of both.
        place: Where it was executed, empty for the host.
    """

    row: VerdictEntry
    sign: str
    number: str
    limit: str
    place: str

    @property
    def found(self) -> str:
        """Number against limit."""
        return " ".join(filter(None, (self.number, self.limit)))


def verdict_row(row: VerdictEntry) -> VerdictLine:
    """Write a verdict as a row of the clause table."""
    number, limit = compared(row, RICH)
    demanded = " ".join(filter(None, (limit, shown_unit(row.unit))))
    return VerdictLine(row, RICH.status[row.status], number, demanded, "" if row.target == HOST else row.target)


def outcome_sign(outcome: str, signs: StatusSigns = RICH) -> str:
    """The sign of a whole contract; of one that was not judged in full, that of what is not proven."""
    return signs.status[Status.UNPROVEN if outcome == "unjudged" else Status(outcome)]


def title(row: VerdictEntry, signs: StatusSigns) -> str:
    """Say a verdict in one line, e.g. ``✗ int8 f1 is broken (0.81 < 0.875): …``."""
    compared = " ".join(filter(None, (comparison(row, signs), shown_unit(row.unit))))
    numbers = f" ({compared})" if compared and row.value is not None else ""
    words = {Status.HELD: "is held", Status.BROKEN: "is broken", Status.UNPROVEN: "is unproven"}
    answer = words.get(row.status, "could not be judged")
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.identity} {answer}{numbers}{reason}"


def account(row: VerdictEntry, signs: StatusSigns) -> str:
    """Tell a verdict in full: the verdict in the first line, likely causes, what to do next, then every detail."""
    lines = [f"{signs.status[row.status]} {title(row, signs)}"]
    lines += [f"  likely cause: {cause}" for cause in row.causes]
    if row.next:
        lines.append(f"  next: {row.next}")
    lines += [f"  {line}" for detail in row.details for line in detail.splitlines()]
    return signs.text("\n".join(lines))
