"""How a family of checks is declared: limits, clauses, and the evidence of each clause.

A clause is a pure function of a case and the evidence that it asked for. A clause with a limit also gets the limit::

    size = Family("size", SizeLimits)

    @size.demand("file_size", limit="file_size", needs=files)
    def file_size(case: Case, limit: int, evidence: ClauseEvidence) -> Judgement:
        ...

It never measures, reads a file, or asks where its numbers were computed. A clause that only compares a number with its
limit is declared in a shorter form: see :mod:`eyerace_parity.checks.comparison`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NotRequired, TypedDict, TypeVar, Unpack, cast

from eyerace_parity.contract.base import Limits
from eyerace_parity.core.result import HOST, Identity, Judgement
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.base import Need
from eyerace_parity.stats.decisions import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Variant

L = TypeVar("L", bound=Limits)
E = TypeVar("E")
V = TypeVar("V")
Clausal = TypeVar("Clausal", bound="Callable[[Case, ClauseEvidence], Judgement]")


class Refusal(Exception):  # noqa: N818 - an answer of its own, no error of the program
    """Ends a clause before its number is compared, with the judgement that it comes to.

    Attributes:
        judgement: The answer.
    """

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.reason)
        self.judgement = judgement


class SignificanceSource(Enum):
    """Where the confidence of a clause's answer comes from: see :mod:`eyerace_parity.checks.plan`."""

    EXACT = "exact"
    """On no sample: it cannot be wrong by chance."""
    ON_STATISTICS = "statistics"
    """On a sample, decided by the contract's ``[statistics]``."""
    ON_OWN_CONFIDENCE = "own confidence"
    """On a sample, decided at the ``confidence`` of its family's limits."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged.

    Attributes:
        contract: The contract.
        name: Name of the variant under judgement.
        labelled: Whether the golden set has labels, as the contract states it.
        target: Where the evidence is to be executed.
        sharing: Clauses of the contract that are decided by its ``[statistics]``, and share a correction.
    """

    contract: Contract
    name: str
    labelled: bool
    target: str = HOST
    sharing: int = 1

    @property
    def rules(self) -> Rules:
        """Confidence rules of decisions about samples, as the contract states them."""
        stated = self.contract.statistics
        whole = Rules(
            stated.confidence,
            1.0 - stated.confidence,
            stated.draws,
            stated.seed,
            stratified=stated.sampling == "stratified",
        )
        return whole.among(self.sharing) if stated.correction == "bonferroni" else whole

    @property
    def variant(self) -> Variant:
        """The variant under judgement, as the contract states it."""
        return self.contract.variants[self.name]

    @property
    def reference(self) -> str | None:
        """Name of the variant it is compared against."""
        return self.variant.reference

    def need(self, kind: type[E], variant: str | None = None, *, versus: str = "", baseline: bool = False) -> Need[E]:
        """Return a need on this case's target, for this case's variant unless another is named.

        With ``baseline``, of the accepted release: where none is given, the clause is `unproven`.
        """
        return Need(kind, self.name if variant is None else variant, self.target, versus, baseline)


