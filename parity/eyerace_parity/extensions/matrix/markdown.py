"""A merged record in Markdown: runtimes by variants, then what does not agree and why. All text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.result import HOST, Status
from eyerace_parity.core.text import code, markdown
from eyerace_parity.extensions.matrix.reasons import in_a_word, reasons
from eyerace_parity.extensions.matrix.terminal import verdict_line
from eyerace_parity.report.markdown import SIGNS

if TYPE_CHECKING:
    from eyerace_parity.extensions.matrix.document import MatrixCell, MatrixRuntime, MergedRecord
    from eyerace_parity.extensions.matrix.reasons import ReasonGroup


def render(merged: MergedRecord) -> str:
    """Write a merged record down in Markdown."""
    places = list(dict.fromkeys((cell.variant, cell.target) for cell in merged.cells))
    heads = [code(variant) if target == HOST else f"{code(variant)} on {code(target)}" for variant, target in places]
    packaged = any(runtime.packages for runtime in merged.runtimes)
    titles = ["onnxruntime", *heads, *(["bundled by"] if packaged else [])]
    lines = [
        f"### {_sign(agrees=merged.outcome == 'held')} {markdown(verdict_line(merged))}\n",
        f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n",
    ]
    for runtime in merged.runtimes:
        cells = {(cell.variant, cell.target): cell for cell in merged.cells_of(runtime.label)}
        row = [_mark(cells[place], runtime) if place in cells else "" for place in places]
        row += ["<br>".join(map(markdown, runtime.packages))] if packaged else []
        lines.append(f"| {markdown(runtime.label)} | {' | '.join(row)} |\n")
    apart = list(reasons(merged, agrees=False))
    if apart:
        lines.append("\n| where | why, and what next |\n|---|---|\n")
        lines += [_why(alike) for alike in apart]
    return "".join(lines)


def _mark(cell: MatrixCell, runtime: MatrixRuntime) -> str:
    sign = "·" if cell.agrees and cell.expected == "anything" else _sign(agrees=cell.agrees)
    return f"{sign} {in_a_word(cell, runtime)}"


def _why(alike: ReasonGroup) -> str:
    step = f"<br>**next:** {markdown(alike.next)}" if alike.next else ""
    return f"| {markdown(alike.whose)} on {markdown(alike.where)} | {markdown(alike.reason)}{step} |\n"


def _sign(*, agrees: bool) -> str:
    return SIGNS[Status.HELD if agrees else Status.BROKEN]
