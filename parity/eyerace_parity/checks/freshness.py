"""Freshness: an artefact was made from the checkpoint and by the recipe that the contract names now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import needs
from eyerace_parity.checks.phrases import cannot_judge, compare_equal
from eyerace_parity.contract.base import Limits
from eyerace_parity.contract.variants import OnnxVariant
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.artefacts import Lineage

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.core.result import Judgement

_TOOL = "tool."
_MEANS = {
    "source": "made from another checkpoint or source",
    "recipe": "made by another recipe",
}


class FreshnessLimits(Limits):
    """Nothing to set: an artefact is fresh or it is not."""


freshness = Family("freshness", FreshnessLimits)


def _made_by_recipe(case: Case, _limits: FreshnessLimits) -> bool:
    return isinstance(case.variant, OnnxVariant) and case.variant.recipe is not None


@freshness.clause("fresh", needs=needs(Lineage), applies=_made_by_recipe)
def fresh(case: Case, findings: ClauseEvidence) -> Judgement:
    """The artefact has the digests of the sources that it would be made from now.

    Versions of tools are reported, not judged: another version need not make another model, and if it does, the other
    clauses see it.
    """
    lineage = findings[case.need(Lineage)]
    now = {key: value for key, value in lineage.current.items() if not key.startswith(_TOOL)}
    then = {key: value for key, value in lineage.stamped.items() if not key.startswith(_TOOL)}
    again = f"make it again: eyerace-parity export {case.name}"
    if not now:
        raise cannot_judge(
            f"nothing is known of what {case.name} would be made from now",
            "look whether its source and recipe are there",
        )
    tools = _tools(lineage)
    if not then:
        return compare_equal(
            False,
            "no stamp",
            "stamped",
            found=f"{case.name} does not say what it was made from, so it may be anything",
            next_step=again,
            details=tools,
        )
    stale = [key for key in sorted(now.keys() | then.keys()) if now.get(key) != then.get(key)]
    # Another checkpoint is another source: that is one reason, not two.
    changed = [key for key in stale if key != "source" or "checkpoint" not in stale]
    reasons = [_MEANS.get(key, f"made with another {key}") for key in changed]
    return compare_equal(
        not stale,
        f"stale {join_names(stale)}" if stale else "fresh",
        "fresh",
        found=f"{case.name} was {join_names(reasons)}" if stale else f"{case.name} was made from what is there now",
        next_step=again,
        details=[f"{key}: stamped {then.get(key, 'nothing')}, now {now.get(key, 'nothing')}" for key in stale] + tools,
    )


def _tools(lineage: Lineage) -> list[str]:
    """List the tools that have another version now."""
    then, now = lineage.stamped, lineage.current
    return [
        f"{key.removeprefix(_TOOL)}: made with {then.get(key, 'none')}, now {now.get(key, 'none')}"
        for key in sorted(then.keys() | now.keys())
        if key.startswith(_TOOL) and then.get(key) != now.get(key)
    ]
