"""The plan: which clauses are judged, and the rule for limits that can never be judged.

A contract may state a limit once for all variants (``[limits.FAMILY]``) or for one (``[variants.NAME.limits.FAMILY]``).
A limit *fits* a variant if the clause can be judged for it: ``f1`` fits no unlabelled set, ``max_abs`` fits no
variant without a reference, ``integer_weights`` fits no torch module.

* A limit that **every** variant has is shared. It is judged for the variants that it fits, and must fit at least one:
  the torch reference, for example, has no reference of its own.
* A limit that **only some** variants have was written for these. It must fit each of them.

Any other limit is a :class:`~eyerace_parity.core.errors.ContractError` with its key, before anything is measured: a
demand is never dropped silently. What a family demands by default falls
away quietly where it does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.base import Case, Family, PlannedClause, SignificanceSource
from eyerace_parity.checks.registry import families as all_families
from eyerace_parity.contract.data import ArraySet
from eyerace_parity.contract.locate import line_of, lines
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.measure.targets.equipment import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.checks.base import Clause, Family
    from eyerace_parity.contract.base import Limits
    from eyerace_parity.contract.model import Contract

Bearer = tuple["Case", "Mapping[str, Limits]"]
"""A variant with its limits by family."""


def reject_unjudgeable(families: Sequence[Family[Any]], bearers: Sequence[Bearer]) -> None:
    """Refuse a contract with a limit that can never be judged.

    Args:
        families: All families, with their clauses.
        bearers: Every variant with its limits.

    Raises:
        ContractError: A limit breaks the rule of this module; all that do are named.
    """
    faults = [fault for family in families for clause in family.clauses for fault in _faults(family, clause, bearers)]
    if faults:
        # One mistake that keeps several limits from being judged is reported once, at the first of them.
        faults = list({(keys[:-1], sentence): (keys, sentence) for keys, sentence in reversed(faults)}.values())[::-1]
        contract = bearers[0][0].contract
        raise ContractError(
            "\n".join(_told(contract, keys, sentence) for keys, sentence in faults),
            next_step="take the limit out, or state it only for variants that it can be judged of",
        )


def _faults(
    family: Family[Any], clause: Clause[Any], bearers: Sequence[Bearer]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Find where the limit of one clause breaks the rule: its keys, and why."""
    stated = [(case, limits[family.name]) for case, limits in bearers if clause.stated(limits[family.name])]
    reasons = {case.name: clause.not_applicable(case, limits) for case, limits in stated}
    keys = ("limits", family.name, clause.limit or "")
    if len(stated) < len(bearers):
        for name, reason in reasons.items():
            if reason:
                yield ("variants", name, *keys), f"can never be judged: {reason}"
    elif all(reasons.values()):
        yield keys, f"can never be judged of any variant: {'; '.join(dict.fromkeys(reasons.values()))}"


def refuse_unknown_targets(contract: Contract) -> None:
    """Refuse a contract that names a target which there is not, or describes one that cannot be believed.

    Raises:
        ContractError: It does; all such targets are named.
    """
    named = {("targets", "own", name): name for name in contract.targets.own}
    tables: list[tuple[tuple[str, str], Sequence[str]]] = []
    if not contract.cell:
        tables.append((("targets", "run"), contract.targets.run))
    tables += [
        ((section.key, section.targets), getattr(getattr(contract, section.key), section.targets))
        for section in contract.sections
        if section.targets
    ]
    for at, names in tables:
        named |= {(*at, str(number)): name for number, name in enumerate(names) if name not in contract.targets.own}
    faults: dict[tuple[str, ...], ContractError] = {}
    for keys, name in named.items():
        try:
            check_target(contract, name)
        except ContractError as error:
            faults[keys] = error
    if faults:
        raise ContractError(
            "\n".join(_told(contract, keys, error.reason) for keys, error in faults.items()),
            next_step="; ".join(dict.fromkeys(error.next_step for error in faults.values())),
        )


