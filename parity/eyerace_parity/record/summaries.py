"""Derived evidence that a record holds although no clause asked for it, so that every report shows the same numbers.

Nothing is measured for it: a fact is written only where all that it is computed from was obtained for a clause.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from eyerace_parity.core.errors import GoldenError, MeasurementError
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import (
    DecisionSamples,
    LoadPrediction,
    Mixture,
    OutputNoise,
    Quality,
    Slices,
    TimeQuantiles,
)
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.evidence.source import TrackedSource
from eyerace_parity.golden.dataset import columns_alone
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.context import content_key
from eyerace_parity.measure.measurer import derivation_of, derive, derived_provenance
from eyerace_parity.record.document import EvidenceEntry
from eyerace_parity.record.rejudge import RecordedRun

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.record.document import ContractEntry, Record


def with_summaries(record: Record, contracts: Mapping[str, Contract], store: EvidenceCache) -> Record:
    """Write the derived evidence of a finished run down in its record.

    Args:
        record: The record; what it says of the contracts' summaries is replaced.
        contracts: The contracts of which it is wanted, by name, as they were judged.
        store: Where the run kept its arrays, and where derived facts are kept.
    """
    found = {
        entry.name: _summaries(record, entry, contracts[entry.name], store)
        for entry in record.contracts
        if entry.name in contracts
    }
    entries = tuple(
        entry.model_copy(update={"summary": tuple(found[entry.name])}) if entry.name in found else entry
        for entry in record.contracts
    )
    cited = {key for row in record.verdicts for key in row.evidence} | {key for one in entries for key in one.summary}
    former = {key for entry in record.contracts for key in entry.summary}
    evidence = {key: entry for key, entry in record.evidence.items() if key in cited or key not in former}
    for own in found.values():
        evidence |= own
    return record.model_copy(update={"contracts": entries, "evidence": dict(sorted(evidence.items()))})


def _summaries(
    record: Record, entry: ContractEntry, contract: Contract, store: EvidenceCache
) -> dict[str, EvidenceEntry]:
    """Derived evidence of one contract, by key; what cannot be derived is left out, and no report shows it."""
    obtained = _Obtained(record, entry)
    source, columns = TrackedSource(RecordedRun(record, contract, store)), _Columns(contract)
    found: dict[str, EvidenceEntry] = {}
    for need in _wanted(entry, contract, obtained):
        if (known := obtained.find(need)) is not None:
            found[known] = record.evidence[known]
            continue
        keys = [obtained.find(one) for one in derivation_of(need.kind).inputs(need)]
        if None in keys:
            continue
        with contextlib.suppress(MeasurementError):
            origin = record.evidence[str(keys[0])].provenance
            key = content_key(need.kind, derived_provenance(contract, need, source, columns, origin))
            keep = KINDS.of(need.kind).keep
            if keep and key in record.evidence:
                found[key] = record.evidence[key]
                continue
            fact = get(store, need.kind, key) if keep else None
            if fact is None:
                fact = derive(contract, need, source, columns)
                if keep:
                    put(store, key, fact)
            found[key] = EvidenceEntry.of(need, fact)
    return found


class _Columns(Mapping[str, tuple[str, ...]]):
    """Further columns of the table of labels, read when they are first needed.

    Args:
        contract: The contract.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._read: dict[str, tuple[str, ...]] | None = None

    def _columns(self) -> dict[str, tuple[str, ...]]:
        if self._read is None:
            try:
                self._read = columns_alone(self._contract)
            except GoldenError as error:
                raise MeasurementError(error.reason, next_step=error.next_step) from error
        return self._read

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._columns()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns())

    def __len__(self) -> int:
        return len(self._columns())


class _Obtained:
    """Finds the evidence of a contract by what was asked for."""

    def __init__(self, record: Record, entry: ContractEntry) -> None:
        cited = dict.fromkeys(key for row in record.verdicts_of(entry.name) for key in row.evidence)
        self._keys = {_asked(record.evidence[key]): key for key in cited if key in record.evidence}
        self.timings = [
            Need(Timing, found.variant, found.target, found.versus)
            for key in self._keys.values()
            if isinstance((found := record.evidence[key]).document, Timing) and not found.baseline
        ]

    def find(self, need: Need[Any]) -> str | None:
        """The key of the evidence that meets a need; ``None`` where the run did not obtain it."""
        return self._keys.get((KINDS.of(need.kind).word, need.variant, need.target, need.versus, need.baseline))


def _asked(entry: EvidenceEntry) -> tuple[str, str, str, str, bool]:
    return entry.kind, entry.variant, entry.target, entry.versus, entry.baseline


def _wanted(entry: ContractEntry, contract: Contract, obtained: _Obtained) -> Iterator[Need[Any]]:
    """What reports show, where it can be derived."""
    alone: tuple[type[Any], ...] = (Quality, Slices, LoadPrediction)
    paired: tuple[type[Any], ...] = (OutputNoise, FlipLedger, DecisionSamples)
    for variant in entry.variants:
        yield from (Need(kind, variant.name) for kind in alone)
        if variant.reference:
            yield from (Need(kind, variant.name, versus=variant.reference) for kind in paired)
    if contract.hybrid is not None:
        device, cloud = (contract.hybrid.of(tier, contract.variants) for tier in ("device", "cloud"))
        if device and cloud:
            yield Need(Mixture, device, HOST, cloud)
    for timing in obtained.timings:
        yield Need(TimeQuantiles, timing.variant, timing.target, timing.versus)
