"""Two records side by side, on a terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from eyerace_parity.core.numbers import FACTOR, shown_unit
from eyerace_parity.core.result import HOST, Relation
from eyerace_parity.core.text import code, markdown
from eyerace_parity.record.comparison import ChangeKind, ClauseChange, Comparison, relation_of
from eyerace_parity.report.tables import STYLES, TextConsole
from eyerace_parity.report.view.words import RICH, comparison, signs_for

if TYPE_CHECKING:
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.view.words import StatusSigns


def draw(found: Comparison, *, width: int, colour: bool, encoding: str | None) -> str:
    """Draw what changed for a terminal."""
    signs = signs_for(encoding)
    console = TextConsole(width=width, colour=colour)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "clause", signs.text(found.before), signs.text(found.after), ""):
        table.add_column(heading, overflow="fold")
    for step in found.changed:
        table.add_row(
            step.change.value,
            _named(step, signs),
            shown_verdict(step.before, signs),
            shown_verdict(step.after, signs),
            signs.text(shown_factor(step)),
        )
    if found.changed:
        console.print(table)
        console.print()
    for what, before, after in found.surroundings:
        console.print(signs.text(f"{what}: {before} → {after}"))
    console.print(signs.text(headline(found)))
    return console.text


def render(found: Comparison) -> str:
    """Write what changed in Markdown."""
    lines = [f"### {markdown(headline(found))}\n"]
    if found.changed:
        lines.append(f"| | clause | {markdown(found.before)} | {markdown(found.after)} | |\n|---|---|---|---|---|\n")
        lines += [
            f"| {step.change.value} | {code(str(step.identity))} | {markdown(shown_verdict(step.before, RICH).plain)}"
            f" | {markdown(shown_verdict(step.after, RICH).plain)} | {markdown(shown_factor(step))} |\n"
            for step in found.changed
        ]
    if found.surroundings:
        lines.append("\n<details><summary>What else differs</summary>\n\n| | before | after |\n|---|---|---|\n")
        lines += [f"| {markdown(what)} | {code(one)} | {code(other)} |\n" for what, one, other in found.surroundings]
        lines.append("\n</details>\n")
    return "".join(lines)


def headline(found: Comparison) -> str:
    """Say in one line what changed."""
    counts = {change: sum(step.change is change for step in found.steps) for change in ChangeKind}
    changed = ", ".join(f"{number} {change.value}" for change, number in counts.items() if number)
    return f"{found.before} → {found.after}: {changed or 'neither holds a verdict'}"


def shown_verdict(row: VerdictEntry | None, signs: StatusSigns) -> Text:
    """A verdict as a cell: its sign, and number against limit."""
    if row is None:
        return Text(signs.unjudged, style="dim")
    words = row.value if isinstance(row.value, str) else comparison(row, signs) or row.status.value
    return Text(
        f"{signs.status[row.status]} {signs.text(words)} {shown_unit(row.unit)}".rstrip(), style=STYLES[row.status]
    )


def shown_factor(step: ClauseChange) -> str:
    """By what a number changed, e.g. ``× 1.5``; empty where that says nothing."""  # noqa: RUF002 - a factor
    if step.factor is None or step.change is ChangeKind.SAME or relation_of(step) is Relation.EQUAL:
        return ""
    factor = f"{step.factor:.3g}"
    return "" if factor == "1" else f"{FACTOR} {factor}"


def _named(step: ClauseChange, signs: StatusSigns) -> Text:
    text = Text(signs.text(f"{step.identity.variant} {step.identity.clause}"))
    if step.identity.target != HOST:
        text.append(f" [{signs.text(step.identity.target)}]", style="cyan")
    return text
