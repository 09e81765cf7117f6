"""A rich console that draws into a text: as wide as it is told to be, and nothing of the machine's mood in it."""

from __future__ import annotations

import io

from rich.console import Console


class Canvas(Console):
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
