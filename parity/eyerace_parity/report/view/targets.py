"""The contract's targets as a table: a row a target, a column a clause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text

from eyerace_parity.core.numbers import shown_unit
from eyerace_parity.core.result import HOST
from eyerace_parity.report.tables import NARROWEST_CELL, cell, grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from eyerace_parity.record.rows import Unjudged, VerdictEntry
    from eyerace_parity.report.view.contract import VerdictLine
    from eyerace_parity.report.view.words import StatusSigns

_LABELS: Final = 26
_SHORT_UNIT: Final = 4


def target_tables(
    verdicts: Sequence[VerdictEntry], unjudged: Sequence[Unjudged], *, width: int, signs: StatusSigns
) -> Iterator[Table]:
    """Draw what was judged on targets, variant by variant; in several tables where the terminal is narrow.

    Args:
        verdicts: Verdicts of one contract.
        unjudged: Its clauses without one.
        width: Columns of the terminal.
        signs: Signs that it can take.
    """
    there = [row for row in verdicts if row.target != HOST]
    fit = max(1, (width - _LABELS) // NARROWEST_CELL)
    for variant in dict.fromkeys(row.variant for row in there):
        rows = [row for row in there if row.variant == variant]
        missing = {(row.clause, row.target) for row in unjudged if row.variant == variant}
        clauses = list(dict.fromkeys(row.clause for row in rows))
        for start in range(0, len(clauses), fit):
            yield _table(variant, clauses[start : start + fit], rows, missing, signs)


def _table(
    variant: str,
    clauses: Sequence[str],
    rows: Sequence[VerdictEntry],
    missing: set[tuple[str, str]],
    signs: StatusSigns,
) -> Table:
    found = {(row.clause, row.target): row for row in rows}
    table = grid(f"{variant} on", [_title(clause, rows) for clause in clauses], signs)
    for target in dict.fromkeys(row.target for row in rows):
        cells = (cell(found.get((clause, target)), (clause, target) in missing, signs) for clause in clauses)
        table.add_row(Text(signs.text(target), style="cyan"), *cells)
    return table


def _title(clause: str, rows: Sequence[VerdictEntry]) -> str:
    units = {shown_unit(row.unit) for row in rows if row.clause == clause and row.value is not None}
    unit = units.pop() if len(units) == 1 else ""
    told = clause.endswith(f"_{unit.lower()}")
    return f"{clause} {unit}" if 0 < len(unit) <= _SHORT_UNIT and not told else clause


@dataclass(frozen=True, slots=True)
class TargetGrid:
    """Targets by clauses, one sign a cell.

    Attributes:
        variant: The variant that was executed there.
        clauses: Columns.
        lines: Rows: the target, and its verdicts in the order of the columns, ``None`` where there is none.
    """

    variant: str
    clauses: tuple[str, ...]
    lines: tuple[tuple[str, tuple[VerdictLine | None, ...]], ...]
