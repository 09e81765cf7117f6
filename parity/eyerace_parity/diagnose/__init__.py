"""Finds likely causes of broken clauses.

:func:`causes` runs only for broken clauses. It obtains further evidence as a clause does, the cheapest first, and stops
at the first kind of evidence that explains something. A cause is always shown by numbers or by an experiment. A failed
measurement explains nothing and changes no verdict.
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
"""Families of checks whose clauses compare answers. Clauses of other families state the cause themselves."""

MAX_CAUSES: Final = 3
"""Most causes reported for one clause."""

_LOG: Final = logging.getLogger(__name__)


def causes(planned: PlannedClause, source: Source) -> tuple[str, ...]:
    """Explain why a clause is likely broken.

    Never raises for anything that a model, a file or a diagnosis can do.

    Args:
        planned: The clause.
        source: Where evidence comes from: the clause's own evidence, and more.

    Returns:
        One sentence a cause with the numbers that show it, the likeliest first; empty if nothing is shown.
    """
    case = planned.case
    if planned.clause.check not in EXPLAINED or case.target != HOST:
        return ()
    for explain in EXPLANATIONS:
        try:
            sentences = explain(case, source)
        except MeasurementError as error:
            _LOG.info("%s cannot explain %s: %s", explain.__name__, planned.identity, error.reason)
        except Exception:  # noqa: BLE001 - one faulty diagnosis must not cost the run its verdict
            # A bug of the diagnosis goes to the log; the verdict stays without a cause.
            _LOG.exception("%s failed for %s", explain.__name__, planned.identity)
        else:
            if sentences:
                return tuple(dict.fromkeys(sentences))[:MAX_CAUSES]
    return ()


def _by_answers(case: Case, source: Source) -> list[str]:
    golden, outputs = source.obtain(Need(GoldenFacts)), source.obtain(case.need(Outputs))
    reference_outputs = source.obtain(case.need(Outputs, case.reference)) if case.reference else None
    name = case.contract.scores_output
    reference = None if reference_outputs is None else reference_outputs.arrays.get(name)
    return answers.causes(case.name, outputs.arrays.get(name), case.reference or "", reference, golden)


def _by_layers(case: Case, source: Source) -> list[str]:
    if case.reference is None or case.variant.kind != "onnx":
        return []
    return layers.causes(case.contract, case.name, source.obtain(case.need(Weights, versus=case.reference)))


def _by_preparation(case: Case, source: Source) -> list[str]:
    trials = source.obtain(case.need(PreparationTrials, versus=case.reference or ""))
    return preparation.causes(case.name, case.reference or "", trials, source.obtain(Need(GoldenFacts)))


def _by_sensitivity(case: Case, source: Source) -> list[str]:
    recipe = case.variant.recipe if isinstance(case.variant, OnnxVariant) else None
    if not isinstance(recipe, QuantiseStaticRecipe) or recipe.format != "qdq":
        return []  # only a QDQ file lets one layer alone go back to float
    return sensitivity.causes(case.name, source.obtain(case.need(Sensitivity)))


def _by_constant_answers(case: Case, source: Source) -> list[str]:
    scores = source.obtain(case.need(Outputs)).arrays.get(case.contract.scores_output)
    return answers.constant_answers(case.name, scores)


EXPLANATIONS: Final[tuple[Callable[[Case, Source], list[str]], ...]] = (
    _by_answers,
    _by_layers,
    _by_preparation,
    # Before the sensitivity experiment: it needs only the answers, but as a first step it would hide the better
    # explanations above.
    _by_constant_answers,
    _by_sensitivity,
)
"""From the cheapest (evidence that the run already has) to the dearest (experiments of half a minute)."""
