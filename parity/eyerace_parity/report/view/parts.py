"""What extensions say below a contract's verdict, in every report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyerace_parity.extending.loading import active

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.record.document import ContractEntry, Record


@dataclass(frozen=True, slots=True)
class ReportPart:
    """Lines of an extension.

    Attributes:
        lines: Called with a record and the entry of a contract; returns lines of plain text, none where it has nothing
            to say. It reads the record and computes nothing that a contract could want to limit.
    """

    lines: Callable[[Record, ContractEntry], Sequence[str]]


def added_lines(record: Record, entry: ContractEntry) -> tuple[str, ...]:
    """What the extensions that take part say of a contract; of other packages, those that the contract names."""
    named = tuple(extension.name for extension in entry.extensions)
    return tuple(line for part in active().added("report_parts", named) for line in part.lines(record, entry))
