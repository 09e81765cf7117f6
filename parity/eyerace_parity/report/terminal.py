"""The end of a run on a terminal: one table, the verdict in one line, and for each broken clause why and what next.

Drawn from the record alone. It is as wide as it is told to be, and says with signs what it says with colour.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

from eyerace_parity.core.result import HOST, Status
from eyerace_parity.report.parts import added_lines
from eyerace_parity.report.tables import NARROWEST_CELL, STYLES, TextConsole, cell, grid
from eyerace_parity.report.view.contract import WORST_FIRST, faults
from eyerace_parity.report.view.targets import target_tables
from eyerace_parity.report.view.words import shown_unit, signs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from eyerace_parity.record.document import ChancesEntry, ContractEntry, ContractOutcome, Record
    from eyerace_parity.record.rows import Unjudged, VerdictEntry
    from eyerace_parity.report.view.words import StatusSigns

_RATIO: Final = "×"  # noqa: RUF001 - a factor, as the checks write it
_SHORT_UNIT: Final = 4
_MOST_NAMED: Final = 6
_NAME: Final = 16
"""Letters of a clause's name that have room in a line of a narrow table."""
_ROOMY: Final = 100
"""Columns from which every name has."""
_PAST: Final = {
    Status.HELD: "held",
    Status.BROKEN: "broken",
    Status.UNPROVEN: "unproven",
    Status.ERROR: "in error",
}


def draw(record: Record, *, width: int, colour: bool, encoding: str | None) -> str:
    """Draw a record.

    Args:
        record: The record.
        width: Columns of the terminal.
        colour: Whether the stream takes escape sequences.
        encoding: Encoding of the stream.

    Returns:
        Lines that end with a line break and fit the width; words that are longer than a line are broken.
    """
    signs = signs_for(encoding)
    console = TextConsole(width=width, colour=colour)
    for contract in record.contracts:
        verdicts, unjudged = record.verdicts_of(contract.name), record.unjudged_of(contract.name)
        if verdicts and len(record.contracts) > 1:
            # Of several tables each must say whose it is before it is read.
            console.print(Text(signs.text(contract.name), style="bold"))
        on_host = [row for row in verdicts if row.target == HOST]
        for names in _columns(contract, console.width) if on_host else ():
            console.print(_table(names, on_host, unjudged, signs, narrow=console.width < _ROOMY))
            console.print()
        for table in target_tables(verdicts, unjudged, width=console.width, signs=signs):
            console.print(table)
            console.print()
        console.print(_verdict_line(contract, verdicts, unjudged, signs))
        if contract.chances is not None and verdicts:
            console.print(_chances_line(contract.chances, signs))
        for paragraph in _faults(verdicts, signs):
            console.print(paragraph)
        for line in added_lines(record, contract):
            console.print(Text(signs.text(line)))
        console.print()
    if record.interrupted:
        console.print(Text(signs.text(f"The run ended early: {record.interrupted}"), style="yellow"))
    return console.text


def verdict_line(record: Record, contract: ContractEntry, *, encoding: str | None = "utf-8") -> str:
    """The verdict on one contract in one line, e.g. ``eyerace: HELD, 63 clauses held``."""
    signs = signs_for(encoding)
    return _verdict_line(contract, record.verdicts_of(contract.name), record.unjudged_of(contract.name), signs).plain


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
    told = clause.endswith(f"_{unit.lower()}")  # `sqnr_db` needs no dB beside it
    if not told and (unit.startswith(_RATIO) or 0 < len(unit) <= _SHORT_UNIT):
        apart = "\n    " if narrow and len(f"{lines[-1]} {unit}") > _NAME else " "
        label.append(f"{apart}{signs.text(unit)}", style="dim")
    return label


def _in_lines(clause: str) -> list[str]:
    """Break a long name where its words end, not where the column does."""
    lines = [""]
    for word in re.findall(r"[^_]*_|[^_]+$", clause):
        if lines[-1] and len(lines[-1] + word) > _NAME:
            lines.append("")
        lines[-1] += word
    return lines


def _verdict_line(
    contract: ContractEntry, verdicts: Sequence[VerdictEntry], unjudged: Sequence[Unjudged], signs: StatusSigns
) -> Text:
    outcome: ContractOutcome = contract.outcome
    counts = Counter(row.status for row in verdicts)
    told = ", ".join(f"{counts[status]} {_PAST[status]}" for status in _ORDER if counts[status])
    judged = f"{len(verdicts)} of {contract.planned}" if unjudged else f"all {contract.planned}"
    line = f"{contract.name}: {_HEADLINES[outcome]}; {judged} clauses judged{': ' if told else ''}{told}"
    if unjudged:
        whys = Counter(row.why for row in unjudged)
        line += "; unjudged: " + ", ".join(f"{number} {_clauses(number)} {why}" for why, number in whys.items())
    if contract.cell:
        line += " (one runtime of the matrix: what ONNX Runtime executes)"
    if contract.judged_again:
        line += " (judged again from recorded evidence)"
    style = STYLES.get(Status(outcome), "") if outcome != "unjudged" else STYLES[Status.UNPROVEN]
    return Text(signs.text(line), style=style)


def _chances_line(chances: ChancesEntry, signs: StatusSigns) -> Text:
    """How often such a verdict is wrong by chance, and which correction was used."""
    number = f"{chances.clauses} clause{' rests' if chances.clauses == 1 else 's rest'} on samples"
    shared = "no correction" if chances.correction == "none" else f"correction: {chances.correction}"
    line = (
        f"  {number}; by chance HELD is wrong at most {_percent(chances.false_pass)} of the time, "
        f"BROKEN at most {_percent(chances.false_alarm)} ({shared})"
    )
    return Text(signs.text(line), style="dim")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


_ORDER: Final = (*WORST_FIRST, Status.HELD)
_HEADLINES: Final[dict[ContractOutcome, str]] = {
    "held": "HELD",
    "broken": "BROKEN",
    "error": "NOT HELD (error)",
    "unproven": "NOT HELD (unproven)",
    "unjudged": "NOT JUDGED IN FULL",
}


def _clauses(number: int) -> str:
    return "clause was" if number == 1 else "clauses were"


def _faults(verdicts: Sequence[VerdictEntry], signs: StatusSigns) -> Iterator[Padding]:
    """Why and what next: one paragraph a reason."""
    told: set[tuple[str, str, tuple[str, ...]]] = set()
    for fault in faults(verdicts):
        first = fault.first
        place = "" if first.target == HOST else f" [{first.target}]"
        text = Text()
        text.append(f"{signs.status[first.status]} ", style=STYLES[first.status])
        text.append(signs.text(f"{fault.whose(_MOST_NAMED)}{place}"), style="bold")
        text.append(signs.text(f" {_PAST[first.status]}: {first.reason}"))
        cause = (first.variant, first.target, first.causes)
        for sentence in ("as above",) if cause in told else first.causes:
            text.append("\nlikely cause: ", style="bold")
            text.append(signs.text(sentence))
        if first.causes:
            told.add(cause)
        if first.next:
            text.append("\nnext: ", style="bold")
            text.append(signs.text(first.next))
        yield Padding(text, (0, 0, 0, 2))
