"""Closeness: how far a variant's answers are from its reference's, output by output, matched by name.

Each variant is measured against its own reference, so along a chain ``torch → fp32 → int8`` the loss of the export and
the loss of the quantisation are separate numbers; the reason names the loss and its place in the chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, either, needs, undecided, unreferenced
from eyerace_parity.checks.guards import GOLDEN, element, furthest, require_scores, require_usable
from eyerace_parity.checks.phrases import class_name, unknown
from eyerace_parity.contract.base import Limits, Model, Share, limit
from eyerace_parity.contract.variants import ExportRecipe, OnnxVariant
from eyerace_parity.core.numbers import format_number
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.stats import differences
from eyerace_parity.stats.classification import decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Array

Tolerance = Annotated[float, Field(ge=0.0)]
Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]

_MOST_NAMED = 5
_PASSING = "smallest tolerance"


class OutputLimits(Model):
    """Tolerances of one output, which take precedence over the general ones."""

    max_abs: Tolerance | None = limit("Largest absolute difference of any element.")
    p999_abs: Tolerance | None = limit("Absolute difference that 99.9 % of all elements stay within.")
    max_rel: Tolerance | None = limit(
        "Largest difference in proportion to the reference's element; elements below a thousandth of the "
        "output's root mean square count as that large."
    )
    sqnr_db: float | None = limit("Least ratio of signal to quantisation noise, in dB.")
    cosine: Cosine | None = limit("Least cosine between the two answers to any one sample.")


class ClosenessLimits(OutputLimits, Limits):
    """How close a variant must stay to its reference on the golden inputs."""

    top1_agreement: Share | None = limit("Least share of samples on which both decide for the same class.")
    mean_kl: Tolerance | None = limit("Largest mean Kullback-Leibler divergence from the reference's scores, in nats.")
    scores: Literal["logits", "probabilities"] = Field(
        default="logits", description="What the scores are, for mean_kl: logits go through a softmax first."
    )
    per_output: dict[str, OutputLimits] = Field(
        default={}, description="Tolerances of single outputs by name, above the general ones."
    )

    def demanded(self) -> frozenset[str]:
        """Names of the fields that hold a demand, for all outputs or for one."""
        single = {key for limits in self.per_output.values() for key, value in limits if value is not None}
        return Limits.demanded(self) | single

    def by_output(self, key: str, outputs: Iterable[str]) -> dict[str, float]:
        """Tolerance of each output that has one: its own, else the general one."""
        stated = {name: getattr(self.per_output.get(name), key, None) for name in outputs}
        found = {name: getattr(self, key) if own is None else own for name, own in stated.items()}
        return {name: tolerance for name, tolerance in found.items() if tolerance is not None}


closeness = Family("closeness", ClosenessLimits)


def _not_applicable(case: Case, limits: ClosenessLimits) -> str:
    outputs = [port.name for port in case.contract.interface.outputs]
    for name in limits.per_output:
        if name not in outputs:
            return unknown(f"per_output.{name}", outputs, name, "output")
    return unreferenced("to be close to")(case, limits)


@dataclass(frozen=True, slots=True)
class _Distance:
    """A clause about the distance of two arrays: the number, its words, and the place where they are furthest.

    Attributes:
        key: Name of the clause, and field of the limits.
        relation: Required relation of the number to its limit.
        compute: From candidate and reference to the number.
        description: The number in words.
        summary: What holds when the clause holds.
        unit: Unit of the number.
        perfect: The number of two equal arrays.
        spread: From candidate and reference to one number an element, the largest the worst.
    """

    key: str
    relation: Relation
    compute: Callable[[Array, Array], float]
    description: str
    summary: str
    unit: str = ""
    perfect: float = 0.0
    spread: Callable[[Array, Array], differences.Floats] = differences.absolute

    def excess(self, value: float, limit: float) -> float:
        """How far a number is beyond its limit, relative to the limit; above zero is broken."""
        beyond = value - limit if self.relation is Relation.AT_MOST else limit - value
        if beyond == 0 or not math.isfinite(beyond):
            return beyond
        return beyond / abs(limit) if limit else math.copysign(math.inf, beyond)

    def tolerances(self, case: Case) -> dict[str, float]:
        """The limit of each output that has one."""
        outputs = [port.name for port in case.contract.interface.outputs]
        return closeness.limits_of(case).by_output(self.key, outputs)

    def judge(self, case: Case, tolerances: Mapping[str, float], findings: ClauseEvidence) -> Judgement:
        """Judge every output that has a limit, and answer with the worst."""
        golden, candidate, reference = _pair(case, findings, require_usable)
        found = [
            (name, tolerances[name], self.compute(ours, reference.arrays[name]))
            for name, ours in candidate.arrays.items()
            if name in tolerances
        ]
        name, limit, value = max(found, key=lambda entry: self.excess(entry[2], entry[1]))
        ours, theirs = candidate.arrays[name], reference.arrays[name]
        details = [] if value == self.perfect else _worst(golden, name, ours, theirs, self)
        if len(found) > 1:
            details += [f"{other}: {_in_words(v, self)} (limit {format_number(most)})" for other, most, v in found]
        found_here = f"{self.description} of {name} is {_in_words(value, self)}, {_lineage(case)}"
        return Number(value, found_here, details).against(
            self.relation, limit, unit=self.unit, next_step=_next_step(case), passing=_PASSING
        )


def _pair(
    case: Case, findings: ClauseEvidence, require: Callable[[Case, Outputs, GoldenFacts, Outputs], None]
) -> tuple[GoldenFacts, Outputs, Outputs]:
    """The golden set with the answers of variant and reference."""
    golden, candidate = findings[GOLDEN], findings[case.need(Outputs)]
    reference = findings[case.need(Outputs, case.reference)]
    require(case, candidate, golden, reference)
    return golden, candidate, reference


def _in_words(value: float, measure: _Distance) -> str:
    return f"{format_number(value)} {measure.unit}".rstrip() if math.isfinite(value) else f"{'-' * (value < 0)}∞"


def _worst(golden: GoldenFacts, name: str, ours: Array, theirs: Array, measure: _Distance) -> list[str]:
    """Name the worst samples, each with its worst element and both answers there."""
    spread = measure.spread(ours, theirs)
    return [
        f"{golden.ids[at[0]]}: {element(name, at[1:])} is {format_number(float(ours[at]))},"
        f" reference {format_number(float(theirs[at]))}, apart by {format_number(float(spread[at]))}"
        for at in furthest(spread, _MOST_NAMED)
    ]


def _chain(case: Case) -> list[str]:
    """Variants from the first reference to the judged one."""
    names, seen = [case.name], {case.name}
    while (before := case.contract.variants[names[0]].reference) is not None and before not in seen:
        names.insert(0, before)
        seen.add(before)
    return names


def _kind_of_loss(case: Case) -> str:
    variant = case.variant
    reference = case.contract.variants[case.reference or case.name]
    recipe = variant.recipe if isinstance(variant, OnnxVariant) else None
    if isinstance(recipe, ExportRecipe) or (recipe is None and reference.needs_torch and not variant.needs_torch):
        return "export loss"
    return "quantisation loss" if recipe is not None and recipe.source == case.reference else "loss"


def _lineage(case: Case) -> str:
    chain = _chain(case)
    whole = f" in the chain {' → '.join(chain)}" if len(chain) > 2 else ""  # noqa: PLR2004 - two ends make no chain
    return f"the {_kind_of_loss(case)} of {case.name} against {case.reference}{whole}"


def _next_step(case: Case) -> str:
    match _kind_of_loss(case):
        case "export loss":
            return "export again in inference mode from the same checkpoint, and compare the preprocessing profiles"
        case "quantisation loss":
            return (
                "calibrate on more images, quantise per channel or with reduce_range, or keep the worst layers in float"
            )
        case _:
            return f"find the first layer in which {case.name} leaves {case.reference}"


_DISTANCES = (
    _Distance(
        "max_abs",
        Relation.AT_MOST,
        lambda ours, theirs: float(differences.absolute(ours, theirs).max()),
        "the largest absolute difference",
        "No element differs from the reference by more than the tolerance.",
    ),
    _Distance(
        "p999_abs",
        Relation.AT_MOST,
        lambda ours, theirs: differences.quantile_at_least(differences.absolute(ours, theirs), 0.999),
        "the 99.9th percentile of the absolute differences",
        "All but a thousandth of the elements stay within the tolerance.",
    ),
    _Distance(
        "max_rel",
        Relation.AT_MOST,
        lambda ours, theirs: float(differences.relative(ours, theirs).max()),
        "the largest relative difference",
        "No element differs by more than the tolerance in proportion to the reference.",
        spread=differences.relative,
    ),
    _Distance(
        "sqnr_db",
        Relation.AT_LEAST,
        differences.sqnr_db,
        "the ratio of signal to quantisation noise",
        "The ratio of the reference's signal to the noise that the variant adds is high enough.",
        unit="dB",
        perfect=math.inf,
    ),
    _Distance(
        "cosine",
        Relation.AT_LEAST,
        lambda ours, theirs: float(differences.cosines(ours, theirs).min()),
        "the least cosine over the samples",
        "Every sample's answer points the same way as the reference's.",
        perfect=1.0,
    ),
)

for each in _DISTANCES:
    closeness.demand(
        each.key,
        limit=each.key,
        to=each.tolerances,
        summary=each.summary,
        needs=needs(GoldenFacts, Outputs, reference=Outputs),
        not_applicable=_not_applicable,
    )(each.judge)


_of_scores = partial(
    compares,
    closeness,
    needs=needs(GoldenFacts, Outputs, reference=Outputs),
    not_applicable=either(undecided, _not_applicable),
    passing=_PASSING,
)


@_of_scores("top1_agreement", Relation.AT_LEAST)
def top1_agreement(case: Case, findings: ClauseEvidence) -> Number:
    """Both decide for the same class."""
    golden, candidate, reference = _pair(case, findings, require_scores)
    name = case.contract.scores_output
    ours, theirs = decisions(candidate.arrays[name]), decisions(reference.arrays[name])
    differ = np.flatnonzero(ours != theirs)
    return Number(
        (len(ours) - len(differ)) / len(ours),
        f"{len(differ)} of {len(ours)} decisions differ, {_lineage(case)}",
        [
            f"{golden.ids[int(i)]}: {class_name(case, ours[i])}, reference {class_name(case, theirs[i])}"
            for i in differ[:_MOST_NAMED]
        ],
        next_step=_next_step(case),
    )


@_of_scores("mean_kl", Relation.AT_MOST, unit="nats")
def mean_kl(case: Case, findings: ClauseEvidence) -> Number:
    """The distribution of the scores stays near the reference's."""
    golden, candidate, reference = _pair(case, findings, require_scores)
    name, logits = case.contract.scores_output, closeness.limits_of(case).scores == "logits"
    logarithms = differences.log_softmax if logits else differences.log_probabilities
    difference = differences.kl_divergences(logarithms(reference.arrays[name]), logarithms(candidate.arrays[name]))
    value = float(difference.mean())
    return Number(
        value,
        f"the mean divergence of {name} is {format_number(value)} nats, {_lineage(case)}",
        [
            f"{golden.ids[at]}: {format_number(float(difference[at]))} nats"
            for (at,) in furthest(difference, _MOST_NAMED)
        ],
        next_step=_next_step(case),
    )
