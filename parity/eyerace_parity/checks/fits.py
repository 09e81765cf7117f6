"""What clauses have in common before they are judged: the evidence that they read, and why they may never be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.guards import GOLDEN
from eyerace_parity.evidence.answers import GoldenFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.checks.base import Case, L
    from eyerace_parity.contract.base import Limits
    from eyerace_parity.evidence.base import Need

    Needs = Callable[[Case, Limits], tuple[Need[Any], ...]]
    Unfit = Callable[[Case, Limits], str]


def needs(*kinds: type, reference: type | None = None, baseline: type | None = None) -> Needs:
    """What a clause reads.

    Args:
        kinds: Of the judged variant; :class:`.Golden` is the golden set's own.
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


def either(*reasons: Callable[[Case, L], str]) -> Callable[[Case, L], str]:
    """The first of several reasons why a clause can never be judged."""
    return lambda case, limits: next((found for reason in reasons if (found := reason(case, limits))), "")


def unlabelled(case: Case, _limits: Limits) -> str:
    """Why nothing can be said of right and wrong."""
    if not case.contract.classes:
        return "the contract names no classes"
    return "" if case.labelled else "the golden set has no labels"


def undecided(case: Case, _limits: Limits) -> str:
    """Why nothing decides for a class."""
    if not case.contract.classes and case.contract.golden.scores is None:
        return "the contract names neither classes nor golden.scores, so no output decides"
    return ""


def unreferenced(purpose: str) -> Unfit:
    """Why a variant cannot be compared with its reference."""
    return lambda case, _limits: "" if case.reference else f"{case.name} has no reference {purpose}"
