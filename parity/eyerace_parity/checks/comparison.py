"""Declared clauses: a number, its unit, its relation to a limit, and the words for both outcomes.

Most clauses only hold a number against a limit. Such a clause declares how the number is had, and is given its limit
here::

    @compares(memory, "peak_memory", Relation.AT_MOST, unit="bytes", needs=_footprint, next_step="quantise it")
    def peak_memory(case: Case, evidence: ClauseEvidence) -> Number:
        \"\"\"Loading and running once takes no more memory than allowed.\"\"\"
        ...

The function returns a :class:`Number`, or a judgement where no number can be had. Floors and drops of a statistic of
the golden set are declared in the same way (:func:`decides`, :func:`decides_per_class`): they return the statistic with
its samples, and what these prove is decided by :mod:`eyerace_parity.stats.decisions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.base import SignificanceSource, summary_of
from eyerace_parity.checks.guards import GOLDEN
from eyerace_parity.checks.phrases import class_lines, compare_to_limit, decided, unknown, worst_class
from eyerace_parity.core.numbers import passing_limit
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.stats.decisions import decide_drop, decide_floor
from eyerace_parity.stats.measures import class_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from eyerace_parity.checks.base import Case, ClauseEvidence, ClauseOptions, Family, L
    from eyerace_parity.contract.base import Limits
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.stats.decisions import Decision, Labelled, Statistic

    NumberOf = Callable[[Case, ClauseEvidence], "Number"]
    StatisticOf = Callable[[Case, ClauseEvidence], "SampleStatistic"]
    ClassesOf = Callable[[Case, Mapping[str, float], ClauseEvidence], "SamplesOfClasses"]


@dataclass(frozen=True, slots=True)
class Number:
    """What a clause found, to be held against its limit.

    Attributes:
        value: The number, in the clause's unit. A NaN is an error: there is nothing to compare.
        found: What was found, one sentence, for both outcomes.
        details: Further lines for the failure report.
        unit: Unit, if it depends on the case.
        next_step: What to do when the limit does not hold, if it depends on the case.
    """

    value: float
    found: str
    details: Sequence[str] = ()
    unit: str = ""
    next_step: str = ""

    def against(
        self, relation: Relation, limit: float, *, unit: str = "", next_step: str = "", passing: str = ""
    ) -> Judgement:
        """Hold the number against a limit; the words are those of :func:`compares`."""
        tightest = [f"{passing} that would have passed: {passing_limit(self.value, relation)}"] if passing else []
        return compare_to_limit(
            relation,
            limit,
            self.value,
            unit=self.unit or unit,
            found=self.found,
            next_step=self.next_step or next_step,
            details=[*self.details, *tightest],
        )


def compares(
    family: Family[L],
    name: str,
    relation: Relation,
    *,
    limit: str | None = None,
    to: Callable[[Case], float | None] | None = None,
    unit: str = "",
    next_step: str = "",
    passing: str = "",
    **options: Unpack[ClauseOptions[L]],
) -> Callable[[NumberOf], NumberOf]:
    """Declare the decorated function's number as a clause: it must have the ``relation`` to the limit.

    Args:
        family: The family that the clause joins.
        name: Name of the clause.
        relation: Required relation of the number to its limit.
        limit: Field of the limits that states the demand; by default the one that is called as the clause is, where
            ``to`` says nothing else.
        to: The limit of a case where it is not the value of such a field; ``None`` demands nothing of the case.
        unit: Unit of number and limit.
        next_step: What to do when the limit does not hold.
        passing: What a limit is called in the line that states the tightest limit that would have passed; without it
            there is no such line.
        options: See :class:`.ClauseOptions`.
    """

    def register(number: NumberOf) -> NumberOf:
        def judge(case: Case, limit: float, evidence: ClauseEvidence) -> Judgement:
            found = number(case, evidence)
            return found.against(relation, limit, unit=unit, next_step=next_step, passing=passing)

        field = limit or (None if to is not None else name)
        family.demand(name, limit=field, to=to, summary=summary_of(number), **options)(judge)
        return number

    return register


def constant(value: float) -> Callable[[Case], float]:
    """Return a limit that is the same for every contract."""
    return lambda _case: value


@dataclass(frozen=True, slots=True)
class SampleStatistic:
    """A statistic of the golden set, to be decided against its limit.

    Attributes:
        statistic: The statistic.
        samples: The samples that it is computed from.
        found: From the decision to what was found, one sentence.
        details: Further lines for the failure report.
    """

    statistic: Statistic
    samples: Labelled
    found: Callable[[Decision], str]
    details: Sequence[str] = ()


def decides(
    family: Family[L],
    name: str,
    relation: Relation,
    *,
    limit: str | None = None,
    next_step: str,
    undefined: str = "mend the metric",
    **options: Unpack[ClauseOptions[L]],
) -> Callable[[StatisticOf], StatisticOf]:
    """Declare the decorated function's statistic as a clause: a floor, or a drop against the samples' reference.

    Args:
        family: The family that the clause joins.
        name: Name of the clause.
        relation: ``AT_LEAST`` for a floor, ``AT_MOST`` for a drop.
        limit: Field of the limits that states the demand; by default the one with the clause's name.
        next_step: What to do when the limit is broken.
        undefined: What to do where the statistic is no number.
        options: See :class:`.ClauseOptions`.
    """
    decide = decide_floor if relation is Relation.AT_LEAST else decide_drop
    options["significance"] = SignificanceSource.ON_STATISTICS

    def register(statistic: StatisticOf) -> StatisticOf:
        def judge(case: Case, limit: float, evidence: ClauseEvidence) -> Judgement:
            asked = statistic(case, evidence)
            decision = decide(asked.statistic, asked.samples, limit, case.rules)
            found, details = asked.found(decision), asked.details
            return decided(
                case, decision, relation, limit, found=found, next_step=next_step, details=details, undefined=undefined
            )

        family.demand(name, limit=limit or name, summary=summary_of(statistic), **options)(judge)
        return statistic

    return register


@dataclass(frozen=True, slots=True)
class SamplesOfClasses:
    """The golden set, of which the F1 of single classes is to be decided.

    Attributes:
        samples: The samples that the F1 is computed from.
        found: From the class that the verdict speaks of and its decision to what was found, one sentence.
        next_step: From that class to what to do when its limit is broken.
        details: Further lines for the failure report, after a line for each class.
    """

    samples: Labelled
    found: Callable[[str, Decision], str]
    next_step: Callable[[str], str]
    details: Sequence[str] = ()


def decides_per_class(
    family: Family[L],
    name: str,
    relation: Relation,
    *,
    limit: str | None = None,
    undefined: str = "mend the metric",
    **options: Unpack[ClauseOptions[L]],
) -> Callable[[ClassesOf], ClassesOf]:
    """Declare the F1 of single classes as a clause: a floor or a drop for each, the worst of which is reported.

    Args:
        family: The family that the clause joins.
        name: Name of the clause.
        relation: ``AT_LEAST`` for floors, ``AT_MOST`` for drops.
        limit: Field of the limits that states the demand, one number for all classes or a table; by default the one
            with the clause's name.
        undefined: What to do where an F1 is no number.
        options: See :class:`.ClauseOptions`.
    """
    decide = decide_floor if relation is Relation.AT_LEAST else decide_drop
    field = limit or name
    options["not_applicable"] = either(_unknown_class(field), options.get("not_applicable", lambda _case, _limits: ""))
    options["significance"] = SignificanceSource.ON_STATISTICS

    def by_class(case: Case) -> Mapping[str, float] | None:
        demand = getattr(family.limits_of(case), field)
        return dict.fromkeys(case.contract.classes, demand) if isinstance(demand, float | int) else demand

    def register(samples_of: ClassesOf) -> ClassesOf:
        def judge(case: Case, limits: Mapping[str, float], evidence: ClauseEvidence) -> Judgement:
            asked = samples_of(case, limits, evidence)
            classes, rules = case.contract.classes, case.rules.among(len(limits))
            decisions = {
                each: decide(class_f1(len(classes), classes.index(each)), asked.samples, at, rules)
                for each, at in limits.items()
            }
            worst, others = worst_class(decisions, limits)
            return decided(
                case,
                decisions[worst],
                relation,
                limits[worst],
                found=f"{asked.found(worst, decisions[worst])}{others}",
                next_step=asked.next_step(worst),
                details=[*class_lines(decisions, limits, relation), *asked.details],
                undefined=undefined,
            )

        family.demand(name, limit=field, to=by_class, summary=summary_of(samples_of), **options)(judge)
        return samples_of

    return register


# ---- what clauses read, and why they may never be judged ------------------------------------------------------------


def needs(
    *kinds: type, reference: type | None = None, baseline: type | None = None
) -> Callable[[Case, Limits], tuple[Need[Any], ...]]:
    """Declare the evidence of a clause.

    Args:
        kinds: Of the judged variant; ``GoldenFacts`` are the golden set's own.
        reference: Of its reference.
        baseline: Of the accepted release.
    """

    def read(case: Case, _limits: Limits) -> tuple[Need[Any], ...]:
        found: list[Need[Any]] = [GOLDEN if kind is GoldenFacts else case.need(kind) for kind in kinds]
        if reference is not None:
            found.append(case.need(reference, case.reference))
        if baseline is not None:
            found.append(case.need(baseline, baseline=True))
        return tuple(found)

    return read


def _unknown_class(field: str) -> Callable[[Case, Limits], str]:
    """Return why a table of limits by class can never be judged; empty if it can."""

    def reason(case: Case, limits: Limits) -> str:
        demand, classes = getattr(limits, field), case.contract.classes
        if demand == {}:
            return f"{field} names no class"
        wrong = [each for each in demand if each not in classes] if isinstance(demand, dict) else []
        return unknown(f"{field}.{wrong[0]}", classes, wrong[0], "class") if wrong else ""

    return reason


def either(*reasons: Callable[[Case, L], str]) -> Callable[[Case, L], str]:
    """Return the first of several reasons why a clause can never be judged."""
    return lambda case, limits: next((found for reason in reasons if (found := reason(case, limits))), "")


def unlabelled(case: Case, _limits: Limits) -> str:
    """Return why no decision can be called right or wrong; empty if it can."""
    if not case.contract.classes:
        return "the contract names no classes"
    return "" if case.labelled else "the golden set has no labels"


def undecided(case: Case, _limits: Limits) -> str:
    """Return why no output decides for a class; empty if one does."""
    if not case.contract.classes and case.contract.golden.scores is None:
        return "the contract names neither classes nor golden.scores, so no output decides"
    return ""


def unreferenced(purpose: str) -> Callable[[Case, Limits], str]:
    """Return why a variant has no reference to compare with; empty if it has one."""
    return lambda case, _limits: "" if case.reference else f"{case.name} has no reference {purpose}"
