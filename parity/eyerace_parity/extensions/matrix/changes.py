"""What a runtime changes of a variant, read from two records: its own, and that of the newest runtime."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final, TypeVar

from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.costs import Footprint, PeerTiming, Preflight
from eyerace_parity.extensions.matrix.document import CellNumber, RuntimeChanges

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.answers import ArrayDigest
    from eyerace_parity.record.document import Record

F = TypeVar("F", bound=Fact)

_CLOSENESS: Final = "closeness"
_F1: Final = "f1"


def changes_of(contract: Contract, record: Record, variant: str, newest: Record | None) -> RuntimeChanges:
    """Say what the runtime of a record changes of a variant.

    Args:
        contract: The contract.
        record: The record.
        variant: The variant.
        newest: The record of the newest runtime, which may be the same one.
    """
    rows = [row for row in record.verdicts_of(contract.name) if row.variant == variant and row.target == HOST]
    numbers = [
        CellNumber(clause=row.clause, value=row.value, unit=row.unit)
        for row in rows
        if row.check == _CLOSENESS and row.value is not None
    ]
    f1 = next((row.value for row in rows if row.clause == _F1), None)
    timing = _document(record, variant, PeerTiming)
    equal, flips, samples = _compared(contract, record, variant, newest)
    return RuntimeChanges(
        loads=loads_of(record, variant),
        closeness=tuple(numbers),
        equal=equal,
        flips=flips,
        samples=samples,
        f1=float(f1) if isinstance(f1, int | float) else None,
        memory=_memory(_document(record, variant, Footprint), timing),
        time_ratio=_ratio(timing),
        time_versus=timing.peer_runtime if timing is not None else "",
    )


def loads_of(record: Record, variant: str) -> bool | None:
    """Whether a session could be made; ``None`` where it was not tried."""
    tried = _document(record, variant, Preflight)
    # A session that was created has stated its ports, even if its first run failed.
    return None if tried is None else not tried.failure or bool(tried.outputs)


def _document(record: Record, variant: str, kind: type[F]) -> F | None:
    for entry in record.evidence.values():
        if (
            entry.variant == variant
            and entry.target == HOST
            and not entry.baseline
            and isinstance(entry.document, kind)
        ):
            return entry.document
    return None


def _memory(footprint: Footprint | None, timing: PeerTiming | None) -> int | None:
    """The worst of the processes that were measured for it; where the contract limits none, that which took times."""
    if footprint is not None and footprint.peak_bytes:
        return max(footprint.peak_bytes)
    return None if timing is None else timing.peak_bytes


def _ratio(timing: PeerTiming | None) -> float | None:
    if timing is None:
        return None
    pairs = zip(timing.runs.cpu_ms, timing.peer_runs.cpu_ms, strict=False)
    ratios = [mine / its for mine, its in pairs if its > 0]
    return median(ratios) if ratios else None


def _compared(
    contract: Contract, record: Record, variant: str, newest: Record | None
) -> tuple[bool | None, int | None, int | None]:
    """Whether the answers are equal bit for bit, on how many samples they decide otherwise, and of how many."""
    ours, theirs = _answers(record, variant), _answers(newest, variant) if newest is not None else {}
    if not ours or ours.keys() != theirs.keys():
        return None, None, None
    equal = all(ours[name].digest == theirs[name].digest for name in ours)
    scores = contract.scores_output
    if not contract.classes or scores not in ours:
        return equal, None, None
    mine, its = ours[scores].decisions.split(), theirs[scores].decisions.split()
    if not mine or len(mine) != len(its):
        return equal, None, None
    return equal, sum(one != other for one, other in zip(mine, its, strict=True)), len(mine)


def _answers(record: Record, variant: str) -> dict[str, ArrayDigest]:
    for entry in record.evidence.values():
        if entry.is_of(Outputs) and entry.variant == variant and entry.target == HOST and not entry.baseline:
            return {answer.output: answer for answer in entry.digests}
    return {}
