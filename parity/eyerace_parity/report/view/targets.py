"""The contract's targets as a table: a row a target, a column a clause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.record.rows import Unjudged
    from eyerace_parity.report.view.words import VerdictLine


@dataclass(frozen=True, slots=True)
class TargetGrid:
    """Targets by clauses, one sign a cell.

    Attributes:
        variant: The variant that was executed there.
        clauses: Columns.
        lines: Rows: the target, and its verdicts in the order of the columns, ``None`` where there is none.
        missing: Clauses that were demanded and got no verdict, as (target, clause).
    """

    variant: str
    clauses: tuple[str, ...]
    lines: tuple[tuple[str, tuple[VerdictLine | None, ...]], ...]
    missing: frozenset[tuple[str, str]] = frozenset()


def target_grids(lines: Sequence[VerdictLine], unjudged: Sequence[Unjudged]) -> tuple[TargetGrid, ...]:
    """What was judged on targets, a grid a variant.

    Args:
        lines: The clauses of one contract.
        unjudged: Those without a verdict.
    """
    found = []
    there = [line for line in lines if line.place]
    for variant in dict.fromkeys(line.row.variant for line in there):
        own = [line for line in there if line.row.variant == variant]
        clauses = tuple(dict.fromkeys(line.row.clause for line in own))
        cells = {(line.place, line.row.clause): line for line in own}
        targets = dict.fromkeys(line.place for line in own)
        rows = tuple((target, tuple(cells.get((target, clause)) for clause in clauses)) for target in targets)
        missing = frozenset((row.target, row.clause) for row in unjudged if row.variant == variant)
        found.append(TargetGrid(variant, clauses, rows, missing))
    return tuple(found)
