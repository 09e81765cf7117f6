"""The pages of what is no single run: a matrix over runtimes, and two records side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parity.report.compare import headline as comparison_headline
from parity.report.compare import shown_factor, shown_verdict, worse
from parity.report.html.frame import icon, part, template
from parity.report.matrix_terminal import verdict_line
from parity.report.words import RICH, quantity
from parity.result import HOST

if TYPE_CHECKING:
    from parity.report.compare import Comparison
    from parity.report.merged import Changes, Merged

_UNKNOWN: Final = "–"  # noqa: RUF001 - as the terminal's table has it
_TIMES: Final = "×"  # noqa: RUF001 - a factor


def render_matrix(merged: Merged) -> str:
    """Write a merged record as a page: variants and targets by runtimes, and what each runtime changes."""
    columns = tuple(dict.fromkeys((cell.variant, cell.target) for cell in merged.cells))
    changes = [
        (variant, [(c.runtime, _changed(c.changes)) for c in merged.cells if c.variant == variant and c.changes])
        for variant in dict.fromkeys(cell.variant for cell in merged.cells)
    ]
    return template("matrix").render(
        merged=merged,
        headline=verdict_line(merged),
        columns=columns,
        cells={(cell.runtime, cell.variant, cell.target): cell for cell in merged.cells},
        changes=[(variant, rows) for variant, rows in changes if rows],
        host=HOST,
        icon=icon("held" if merged.outcome == "held" else "broken"),
        css=part("css"),
    )


def _changed(changes: Changes) -> tuple[str, ...]:
    """The cells of a row, in the order of the table's columns."""
    yes = {True: "yes", False: "no", None: _UNKNOWN}
    near = ", ".join(f"{n.clause} {quantity(n.value, n.unit)}" for n in changes.closeness)
    return (
        yes[changes.loads],
        near or _UNKNOWN,
        yes[changes.equal],
        _UNKNOWN if changes.flips is None else f"{changes.flips} of {changes.samples}",
        _UNKNOWN if changes.f1 is None else f"{changes.f1:.4f}",
        _UNKNOWN if changes.memory is None else quantity(changes.memory, "bytes"),
        _UNKNOWN if changes.time_ratio is None else f"{_TIMES} {changes.time_ratio:.2f}",
    )


def render_comparison(found: Comparison) -> str:
    """Write two records side by side as a page."""
    rows = [
        (step, shown_verdict(step.before, RICH).plain, shown_verdict(step.after, RICH).plain, shown_factor(step))
        for step in found.changed
    ]
    return template("comparison").render(
        found=found,
        rows=rows,
        headline=comparison_headline(found),
        worse=worse(found),
        icon=icon("broken" if worse(found) else "held"),
        css=part("css"),
    )
