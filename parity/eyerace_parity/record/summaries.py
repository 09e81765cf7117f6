"""Derived evidence that a record holds although no clause asked for it, so that every report shows the same numbers.

Nothing is measured for it: a fact is written only where all that it is computed from was obtained for a clause.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
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
from eyerace_parity.evidence.source import TrackedSource
from eyerace_parity.golden.dataset import columns_alone
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.kinds.derived import DERIVATIONS, Inputs, derive, derived_key, provenance_of
from eyerace_parity.record.document import EvidenceEntry
from eyerace_parity.record.rejudge import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    source = TrackedSource(RecordedRun(record, contract, store))
    inputs = Inputs(contract, source, lru_cache(maxsize=1)(lambda: _columns(contract)))
    found: dict[str, EvidenceEntry] = {}
    for need in _wanted(entry, contract, obtained):
        if (known := obtained.find(need)) is not None:
            found[known] = record.evidence[known]
            continue
        needs = DERIVATIONS[need.kind].needs(need)
        keys = [obtained.find(one) for one in needs]
        if None in keys:
            continue
        with contextlib.suppress(MeasurementError):
            key, written = _derived(need, inputs, record, str(keys[0]), store)
            found[key] = written
    return found


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
        return self._keys.get((need.kind.__name__.lower(), need.variant, need.target, need.versus, need.baseline))


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


def _derived(
    need: Need[Any], inputs: Inputs, record: Record, first: str, store: EvidenceCache
) -> tuple[str, EvidenceEntry]:
    """Take a derived fact from the record or the cache, or compute it.

    Raises:
        MeasurementError: An input cannot be read any more, or says nothing of what is asked.
    """
    origin = record.evidence[first].provenance
    if origin is None:
        raise MeasurementError(f"nobody knows where {need} comes from", next_step="run the gate again")
    source = provenance_of(need, inputs, origin)
    key = derived_key(need.kind, source)
    kept = DERIVATIONS[need.kind].kept
    if kept and key in record.evidence:
        return key, record.evidence[key]
    fact = get(store, need.kind, key) if kept else None
    if fact is None:
        fact = derive(need, inputs, source)
        if kept:
            put(store, key, fact)
    return key, EvidenceEntry.of(need, fact)


def _columns(contract: Contract) -> Mapping[str, tuple[str, ...]]:
    try:
        return columns_alone(contract)
    except GoldenError as error:
        raise MeasurementError(error.reason, next_step=error.next_step) from error
