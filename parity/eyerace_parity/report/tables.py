"""Plain tables for commands, drawn by rich; as Markdown where a document wants them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eyerace_parity.core.numbers import shown_unit
from eyerace_parity.core.result import Relation, Status
from eyerace_parity.report.view.words import comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.view.targets import TargetGrid
    from eyerace_parity.report.view.words import StatusSigns

_UNSEEN_WIDTH: Final = 240
"""Columns in a pipe or a log, where nothing needs to be folded and paths are to be copied whole."""

STYLES: Final = {
    Status.HELD: "green",
    Status.BROKEN: "bold red",
    Status.UNPROVEN: "yellow",
    Status.ERROR: "bold magenta",
}

NARROWEST_CELL: Final = 13
"""Columns that a cell takes."""

_WIDEST_TEXT: Final = 20

_LABELS: Final = 26

_SHORT_UNIT: Final = 4


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> None:
    """Print a table to standard output.

    Args:
        header: Titles of the columns.
        rows: Cells, as many a row as there are titles.
        markdown: Print a Markdown table of unlimited width instead.
    """
    if markdown:
        for row in (header, ["---"] * len(header), *rows):
            print("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |")
        return
    table = Table(*header, box=box.SIMPLE, show_edge=False, pad_edge=False)
    for row in rows:
        # Text, not markup: a cell holds file names, and brackets in them mean nothing.
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNSEEN_WIDTH
    with console.capture() as drawn:
        console.print(table)
    # Rich pads cells to the full width; blanks at the end of a line only trouble logs.
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def grid(first: str, names: Sequence[str], signs: StatusSigns) -> Table:
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


def cell(row: VerdictEntry | None, missing: bool, signs: StatusSigns) -> Text:  # noqa: FBT001 - either, never both
    """Draw a verdict; ``missing`` is a clause that was demanded but got none."""
    if row is None:
        return Text(signs.unjudged if missing else "", style="dim")
    if isinstance(row.value, str):
        # A text is what was found; what it should have been stands below the table, where there is room.
        words = row.value if len(row.value) <= _WIDEST_TEXT else ""
    elif row.value is None:
        words = row.status.value if row.status is not Status.HELD else ""
    elif row.status is Status.HELD and row.relation is Relation.EQUAL and row.value == row.limit == 0:
        words = ""  # none of what must not be: the sign says it, a bare 0 beside `inputs` would read as a count of them
    else:
        words = comparison(row, signs)
    return Text(f"{signs.status[row.status]} {signs.text(words)}".rstrip(), style=STYLES[row.status])


def target_tables(found: TargetGrid, *, width: int, signs: StatusSigns) -> Iterator[Table]:
    """Draw what was judged of a variant on targets; in several tables where the terminal is narrow.

    Args:
        found: The variant's grid.
        width: Columns of the terminal.
        signs: Signs that it can take.
    """
    rows = [line.row for _, lines in found.lines for line in lines if line is not None]
    fit = max(1, (width - _LABELS) // NARROWEST_CELL)
    for start in range(0, len(found.clauses), fit):
        clauses = found.clauses[start : start + fit]
        table = grid(f"{found.variant} on", [_title(clause, rows) for clause in clauses], signs)
        for target, lines in found.lines:
            cells = (
                cell(None if line is None else line.row, (target, clause) in found.missing, signs)
                for clause, line in zip(clauses, lines[start : start + fit], strict=True)
            )
            table.add_row(Text(signs.text(target), style="cyan"), *cells)
        yield table


def _title(clause: str, rows: Sequence[VerdictEntry]) -> str:
    units = {shown_unit(row.unit) for row in rows if row.clause == clause and row.value is not None}
    unit = units.pop() if len(units) == 1 else ""
    named = clause.endswith(f"_{unit.lower()}")
    return f"{clause} {unit}" if 0 < len(unit) <= _SHORT_UNIT and not named else clause


class TextConsole(Console):
    """A console whose output is kept.

    Args:
        width: Columns of the terminal that it is drawn for.
        colour: Whether that takes escape sequences.
    """

    def __init__(self, *, width: int, colour: bool) -> None:
        self._drawn = io.StringIO()
        super().__init__(
            file=self._drawn,
            width=max(width, 40),
            force_terminal=colour,
            color_system="standard" if colour else None,
            no_color=not colour,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def text(self) -> str:
        """All that was drawn; lines end with a line break and without the blanks that only trouble logs."""
        return "".join(f"{line.rstrip()}\n" for line in self._drawn.getvalue().rstrip("\n").split("\n"))
