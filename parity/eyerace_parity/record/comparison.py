"""Two records side by side: what changed from the one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import Relation, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.core.result import Identity
    from eyerace_parity.record.document import Record
    from eyerace_parity.record.rows import VerdictEntry

_RANK: Final = {Status.HELD: 0, Status.UNPROVEN: 1, Status.ERROR: 2, Status.BROKEN: 3}

_TELLING: Final = 0.02
"""Share of its former value by which a number that stays within its limit must move to be reported."""


class ChangeKind(StrEnum):
    """What became of a clause, the worst first: one that is no longer judged may have become anything."""

    WORSE = "worse"
    GONE = "gone"
    BETTER = "better"
    MOVED = "moved"
    NEW = "new"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class ClauseChange:
    """One clause in both records.

    Attributes:
        identity: Whose clause it is.
        before: Its verdict in the first record, if there is one.
        after: Its verdict in the second.
        change: What became of it.
    """

    identity: Identity
    before: VerdictEntry | None
    after: VerdictEntry | None
    change: ChangeKind

    @property
    def factor(self) -> float | None:
        """The second number over the first, where both are numbers of one sign and neither is zero."""
        values = [row.value if row is not None else None for row in (self.before, self.after)]
        first, second = values
        if isinstance(first, str) or isinstance(second, str) or first is None or second is None or not first:
            return None
        return second / first if second / first > 0 else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records side by side.

    Attributes:
        before: What the first record is called.
        after: What the second is called.
        steps: Every clause of either, in the order of the second.
        surroundings: What else differs, as (what, before, after): tool, runtime, machine, contract.
    """

    before: str
    after: str
    steps: tuple[ClauseChange, ...]
    surroundings: tuple[tuple[str, str, str], ...]

    @property
    def changed(self) -> tuple[ClauseChange, ...]:
        """What is not the same, the worst first."""
        order = list(ChangeKind)
        changed = [step for step in self.steps if step.change is not ChangeKind.SAME]
        return tuple(sorted(changed, key=lambda step: order.index(step.change)))


def compare(before: Record, after: Record, names: tuple[str, str]) -> Comparison:
    """Lay two records side by side.

    Args:
        before: The first record.
        after: The second.
        names: What they are called.
    """
    alone = len(before.contracts) == len(after.contracts) == 1
    first, second = (_by_identity(record, after if alone else record) for record in (before, after))
    steps = [
        ClauseChange(
            identity, first.get(identity), second.get(identity), _change(first.get(identity), second.get(identity))
        )
        for identity in dict.fromkeys([*second, *first])
    ]
    return Comparison(*names, tuple(steps), tuple(_surroundings(before, after, alone=alone)))


def _by_identity(record: Record, named: Record) -> dict[Identity, VerdictEntry]:
    """The verdicts of a record by whose they are; those of a single contract go by the name that it has in ``named``.

    Who compares two runs of one contract each asks about their clauses, however the two are called.
    """
    if named is record:
        return {row.identity: row for row in record.verdicts}
    name = named.contracts[0].name
    return {row.model_copy(update={"contract": name}).identity: row for row in record.verdicts}


def _change(before: VerdictEntry | None, after: VerdictEntry | None) -> ChangeKind:
    if before is None or after is None:
        return ChangeKind.NEW if before is None else ChangeKind.GONE
    rank = _RANK[after.status] - _RANK[before.status]
    if rank:
        return ChangeKind.WORSE if rank > 0 else ChangeKind.BETTER
    return ChangeKind.MOVED if _moved(before, after) else ChangeKind.SAME


def _moved(before: VerdictEntry, after: VerdictEntry) -> bool:
    """Whether number or limit of a clause differ enough to be reported."""
    if before.limit != after.limit or before.relation is not after.relation:
        return True
    first, second = before.value, after.value
    if isinstance(first, str) or isinstance(second, str) or first is None or second is None:
        return first != second
    return abs(second - first) > _TELLING * abs(first)


def _surroundings(before: Record, after: Record, *, alone: bool) -> Iterator[tuple[str, str, str]]:
    def facts_of(record: Record) -> dict[str, str]:
        where = record.environment
        facts = {
            "eyerace-parity": record.tool,
            "Python": where.python,
            "machine": where.machine,
            "system": where.system,
        }
        facts |= where.packages
        for contract in record.contracts:
            if alone:
                facts |= {"contract": contract.name, "its digest": contract.digest[:19], "outcome": contract.outcome}
            else:
                facts[f"contract {contract.name}"] = contract.digest[:19]
                facts[f"outcome of {contract.name}"] = contract.outcome
        for entry in record.evidence.values():
            source = entry.provenance
            if source is not None and source.artefact:
                facts[f"artefact {entry.variant}"] = source.artefact[:19]
            if source is not None and source.golden:
                facts["golden set"] = source.golden[:19]
        return facts

    first, second = facts_of(before), facts_of(after)
    for key in dict.fromkeys([*first, *second]):
        if first.get(key) != second.get(key):
            yield key, first.get(key, "–"), second.get(key, "–")  # noqa: RUF001 - nothing there


def worse(found: Comparison) -> bool:
    """Whether a clause is worse than before, or no longer judged."""
    return any(step.change in {ChangeKind.WORSE, ChangeKind.GONE} for step in found.steps)


def relation_of(step: ClauseChange) -> Relation:
    """How a clause's value must stand to its limit, after or else before."""
    row: Sequence[VerdictEntry | None] = (step.after, step.before)
    return next((found.relation for found in row if found is not None), Relation.EQUAL)
