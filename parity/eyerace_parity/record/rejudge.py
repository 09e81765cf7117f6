"""Judges a finished run again under changed limits, from its record and the evidence cache; nothing is measured.

Only limits may differ. As soon as anything else in the contract differs that a measurement depends on (a path, the
golden set, a preprocessing profile, a session setting), the old evidence says nothing about it and is refused.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eyerace_parity.checks.plan import demand_line, plan
from eyerace_parity.core.errors import BaselineMissing, MeasurementError, RecordError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.codec import decode
from eyerace_parity.evidence.source import NEXT_STEP_BASELINE
from eyerace_parity.judging import judge
from eyerace_parity.measure import recorded
from eyerace_parity.record.compose import contract_entry, measurement_digest
from eyerace_parity.record.document import Record
from eyerace_parity.record.rows import VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.overrides import Override
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.record.document import ContractEntry, EvidenceEntry

E = TypeVar("E")

_RUN = "run the gate, so that it is measured"


class RecordedRun:
    """Evidence of a finished run: numbers from its record, arrays from the store.

    Args:
        record: The record.
        contract: The contract whose evidence is wanted.
        store: Where arrays were kept.
    """

    def __init__(self, record: Record, contract: Contract, store: EvidenceCache) -> None:
        keys = {key for row in record.verdicts_of(contract.name) for key in row.evidence}
        self._entries = {key: record.evidence[key] for key in keys if key in record.evidence}
        self._contract = contract
        self._store = store

    def key(self, need: Need[Any]) -> str:
        """Name the evidence as it stands in the record."""
        return self._find(need)[0]

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: The run did not obtain it, or the store no longer has it.
        """
        key, entry = self._find(need)
        if issubclass(need.kind, Fact):
            return cast("E", entry.document)
        body = self._store.read(entry.kind, key)
        if body is None and need.kind is Outputs and entry.provenance is not None:
            # Recorded outputs that stood in for a variant are no part of the store.
            digest = entry.provenance.settings.get("recorded_digest", "")
            with contextlib.suppress(MeasurementError):
                return cast("E", recorded.read(self._contract, need.variant, entry.provenance, digest=digest))
        if body is None:
            raise MeasurementError(f"the evidence store no longer has {need}", next_step=_RUN)
        try:
            return decode(need.kind, body)
        except RecordError as error:
            raise MeasurementError(error.reason, next_step=_RUN) from None

    def _find(self, need: Need[Any]) -> tuple[str, EvidenceEntry]:
        for key, entry in self._entries.items():
            if entry.answers(need) and (entry.document is not None or not issubclass(need.kind, Fact)):
                return key, entry
        if need.baseline:
            raise BaselineMissing("the run compared with no accepted release", next_step=NEXT_STEP_BASELINE)
        raise MeasurementError(f"the record holds no {need}", next_step=_RUN)


def judge_again(record: Record, contract: Contract, store: EvidenceCache, overrides: Sequence[Override] = ()) -> Record:
    """Judge a contract of a finished run anew.

    Args:
        record: The run.
        contract: The contract with its changed limits, as it was opened with ``overrides``.
        store: Where the run kept its arrays.
        overrides: Values that were set from outside, for the record.

    Returns:
        The record with the contract's verdicts replaced; clauses that the run had not judged are judged where its
        evidence suffices, and are in ``error`` where it does not.

    Raises:
        RecordError: The record knows no such contract, or more than limits has changed.
    """
    known = {entry.name: entry for entry in record.contracts}
    if contract.name not in known:
        raise RecordError(
            f"the record knows no contract {contract.name!r}, only {', '.join(known)}",
            next_step="name the contract that was run",
        )
    before = known[contract.name]
    if before.substance != measurement_digest(contract):
        raise RecordError(
            f"{contract.name} differs from the recorded run in more than limits: its evidence speaks of something else",
            next_step=_RUN,
        )
    source = RecordedRun(record, contract, store)
    demanded = plan(contract)
    verdicts = tuple(VerdictEntry.of(judge(planned, source), line=demand_line(planned)) for planned in demanded)
    entry = contract_entry(
        contract, verdicts, (), planned=demanded, file=before.file, overrides=overrides, judged_again=True
    )
    # The derived facts are still true of the evidence; `with_summaries` replaces those that other settings change.
    return _replaced(record, entry.model_copy(update={"summary": before.summary}), verdicts)


def _replaced(record: Record, entry: ContractEntry, verdicts: Sequence[VerdictEntry]) -> Record:
    rows = []
    for contract in record.contracts:
        rows += list(verdicts) if contract.name == entry.name else list(record.verdicts_of(contract.name))
    changes = {
        "contracts": tuple(entry if contract.name == entry.name else contract for contract in record.contracts),
        "verdicts": tuple(rows),
        "unjudged": tuple(row for row in record.unjudged if row.contract != entry.name),
    }
    return Record(**dict(record) | changes)  # a copy would not be checked to add up
