"""The page of a matrix over runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.numbers import FACTOR, format_quantity
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.extensions.matrix.reasons import in_a_word, reasons
from eyerace_parity.extensions.matrix.terminal import verdict_line
from eyerace_parity.extensions.matrix.view import MatrixMark, MatrixSheet
from eyerace_parity.report.html.frame import icon, part, template
from eyerace_parity.report.view.words import RICH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.extensions.matrix.document import MatrixCell, MatrixRuntime, MergedRecord, RuntimeChanges


_UNKNOWN: Final = "–"  # noqa: RUF001 - as the terminal's table has it
_YES: Final = {True: "yes", False: "no", None: _UNKNOWN}
_BITS: Final = {True: "equal", False: "differ", None: _UNKNOWN}
_HELD, _BROKEN = RICH.status[Status.HELD], RICH.status[Status.BROKEN]


def render_matrix(merged: MergedRecord) -> str:
    """Write a merged record as a page: what does not agree and why, the grid, and what each runtime changes."""
    held = merged.outcome == "held"
    cells = {(cell.runtime, cell.variant, cell.target): cell for cell in merged.cells}
    columns = tuple(dict.fromkeys((cell.variant, cell.target) for cell in merged.cells))
    grid = [
        (runtime, [_mark(cell, runtime) if (cell := cells.get((runtime.label, *c))) else None for c in columns])
        for runtime in merged.runtimes
    ]
    return template("matrix").render(
        merged=merged,
        headline=verdict_line(merged),
        sign=_HELD if held else _BROKEN,
        apart=list(reasons(merged, agrees=False)),
        expected=list(reasons(merged, agrees=True)),
        columns=columns,
        grid=grid,
        packaged=any(runtime.packages for runtime in merged.runtimes),
        sheets=[*_changes(merged), *_numbers(merged)],
        host=HOST,
        icon=icon(merged.outcome),
        css=part("css"),
    )


def _mark(cell: MatrixCell, runtime: MatrixRuntime) -> MatrixMark:
    word = in_a_word(cell, runtime)
    if not cell.agrees:
        return MatrixMark(_BROKEN, word, Status.BROKEN.value)
    if cell.expected == "anything":
        return MatrixMark(RICH.unjudged, word, "")
    return MatrixMark(_HELD, word, Status.HELD.value)


def _changes(merged: MergedRecord) -> Iterator[MatrixSheet]:
    """What each runtime changes of a variant, a sheet each."""
    newest = next((r.version for r in merged.runtimes if r.label == merged.newest), "") or "none"
    for variant in dict.fromkeys(cell.variant for cell in merged.cells):
        rows = [(c.runtime, c.changes) for c in merged.cells if c.variant == variant and c.changes is not None]
        if not rows:
            continue
        near = tuple(dict.fromkeys(number.clause for _, changes in rows for number in changes.closeness))
        heads = ("loads", *near, "F1", "bits", "flips", "memory", "time")
        lines = tuple((label, _changed(changes, near)) for label, changes in rows)
        yield MatrixSheet(f"What the runtime changes of {variant}: bits, flips and time beside {newest}", heads, lines)


def _changed(changes: RuntimeChanges, near: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of a row, in the order of the sheet's columns."""
    known = {number.clause: format_quantity(number.value, number.unit) for number in changes.closeness}
    time = _UNKNOWN
    if changes.time_ratio is not None:
        time = f"{FACTOR} {changes.time_ratio:.2f} of {changes.time_versus}"
    return (
        _YES[changes.loads],
        *(known.get(clause, _UNKNOWN) for clause in near),
        _UNKNOWN if changes.f1 is None else f"{changes.f1:.4f}",
        _BITS[changes.equal],
        _UNKNOWN if changes.flips is None else f"{changes.flips} of {changes.samples}",
        _UNKNOWN if changes.memory is None else format_quantity(changes.memory, "bytes"),
        time,
    )


def _numbers(merged: MergedRecord) -> Iterator[MatrixSheet]:
    """What was measured of a variant on a target, a sheet each."""
    for variant, target in dict.fromkeys((cell.variant, cell.target) for cell in merged.cells if cell.numbers):
        cells = [c for c in merged.cells if (c.variant, c.target) == (variant, target) and c.numbers]
        clauses = tuple(dict.fromkeys(number.clause for cell in cells for number in cell.numbers))
        lines = []
        for cell in cells:
            known = {number.clause: format_quantity(number.value, number.unit) for number in cell.numbers}
            lines.append((cell.runtime, tuple(known.get(clause, _UNKNOWN) for clause in clauses)))
        yield MatrixSheet(f"{variant} on {target}", clauses, tuple(lines))