def demand_line(planned: PlannedClause) -> int | None:
    """The 1-based line of a contract that states a clause's limit.

    The variant's own limit comes first, then the shared one, then the variant itself.
    """
    case, keys = planned.case, planned.clause.keys
    known = lines(_text(case.contract.file))
    variant = ("variants", case.name)
    stated = [case.contract.as_written(wanted) for wanted in (variant + keys, keys, variant)]
    return next((known[wanted] for wanted in stated if wanted in known), None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        # The file has been read before; without it the line is not known, and nothing else is lost.
        return ""


def _told(contract: Contract, keys: tuple[str, ...], sentence: str) -> str:
    text = _text(contract.file)
    known = lines(text)
    # A limit that all variants have may be written for each of them.
    places = (keys, *(("variants", name, *keys) for name in contract.variants))
    stated = [contract.as_written(place) for place in places]
    keys = next((place for place in stated if place in known), stated[0])
    line = line_of(text, keys)
    return f"{display_path(contract.file)}{f':{line}' if line else ''}: {'.'.join(keys)}: {sentence}"


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often the verdict on a contract may be wrong by chance, at most.

    Attributes:
        clauses: Number of clauses decided on a sample; no other errs by chance.
        false_pass: Probability that the contract is held although a true value is outside its limit.
        false_alarm: Probability that it is broken although all true values are inside.
        correction: How the chance of a false alarm is shared, ``none`` or ``bonferroni``.
    """

    clauses: int
    false_pass: float
    false_alarm: float
    correction: str


def error_rates(planned: Sequence[PlannedClause]) -> ErrorRates | None:
    """Add up what the clauses of a contract may err; ``None`` if none is decided on a sample."""
    sampled = [each for each in planned if each.clause.significance is not SignificanceSource.EXACT]
    if not sampled:
        return None
    passes = [_false_pass(each) for each in sampled]
    alarms = [
        each.case.rules.alarm if each.clause.significance is SignificanceSource.ON_STATISTICS else _false_pass(each)
        for each in sampled
    ]
    correction = sampled[0].case.contract.statistics.correction
    return ErrorRates(len(sampled), max(passes), min(sum(alarms), 1.0), correction)


def _false_pass(planned: PlannedClause) -> float:
    if planned.clause.significance is SignificanceSource.ON_STATISTICS:
        return 1.0 - planned.case.rules.confidence
    own = planned.limits.confidence  # type: ignore[attr-defined]  # what ON_OWN_CONFIDENCE means
    return 1.0 - float(own or planned.case.contract.statistics.confidence)


def plan(contract: Contract, families: Sequence[Family[Any]] | None = None) -> tuple[PlannedClause, ...]:
    """Say what will be judged, variant by variant, without measuring anything.

    A cell of the matrix over runtimes says nothing of torch variants, which no ONNX Runtime executes.

    Raises:
        ContractError: The contract demands nothing at all, or something that can never be judged.
    """
    if families is None:
        stated = {family for variant in contract.variants.values() for family in variant.limits}
        families = all_families(contract.extensions, stated)
    golden = contract.golden
    labelled = bool(contract.classes) and (not isinstance(golden, ArraySet) or golden.labels is not None)
    bearers: list[tuple[Case, dict[str, Limits]]] = []
    for name in contract.variants:
        case = Case(contract, name, labelled)
        bearers.append((case, {family.name: family.limits_of(case) for family in families}))
    reject_unjudgeable(families, bearers)
    refuse_unknown_targets(contract)
    planned = tuple(
        PlannedClause(at, clause, limits[family.name])
        for case, limits in bearers
        if not (contract.cell and case.variant.needs_torch)
        for family in families
        for at in family.cases(case)
        for clause in family.clauses
        if clause.applies(at, limits[family.name])
    )
    if not planned:
        raise ContractError(
            f"{display_path(contract.file)}: the contract demands nothing, so nothing could be held",
            next_step="state limits in [limits.FAMILY] or [variants.NAME.limits.FAMILY]",
        )
    sharing = sum(each.clause.significance is SignificanceSource.ON_STATISTICS for each in planned)
    return tuple(replace(each, case=replace(each.case, sharing=max(sharing, 1))) for each in planned)
