"""Reports at collection which drop the golden set can resolve, before hours of measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import GoldenError
from eyerace_parity.core.text import join_names
from eyerace_parity.golden.dataset import labels_alone
from eyerace_parity.stats.planning import POWER, sight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.stats.planning import SetResolution

_DROPS: Final = frozenset({"f1_drop", "accuracy_drop"})
_SURE: Final = 0.99
_CLASS_DROPS: Final = frozenset({"f1_drop_per_class"})


def in_words(contract: Contract, planned: Sequence[PlannedClause]) -> str:
    """Describe which drop the golden set resolves, and the power of the contract's margins.

    Args:
        contract: The contract.
        planned: All that it demands.

    Returns:
        One line; empty where no drop is limited, or where the labels cannot be read: judging says why.
    """
    margins = [limit for each in planned for limit in _margins(each)]
    if not margins:
        return ""
    try:
        labels, clusters = labels_alone(contract)
    except GoldenError:
        return ""
    stated = contract.statistics
    seen = sight(labels, len(contract.classes), clusters, flips=stated.assumed_flips, confidence=stated.confidence)
    together = f" in {seen.clusters:,} clusters" if clusters is not None else ""
    line = (
        f"golden set: {seen.samples:,} samples{together} resolve an F1 drop of {_points(seen.margin)} points, "
        f"{_points(max(seen.class_margins))} in one class (confidence {stated.confidence:g}, power {POWER:g}, "
        f"if {100 * stated.assumed_flips:g} % of the decisions flip)"
    )
    powers = {f"{name} = {margin:g}": _power(contract, seen, margin, of_class) for name, margin, of_class in margins}
    stated_powers = join_names([f"{name}: {_percent(power)}" for name, power in powers.items()])
    line = f"{line}; power of the contract's margins: {stated_powers}"
    blind = [name for name, power in powers.items() if power < POWER]
    return f"{line}; too small to count on: {join_names(blind)}" if blind else line


def _margins(planned: PlannedClause) -> Iterator[tuple[str, float, str | None]]:
    """The margins that a clause states above zero, which is a demand on this very set: name, margin, class if any."""
    key = planned.clause.limit or ""
    if key not in _DROPS | _CLASS_DROPS:
        return
    family = "" if planned.clause.check == "quality" else f"{planned.clause.check}."
    name = f"{planned.case.name}.{family}{key}"
    demand = getattr(planned.limits, key)
    if isinstance(demand, dict):
        yield from ((f"{name}.{label}", margin, label) for label, margin in demand.items() if margin > 0)
    elif demand is not None and demand > 0:
        yield name, demand, "" if key in _CLASS_DROPS else None


def _power(contract: Contract, seen: SetResolution, margin: float, of_class: str | None) -> float:
    """Chance that a model which loses nothing holds a margin: of all classes together, of one, or of the worst one."""
    if of_class is None:
        return seen.power(margin)
    asked = [contract.classes.index(of_class)] if of_class else range(len(contract.classes))
    return min(seen.power(margin, each) for each in asked)


def _percent(power: float) -> str:
    """Format a probability in per cent, never as 100 %."""
    return "> 99 %" if power > _SURE else f"{100 * power:.0f} %"


def _points(share: float) -> str:
    return f"{100 * share:.2g}"