class ClauseEvidence:
    """The evidence that a clause asked for, and nothing else."""

    __slots__ = ("_found",)

    def __init__(self, found: Mapping[Need[Any], Any]) -> None:
        self._found = found

    def __getitem__(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            LookupError: The clause reads what it did not declare; a fault of the check, not of the model.
        """
        try:
            return cast("E", self._found[need])
        except KeyError:
            raise LookupError(f"the clause did not declare that it needs {need}") from None


def _applicable(_case: Case, _limits: Limits) -> str:
    return ""


def _unexecuted(case: Case) -> str:
    """Return why a variant is executed on no target; empty if it is executed."""
    contract = case.contract
    if contract.cell or case.name in contract.targets.executed(contract.variants):
        return ""  # which targets a cell of the matrix has is said there
    if not contract.targets.run:
        return "targets.run names no target to execute it on"
    return (
        f"the targets execute {join_names(contract.targets.executed(contract.variants))}, as "
        "targets.variants names them"
    )


@dataclass(frozen=True, slots=True)
class Clause(Generic[L]):
    """One thing that a contract can demand of a variant.

    Attributes:
        name: Unique among all clauses that are judged on the host, or among all that are judged on targets; with the
            target the last part of an item's id.
        check: Name of its family.
        summary: One line for help texts, the first line of the function's docstring.
        judge: The pure function, which knows its limit from the case; it may raise a :class:`Refusal`.
        needs: Evidence that it reads.
        applies: Whether it is planned for this case: the contract demands it, and it can be judged.
        keys: Where the contract states its limit, as keys below ``variants.NAME``; the contract's line of the item.
        limit: Field of the limits that states the demand; ``None`` where the rest of the contract implies it.
        not_applicable: Why a demand can never be judged of this case, or an empty string.
        significance: Where the confidence of its answer comes from.
    """

    name: str
    check: str
    summary: str
    judge: Callable[[Case, ClauseEvidence], Judgement]
    needs: Callable[[Case, L], tuple[Need[Any], ...]]
    applies: Callable[[Case, L], bool]
    keys: tuple[str, ...] = ()
    limit: str | None = None
    not_applicable: Callable[[Case, L], str] = _applicable
    significance: SignificanceSource = SignificanceSource.EXACT

    def stated(self, limits: L) -> bool:
        """Whether the contract itself states the demand, and not a family's default."""
        if self.limit in limits.model_fields_set and getattr(limits, self.limit) is not None:
            return True
        return self.limit in limits.demanded() - type(limits)().demanded()


class ClauseOptions(TypedDict, Generic[L]):
    """What every form of a clause may state beside its name and its limit.

    Attributes:
        needs: Evidence that it reads, from the case and its limits.
        applies: A further condition on the case, or the only one where there is no limit.
        not_applicable: Why the demand can never be judged of a case, or an empty string; see
            :mod:`eyerace_parity.checks.plan` for what becomes of such a demand.
        significance: Where the confidence of its answer comes from.
    """

    needs: Callable[[Case, L], tuple[Need[Any], ...]]
    applies: NotRequired[Callable[[Case, L], bool] | None]
    not_applicable: NotRequired[Callable[[Case, L], str]]
    significance: NotRequired[SignificanceSource]


def summary_of(function: Callable[..., object]) -> str:
    """The first line of a function's docstring."""
    return (function.__doc__ or "").strip().partition("\n")[0]


@dataclass(slots=True)
class Family(Generic[L]):
    """A family of checks: its limits and its clauses, in the order of the report.

    Attributes:
        name: The ``check`` of its verdicts, and the key of its limits in a contract.
        limits: Type of its limits.
        on_targets: Whether it is judged on each of the contract's targets, and not on the host.
        in_cells: Whether a cell of the matrix over runtimes judges it, too.
        after: Family of the core whose rows it follows in a report, for one of an extension; the last where empty.
        joins: Whether its limits and clauses join the family of the core that bears its name.
        clauses: What has been registered by :meth:`clause`.
    """

    name: str
    limits: type[L]
    on_targets: bool = False
    in_cells: bool = True
    after: str = ""
    joins: bool = False
    clauses: list[Clause[L]] = field(default_factory=list)

    def cases(self, case: Case) -> tuple[Case, ...]:
        """The cases that this family judges of a variant: the host's own, or one for each target that executes it."""
        if case.contract.cell and not self.in_cells:
            return ()
        if not self.on_targets:
            return (case,)
        contract = case.contract
        executed = case.name in contract.targets.executed(contract.variants)
        return tuple(replace(case, target=target) for target in contract.targets.run) if executed else ()

    def limits_of(self, case: Case) -> L:
        """The limits in force for a case: those of its variant, or this family's defaults."""
        stated = case.variant.limits.get(self.name)
        return stated if isinstance(stated, self.limits) else self.limits()

    def add(
        self,
        name: str,
        judge: Callable[[Case, ClauseEvidence], Judgement],
        *,
        summary: str,
        limit: str | None = None,
        **options: Unpack[ClauseOptions[L]],
    ) -> None:
        """Register a clause.

        Args:
            name: Name of the clause.
            judge: The pure function.
            summary: One line that says what holds when the clause holds.
            limit: Field of the limits that states the demand. The clause is planned when it holds one.
            options: See :class:`ClauseOptions`.
        """
        applies, not_applicable = options.get("applies"), options.get("not_applicable", _applicable)
        significance = options.get("significance", SignificanceSource.EXACT)

        def reason(case: Case, limits: L) -> str:
            return (_unexecuted(case) if self.on_targets else "") or not_applicable(case, limits)

        def wanted(case: Case, limits: L) -> bool:
            demanded = limit is None or limit in limits.demanded()
            return demanded and (applies is None or applies(case, limits)) and not not_applicable(case, limits)

        keys = ("limits", self.name, limit) if limit else ("limits", self.name)
        self.clauses.append(
            Clause(name, self.name, summary, judge, options["needs"], wanted, keys, limit, reason, significance)
        )

    def clause(self, name: str, **options: Unpack[ClauseOptions[L]]) -> Callable[[Clausal], Clausal]:
        """Register the decorated function as a clause without a limit of its own: the rest of the contract implies it.

        The options are those of :class:`ClauseOptions`; the summary is the first line of the function's docstring.
        """

        def register(judge: Clausal) -> Clausal:
            self.add(name, judge, summary=summary_of(judge), **options)
            return judge

        return register

    def demand(
        self,
        name: str,
        *,
        limit: str | None = None,
        to: Callable[[Case], V | None] | None = None,
        summary: str = "",
        **options: Unpack[ClauseOptions[L]],
    ) -> Callable[[Callable[[Case, V, ClauseEvidence], Judgement]], Callable[[Case, V, ClauseEvidence], Judgement]]:
        """Register the decorated function as a clause that is given its limit.

        Args:
            name: Name of the clause.
            limit: Field of the limits that states the demand.
            to: The limit of a case where it is not simply the value of that field. ``None`` demands nothing of the
                case, and the clause is not planned for it.
            summary: One line that says what holds when the clause holds; by default the first of the docstring.
            options: See :class:`ClauseOptions`.
        """
        applies = options.get("applies")

        def wanted(case: Case, limits: L) -> bool:
            return (applies is None or applies(case, limits)) and (to is None or to(case) is not None)

        options["applies"] = wanted

        def register(
            judge: Callable[[Case, V, ClauseEvidence], Judgement],
        ) -> Callable[[Case, V, ClauseEvidence], Judgement]:
            def judged(case: Case, evidence: ClauseEvidence) -> Judgement:
                value = to(case) if to is not None else getattr(self.limits_of(case), limit or "")
                if value is None:  # never planned
                    raise LookupError(f"{name} is not demanded of {case.name}")
                return judge(case, value, evidence)

            self.add(name, judged, summary=summary or summary_of(judge), limit=limit, **options)
            return judge

        return register


@dataclass(frozen=True, slots=True)
class PlannedClause:
    """A clause that will be judged: pure data, made before anything is measured.

    Attributes:
        case: What is judged.
        clause: What is demanded.
        limits: The limits in force.
    """

    case: Case
    clause: Clause[Any]
    limits: Limits

    @property
    def identity(self) -> Identity:
        """Identity of its verdict."""
        return Identity(self.case.contract.name, self.case.name, self.clause.check, self.clause.name, self.case.target)

    @property
    def needs(self) -> tuple[Need[Any], ...]:
        """Evidence to obtain first."""
        return self.clause.needs(self.case, self.limits)

    def judge(self, findings: ClauseEvidence) -> Judgement:
        """Judge the evidence."""
        try:
            return self.clause.judge(self.case, findings)
        except Refusal as refusal:
            return refusal.judgement
