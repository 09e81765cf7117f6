"""Plain tables for commands, drawn by rich; as Markdown where a document wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNSEEN_WIDTH: Final = 240
"""Columns in a pipe or a log, where nothing needs to be folded and paths are to be copied whole."""


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
    from rich import box  # noqa: PLC0415 - rich is slow to import, and only commands draw
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

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
