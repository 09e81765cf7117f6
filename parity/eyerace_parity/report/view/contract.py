"""What is not held, told once a reason: one missing file must not fill a screen, a page or a comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.places import listed
from eyerace_parity.core.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eyerace_parity.record.rows import VerdictEntry

WORST_FIRST: Final = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Fault:
    """Clauses in one place that are not held for one and the same reason.

    Attributes:
        rows: Their verdicts, at least one.
    """

    rows: tuple[VerdictEntry, ...]

    @property
    def first(self) -> VerdictEntry:
        """The verdict that speaks for all."""
        return self.rows[0]

    @property
    def by_variant(self) -> tuple[tuple[str, tuple[VerdictEntry, ...]], ...]:
        """The verdicts of each variant."""
        names = dict.fromkeys(row.variant for row in self.rows)
        return tuple((name, tuple(row for row in self.rows if row.variant == name)) for name in names)

    def whose(self, most: int) -> str:
        """Variants and clauses in words; of each variant ``most`` clauses, with the number of those left out."""
        return "; ".join(f"{name} {listed((row.clause for row in rows), most=most)}" for name, rows in self.by_variant)


def faults(verdicts: Iterable[VerdictEntry]) -> tuple[Fault, ...]:
    """Gather what is not held, the worst first."""
    grouped: dict[tuple[str, ...], list[VerdictEntry]] = {}
    rows = list(verdicts)
    for status in WORST_FIRST:
        for row in rows:
            if row.status is status:
                grouped.setdefault((row.target, row.status, row.reason, row.next, *row.causes), []).append(row)
    return tuple(Fault(tuple(group)) for group in grouped.values())
