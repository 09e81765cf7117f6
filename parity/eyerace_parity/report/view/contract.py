"""What is not held, told once a reason: one missing file must not fill a screen, a page or a comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import Status
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eyerace_parity.record.rows import VerdictEntry

WORST_FIRST: Final = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Failure:
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
        return "; ".join(
            f"{name} {join_names((row.clause for row in rows), most=most)}" for name, rows in self.by_variant
        )


def faults(verdicts: Iterable[VerdictEntry]) -> tuple[Failure, ...]:
    """Gather what is not held, the worst first."""
    grouped: dict[tuple[str, ...], list[VerdictEntry]] = {}
    rows = list(verdicts)
    for status in WORST_FIRST:
        for row in rows:
            if row.status is status:
                grouped.setdefault((row.target, row.status, row.reason, row.next, *row.causes), []).append(row)
    return tuple(Failure(tuple(group)) for group in grouped.values())


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A row of the clause table.

    Attributes:
        row: The verdict.
        sign: Its sign.
        number: What was found.
        limit: How that stands to what is demanded, with the unit of both.
        place: Where it was executed, empty for the host.
    """

    row: VerdictEntry
    sign: str
    number: str
    limit: str
    place: str

    @property
    def found(self) -> str:
        """Number against limit."""
        return " ".join(filter(None, (self.number, self.limit)))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """What is not held for one reason.

    Attributes:
        lines: The clauses.
        groups: The same by variant.
        place: Where to find the first of them in the contract, as ``file:line``; without the line where none is known.
    """

    lines: tuple[VerdictLine, ...]
    groups: tuple[tuple[str, tuple[VerdictLine, ...]], ...]
    place: str
