"""How often verdicts that rest on samples may be wrong by chance: of each clause, and of a whole contract.

Two ways to be wrong. A *false pass*: a clause is ``held`` although the truth lies outside its limit. A *false alarm*:
it is ``broken`` although the truth lies inside. A clause errs in either way at most so often as the confidence leaves,
whatever the truth is.

A contract is held only when each of its clauses is. Where one truth lies outside, that clause must have passed falsely:
the contract's chance of a false pass is that of the single clause, however many there are (the intersection-union test:
R. L. Berger, Technometrics 24, 1982). But it is broken as soon as one clause is, so the chances of a false alarm add up
(Bonferroni's inequality); ``correction = "bonferroni"`` gives each clause so small a part of it that their sum is what
a single one would have had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyerace_parity.checks.base import Rests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.checks.base import Planned


@dataclass(frozen=True, slots=True)
class Chances:
    """How often the verdict on a contract may be wrong by chance, at most.

    Attributes:
        clauses: Clauses whose answer rests on a sample; no other errs by chance.
        false_pass: The contract is held although a truth lies outside its limit.
        false_alarm: It is broken although all truths lie inside.
        correction: How the chance of a false alarm is shared, ``none`` or ``bonferroni``.
    """

    clauses: int
    false_pass: float
    false_alarm: float
    correction: str


def chances(planned: Sequence[Planned]) -> Chances | None:
    """Add up what the clauses of a contract may err; ``None`` where none rests on a sample."""
    sampled = [each for each in planned if each.clause.rests is not Rests.ON_NO_SAMPLE]
    if not sampled:
        return None
    passes = [_false_pass(each) for each in sampled]
    alarms = [
        each.case.rules.alarm if each.clause.rests is Rests.ON_STATISTICS else _false_pass(each) for each in sampled
    ]
    correction = sampled[0].case.contract.statistics.correction
    return Chances(len(sampled), max(passes), min(sum(alarms), 1.0), correction)


def _false_pass(planned: Planned) -> float:
    if planned.clause.rests is Rests.ON_STATISTICS:
        return 1.0 - planned.case.rules.confidence
    own = planned.limits.confidence  # type: ignore[attr-defined]  # what ON_OWN_CONFIDENCE means
    return 1.0 - float(own or planned.case.contract.statistics.confidence)
