"""Accepted flips of a record, and stale entries of the accepted-flips file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.flips import BASELINE, FlipLedger, KnownFlips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.evidence.flips import AcceptedFlip
    from eyerace_parity.record.document import ContractEntry, EvidenceEntry, Record

_MOST_NAMED = 10


def ledgers_of(record: Record, contract: str) -> tuple[EvidenceEntry, ...]:
    """The flip ledgers that a contract's verdicts use."""
    return tuple(entry for entry in _evidence(record, contract) if isinstance(entry.document, FlipLedger))


def accepted_in(record: Record, contract: str) -> tuple[AcceptedFlip, ...]:
    """The flips that were accepted when a contract was judged."""
    books = (entry.document for entry in _evidence(record, contract))
    return tuple(entry for book in books if isinstance(book, KnownFlips) for entry in book.entries)


def against_of(entry: EvidenceEntry) -> str:
    """Name of a ledger's reference as in the accepted-flips file."""
    return BASELINE if entry.baseline else entry.versus


def stale_entries(record: Record, contract: ContractEntry) -> list[str]:
    """Report accepted flips that no longer occur: one line for each compared pair."""
    accepted, lines = accepted_in(record, contract.name), []
    for entry in ledgers_of(record, contract.name):
        ledger = entry.document
        if not isinstance(ledger, FlipLedger) or ledger.failure or len(ledger.rows) < ledger.total:
            continue  # a truncated ledger does not show which flips are gone
        still = {row.id for row in ledger.rows}
        stated = [each for each in accepted if (each.variant, each.against) == (entry.variant, against_of(entry))]
        if left := [each.id for each in stated if each.id not in still]:
            named = join_names(left, most=_MOST_NAMED)
            lines.append(
                f"{contract.name}: accepted, but no flip of {entry.variant} against {against_of(entry)} any more:"
                f" {named}; take it out of the file of accepted flips"
            )
    return lines


def _evidence(record: Record, contract: str) -> Iterator[EvidenceEntry]:
    keys = {key for row in record.verdicts_of(contract) for key in row.evidence}
    return (entry for key, entry in record.evidence.items() if key in keys)
