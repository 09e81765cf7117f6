"""A merged record in Markdown: runtimes by variants, then what does not agree and why. All text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parity.report.escape import code, markdown
from parity.report.markdown import SIGNS
from parity.report.matrix_terminal import verdict_line
from parity.result import HOST, Status

if TYPE_CHECKING:
    from parity.report.merged import Cell, Merged


def render(merged: Merged) -> str:
    """Write a merged record down in Markdown."""
    places = list(dict.fromkeys((cell.variant, cell.target) for cell in merged.cells))
    heads = [code(variant) if target == HOST else f"{code(variant)} on {code(target)}" for variant, target in places]
    lines = [
        f"### {_sign(agrees=merged.outcome == 'held')} {markdown(verdict_line(merged))}\n",
        f"\n| onnxruntime | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}\n",
    ]
    for runtime in merged.runtimes:
        cells = {(cell.variant, cell.target): cell for cell in merged.cells_of(runtime.label)}
        told = [_mark(cells[place]) if place in cells else "" for place in places]
        lines.append(f"| {markdown(runtime.label)} | {' | '.join(told)} |\n")
    apart = [cell for cell in merged.cells if not cell.agrees]
    if apart:
        lines.append("\n| where | why, and what next |\n|---|---|\n")
        lines += [_why(cell) for cell in apart]
    return "".join(lines)


def _mark(cell: Cell) -> str:
    word = "no record" if cell.observed == "missing" else cell.observed
    return f"{_sign(agrees=cell.agrees)} {'fails as expected' if cell.agrees and cell.expected == 'fails' else word}"


def _why(cell: Cell) -> str:
    whose = code(cell.variant) if cell.target == HOST else f"{code(cell.variant)} [{code(cell.target)}]"
    step = f"<br>**next:** {markdown(cell.next)}" if cell.next else ""
    return f"| {whose} on {markdown(cell.runtime)} | {markdown(cell.reason)}{step} |\n"


def _sign(*, agrees: bool) -> str:
    return SIGNS[Status.HELD if agrees else Status.BROKEN]
