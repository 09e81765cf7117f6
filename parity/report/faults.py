"""What is not held, told once a reason: one missing file must not fill a screen, a page or a comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parity.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parity.report.document import VerdictEntry

WORST_FIRST: Final = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Fault:
    """Clauses of one variant, in one place, that are not held for one and the same reason.

    Attributes:
        rows: Their verdicts, at least one.
    """

    rows: tuple[VerdictEntry, ...]

    @property
    def first(self) -> VerdictEntry:
        """The verdict that speaks for all."""
        return self.rows[0]

    def named(self, most: int) -> str:
        """The clauses, cut after ``most`` of them with the number of those left out."""
        rest = f" and {len(self.rows) - most} more" if len(self.rows) > most else ""
        return ", ".join(row.clause for row in self.rows[:most]) + rest


def faults(verdicts: Iterable[VerdictEntry]) -> tuple[Fault, ...]:
    """Gather what is not held, the worst first."""
    grouped: dict[tuple[str, ...], list[VerdictEntry]] = {}
    rows = list(verdicts)
    for status in WORST_FIRST:
        for row in rows:
            if row.status is status:
                grouped.setdefault((row.variant, row.target, row.status, row.reason, row.next), []).append(row)
    return tuple(Fault(tuple(group)) for group in grouped.values())
