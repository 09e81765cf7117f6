"""The one place where families of checks are registered, in the order of the report's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parity.checks.base import Case, Family, Planned
from parity.checks.closeness import closeness
from parity.checks.freshness import freshness
from parity.checks.integrity import integrity
from parity.checks.interface import interface
from parity.checks.latency import latency
from parity.checks.memory import memory
from parity.checks.quality import quality
from parity.checks.size import size
from parity.checks.stability import stability
from parity.contract.data import TensorSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parity.contract.base import Limits
    from parity.contract.model import Contract

FAMILIES: tuple[Family[Any], ...] = (
    interface,
    freshness,
    integrity,
    stability,
    closeness,
    quality,
    latency,
    size,
    memory,
)


def limits_by_family() -> Mapping[str, type[Limits]]:
    """Types of the limits by family, for reading a contract."""
    return {family.name: family.limits for family in FAMILIES}


def plan(contract: Contract) -> tuple[Planned, ...]:
    """Say what will be judged, variant by variant, without measuring anything."""
    golden = contract.golden
    labelled = bool(contract.classes) and (not isinstance(golden, TensorSet) or golden.labels is not None)
    planned: list[Planned] = []
    for name, variant in contract.variants.items():
        case = Case(contract, name, labelled)
        for family in FAMILIES:
            limits = variant.limits.get(family.name) or family.limits()
            planned += [Planned(case, clause, limits) for clause in family.clauses if clause.applies(case, limits)]
    return tuple(planned)
