"""The end of a run on a terminal: one table, the verdict in one line, and for each broken clause why and what next.

Drawn from the view of the run alone. It has the given width, and shows by signs what it shows by colour.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

from eyerace_parity.core.numbers import FACTOR, format_percent, pluralise, shown_unit
from eyerace_parity.core.result import HOST
from eyerace_parity.report.tables import NARROWEST_CELL, STYLES, TextConsole, cell, grid, target_tables
from eyerace_parity.report.view.contract import PAST
from eyerace_parity.report.view.words import signs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from eyerace_parity.record.document import ChancesEntry, ContractEntry
    from eyerace_parity.record.rows import Unjudged, VerdictEntry
    from eyerace_parity.report.view.contract import ContractView, FailureGroup
    from eyerace_parity.report.view.run import RunView
    from eyerace_parity.report.view.words import StatusSigns

_SHORT_UNIT: Final = 4
_MOST_NAMED: Final = 6
_NAME: Final = 16
"""Letters of a clause's name that have room in a line of a narrow table."""
_ROOMY: Final = 100
"""Columns from which every name has."""


def draw(run: RunView, *, width: int, colour: bool, encoding: str | None) -> str:
    """Draw a run.

    Args:
        run: The run.
        width: Columns of the terminal.
        colour: Whether the stream takes escape sequences.
        encoding: Encoding of the stream.

    Returns:
        Lines that end with a line break and fit the width; words that are longer than a line are broken.
    """
    signs = signs_for(encoding)
    console = TextConsole(width=width, colour=colour)
    for contract in run.contracts:
        if contract.lines and len(run.contracts) > 1:
            # Of several tables each must say whose it is before it is read.
            console.print(Text(signs.text(contract.entry.name), style="bold"))
        on_host = [line.row for line in contract.lines if line.row.target == HOST]
        for names in _columns(contract.entry, console.width) if on_host else ():
            console.print(_table(names, on_host, contract.unjudged, signs, narrow=console.width < _ROOMY))
            console.print()
        for table in (
            each for found in contract.targets for each in target_tables(found, width=console.width, signs=signs)
        ):
            console.print(table)
            console.print()
        console.print(Text(signs.text(contract.headline), style=STYLES[contract.status]))
        if contract.entry.chances is not None and contract.lines:
            console.print(_chances_line(contract.entry.chances, signs))
        for paragraph in _failures(contract.failures, signs):
            console.print(paragraph)
        for line in contract.added:
            console.print(Text(signs.text(line)))
        console.print()
    if run.record.interrupted:
        console.print(Text(signs.text(f"The run ended early: {run.record.interrupted}"), style="yellow"))
    return console.text


def verdict_line(contract: ContractView, *, encoding: str | None = "utf-8") -> str:
    """The verdict on one contract in one line, as a stream can take it, e.g. ``eyerace: HELD, 63 clauses held``."""
    return signs_for(encoding).text(contract.headline)


def _columns(contract: ContractEntry, width: int) -> Iterator[Sequence[str]]:
    """Split the variants over as many tables as it takes for each cell to stay readable."""
    names = [variant.name for variant in contract.variants]
    fit = max(1, (width - 24) // NARROWEST_CELL)
    for start in range(0, len(names), fit):
        yield names[start : start + fit]


def _table(
    names: Sequence[str],
    verdicts: Sequence[VerdictEntry],
    unjudged: Sequence[Unjudged],
    signs: StatusSigns,
    *,
    narrow: bool,
) -> Table:
    table = grid("clause", names, signs)
    cells = {(row.check, row.clause, row.target, row.variant): row for row in verdicts}
    missing = {(row.check, row.clause, row.target, row.variant) for row in unjudged}
    check = ""
    for key in _rows(verdicts, names):
        if key[0] != check:
            check = key[0]
            table.add_row(Text(signs.text(check), style="bold"))
        found = [cells[*key, name] for name in names if (*key, name) in cells]
        table.add_row(
            _label(key, found, signs, narrow=narrow),
            *(cell(cells.get((*key, name)), (*key, name) in missing, signs) for name in names),
        )
    return table


def _rows(verdicts: Sequence[VerdictEntry], names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The rows of a table: (check, clause, target), in the order that all variants' plans agree on.

    A row that no variant was judged by is left out: the verdict's line counts what was not judged.

    Each variant has only the rows that are demanded of it: they are woven in after those that it shares with others.
    """
    rows: list[tuple[str, str, str]] = []
    for name in names:
        place = 0
        for row in verdicts:
            key = (row.check, row.clause, row.target)
            if row.variant != name:
                continue
            if key not in rows:
                rows.insert(place, key)
            place = rows.index(key) + 1
    checks = dict.fromkeys(check for check, _, _ in rows)
    return [row for check in checks for row in rows if row[0] == check]


def _label(key: tuple[str, str, str], found: Sequence[VerdictEntry], signs: StatusSigns, *, narrow: bool) -> Text:
    _, clause, target = key
    units = {shown_unit(row.unit) for row in found if row.value is not None or row.limit is not None}
    unit = units.pop() if len(units) == 1 else ""
    lines = _in_lines(clause) if narrow else [clause]
    label = Text("\n".join(signs.text(line) for line in ("  " + lines[0], *("    " + line for line in lines[1:]))))
    if target != HOST:
        label.append(f" [{signs.text(target)}]", style="cyan")
    named = clause.endswith(f"_{unit.lower()}")  # `sqnr_db` needs no dB beside it
    if not named and (unit.startswith(FACTOR) or 0 < len(unit) <= _SHORT_UNIT):
        gap = "\n    " if narrow and len(f"{lines[-1]} {unit}") > _NAME else " "
        label.append(f"{gap}{signs.text(unit)}", style="dim")
    return label


def _in_lines(clause: str) -> list[str]:
    """Break a long name where its words end, not where the column does."""
    lines = [""]
    for word in re.findall(r"[^_]*_|[^_]+$", clause):
        if lines[-1] and len(lines[-1] + word) > _NAME:
            lines.append("")
        lines[-1] += word
    return lines


def _chances_line(chances: ChancesEntry, signs: StatusSigns) -> Text:
    """The error rates of the statistical clauses, and which correction was used."""
    rates = f"false-pass rate ≤ {format_percent(chances.false_pass)}, joint false-alarm rate ≤ "
    shared = "no correction" if chances.correction == "none" else f"correction: {chances.correction}"
    line = (
        f"  {pluralise(chances.clauses, 'statistical clause')}: {rates}{format_percent(chances.false_alarm)} ({shared})"
    )
    return Text(signs.text(line), style="dim")


def _failures(failures: Sequence[FailureGroup], signs: StatusSigns) -> Iterator[Padding]:
    """Why and what next: one paragraph a reason."""
    shown: set[tuple[str, str, tuple[str, ...]]] = set()
    for failure in failures:
        first = failure.first
        place = "" if first.target == HOST else f" [{first.target}]"
        text = Text()
        text.append(f"{signs.status[first.status]} ", style=STYLES[first.status])
        text.append(signs.text(f"{failure.whose(_MOST_NAMED)}{place}"), style="bold")
        text.append(signs.text(f" {PAST[first.status]}: {first.reason}"))
        cause = (first.variant, first.target, first.causes)
        for sentence in ("as above",) if cause in shown else first.causes:
            text.append("\nlikely cause: ", style="bold")
            text.append(signs.text(sentence))
        if first.causes:
            shown.add(cause)
        if first.next:
            text.append("\nnext: ", style="bold")
            text.append(signs.text(first.next))
        yield Padding(text, (0, 0, 0, 2))
