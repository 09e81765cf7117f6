"""Budgets of instructions: how a contract writes them, and how a count is written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from eyerace_parity.checks.phrases import unknown
from eyerace_parity.contract.base import Model, Name, Positive

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case


class RatioLimit(Model):
    """Limit on the ratio of a number to the same number of another variant.

    Attributes:
        versus: The other variant.
        at_most: Largest ratio of this variant's number to the other's.
    """

    versus: Name = Field(description="The variant that is compared to.")
    at_most: Positive = Field(description="Largest ratio of this variant's number to the other's.")


def other_variant(case: Case, demand: RatioLimit | None) -> str:
    """Return why a ratio can never be judged; empty if it can."""
    if demand is None:
        return ""
    if demand.versus not in case.contract.variants:
        known = [name for name in case.contract.variants if name != case.name]
        return unknown(f"versus = {demand.versus!r}", known, demand.versus, "other variant")
    return f"{case.name} cannot be compared with itself" if demand.versus == case.name else ""
