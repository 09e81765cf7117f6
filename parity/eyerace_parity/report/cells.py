"""One verdict as a cell, and the table that cells stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

from eyerace_parity.core.result import Relation, Status
from eyerace_parity.report.view.words import comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.view.words import Signs

STYLES: Final = {
    Status.HELD: "green",
    Status.BROKEN: "bold red",
    Status.UNPROVEN: "yellow",
    Status.ERROR: "bold magenta",
}

NARROWEST_CELL: Final = 13
"""Columns that a cell takes."""

_WIDEST_TEXT: Final = 20


def grid(first: str, names: Sequence[str], signs: Signs) -> Table:
    """Make an empty table, with a column of labels called ``first`` before all others."""
    table = Table(
        box=box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n") if signs.plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
    )
    for name in (first, *names):
        table.add_column(signs.text(name), overflow="fold")
    return table


def cell(row: VerdictEntry | None, missing: bool, signs: Signs) -> Text:  # noqa: FBT001 - either, never both
    """Draw a verdict; ``missing`` is a clause that was demanded but got none."""
    if row is None:
        return Text(signs.unjudged if missing else "", style="dim")
    if isinstance(row.value, str):
        # A text is what was found; what it should have been is told below the table, where there is room.
        words = row.value if len(row.value) <= _WIDEST_TEXT else ""
    elif row.value is None:
        words = row.status.value if row.status is not Status.HELD else ""
    elif row.status is Status.HELD and row.relation is Relation.EQUAL and row.value == row.limit == 0:
        words = ""  # none of what must not be: the sign says it, a bare 0 beside `inputs` would read as a count of them
    else:
        words = comparison(row, signs)
    return Text(f"{signs.status[row.status]} {signs.text(words)}".rstrip(), style=STYLES[row.status])
