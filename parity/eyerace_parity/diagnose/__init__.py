"""Why a clause is broken: likely causes, each shown by numbers or by an experiment, none guessed.

:func:`causes` is called for what is broken and for nothing else. It asks for further evidence as a clause does, the
cheapest first, and stops at the first kind of evidence that explains something. What cannot be measured explains
nothing, and changes no verdict.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from eyerace_parity.contract.variants import OnnxVariant, QuantiseStaticRecipe
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.result import HOST
from eyerace_parity.diagnose import answers, layers, preparation, sensitivity
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import PreparationTrials, Sensitivity, Weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.checks.base import Case, PlannedClause
    from eyerace_parity.evidence.source import Source

EXPLAINED: Final = frozenset({"closeness", "quality", "flips", "hybrid", "integrity"})
"""Families of checks that judge answers; all others say themselves what is wrong."""

MOST: Final = 3
"""Causes told of one clause."""

_LOG: Final = logging.getLogger(__name__)


def causes(planned: PlannedClause, source: Source) -> tuple[str, ...]:
    """Say why a clause is likely broken. Never raises for anything that a model, a file or a diagnosis can do.

    Args:
        planned: The clause.
        source: Where evidence comes from: what the clause itself had, and more.

    Returns:
        One sentence each with the numbers that show it, the likeliest first; nothing where nothing is shown.
    """
    case = planned.case
    if planned.clause.check not in EXPLAINED or case.target != HOST:
        return ()
    for explain in _LOOKS:
        try:
            found = explain(case, source)
        except MeasurementError as error:
            _LOG.info("%s says nothing of %s: %s", explain.__name__, planned.identity, error.reason)
        except Exception:  # noqa: BLE001 - one faulty diagnosis must not cost the run its verdict
            # A fault of ours, told where who debugs looks: the verdict stands without a cause.
            _LOG.exception("%s of %s failed", explain.__name__, planned.identity)
        else:
            if found:
                return tuple(dict.fromkeys(found))[:MOST]
    return ()


def _by_answers(case: Case, source: Source) -> list[str]:
    golden, ours = source.obtain(Need(GoldenFacts)), source.obtain(case.need(Outputs))
    theirs = source.obtain(case.need(Outputs, case.reference)) if case.reference else None
    name = case.contract.scores_output
    reference = None if theirs is None else theirs.arrays.get(name)
    return answers.causes(case.name, ours.arrays.get(name), case.reference or "", reference, golden)


def _by_layers(case: Case, source: Source) -> list[str]:
    if case.reference is None or case.variant.kind != "onnx":
        return []
    return layers.causes(case.contract, case.name, source.obtain(case.need(Weights, versus=case.reference)))


def _by_preparation(case: Case, source: Source) -> list[str]:
    tried = source.obtain(case.need(PreparationTrials, versus=case.reference or ""))
    return preparation.causes(case.name, case.reference or "", tried, source.obtain(Need(GoldenFacts)))


def _by_sensitivity(case: Case, source: Source) -> list[str]:
    recipe = case.variant.recipe if isinstance(case.variant, OnnxVariant) else None
    if not isinstance(recipe, QuantiseStaticRecipe) or recipe.format != "qdq":
        return []  # no layer of it can be put back into float by itself
    return sensitivity.causes(case.name, source.obtain(case.need(Sensitivity)))


def _by_indifference(case: Case, source: Source) -> list[str]:
    answered = source.obtain(case.need(Outputs)).arrays.get(case.contract.scores_output)
    return answers.unread(case.name, answered)


_LOOKS: Final[tuple[Callable[[Case, Source], list[str]], ...]] = (
    _by_answers,
    _by_layers,
    _by_preparation,
    _by_indifference,
    _by_sensitivity,
)
"""From what costs nothing to what must be tried, and what is left to say where neither explains anything."""
