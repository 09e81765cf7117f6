"""Closeness: how far a variant's answers lie from its reference's, output by output, matched by name.

Each variant is measured against its own reference, so along a chain ``torch → fp32 → int8`` the loss of the export and
the loss of the quantisation are separate numbers; the reason says which loss it is and where in the chain it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.guards import GOLDEN, element, unusable, unusable_scores
from eyerace_parity.checks.phrases import compare_to_limit, passing_limit, unknown
from eyerace_parity.contract.base import Limits, Model, Share
from eyerace_parity.contract.variants import TORCH_KINDS, ExportRecipe, OnnxVariant
from eyerace_parity.core.numbers import format_number
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.stats import differences
from eyerace_parity.stats.classification import decisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array, Need

Tolerance = Annotated[float, Field(ge=0.0)]
Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]

_MOST_NAMED = 5


class OutputLimits(Model):
    """Tolerances of one output, which stand above the general ones."""

    max_abs: Tolerance | None = Field(default=None, description="Largest absolute difference of any element.")
    p999_abs: Tolerance | None = Field(
        default=None, description="Absolute difference that 99.9 % of all elements stay within."
    )
    max_rel: Tolerance | None = Field(
        default=None,
        description="Largest difference in proportion to the reference's element; elements below a thousandth of the "
        "output's root mean square count as that large.",
    )
    sqnr_db: float | None = Field(default=None, description="Least ratio of signal to quantisation noise, in dB.")
    cosine: Cosine | None = Field(default=None, description="Least cosine between the two answers to any one sample.")


class ClosenessLimits(OutputLimits, Limits):
    """How close a variant must stay to its reference on the golden inputs."""

    top1_agreement: Share | None = Field(
        default=None, description="Least share of samples on which both decide for the same class."
    )
    mean_kl: Tolerance | None = Field(
        default=None, description="Largest mean Kullback-Leibler divergence from the reference's scores, in nats."
    )
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

    def of(self, key: str, output: str) -> float | None:
        """Tolerance of one output: its own, else the general one."""
        own = getattr(self.per_output.get(output), key, None)
        found: float | None = getattr(self, key) if own is None else own
        return found


closeness = Family("closeness", ClosenessLimits)


def _needs(case: Case, _limits: ClosenessLimits) -> tuple[Need[Any], ...]:
    return (GOLDEN, case.need(Outputs), case.need(Outputs, case.reference))


def _unfit(case: Case, limits: ClosenessLimits) -> str:
    outputs = [port.name for port in case.contract.interface.outputs]
    for name in limits.per_output:
        if name not in outputs:
            return unknown(f"per_output.{name}", outputs, name, "output")
    return "" if case.reference else f"{case.name} has no reference to be close to"


def _unfit_scores(case: Case, limits: ClosenessLimits) -> str:
    if not case.contract.classes and case.contract.golden.scores is None:
        return "the contract names neither classes nor golden.scores, so no output decides"
    return _unfit(case, limits)


@dataclass(frozen=True, slots=True)
class _Distance:
    """A number that says how far two arrays are apart, and the place where they are furthest.

    Attributes:
        key: Field of the limits.
        relation: How the number must stand to its limit.
        unit: Its unit.
        reckon: From candidate and reference to the number.
        told: What the number is, in words.
        spread: From candidate and reference to one number an element, the largest the worst.
    """

    key: str
    relation: Relation
    unit: str
    reckon: Callable[[Array, Array], float]
    told: str
    spread: Callable[[Array, Array], differences.Floats] = differences.absolute

    def excess(self, value: float, limit: float) -> float:
        """How far a number lies beyond its limit, in proportion; above zero is broken."""
        beyond = value - limit if self.relation is Relation.AT_MOST else limit - value
        if beyond == 0 or not math.isfinite(beyond):
            return beyond
        return beyond / abs(limit) if limit else math.copysign(math.inf, beyond)


def _judge(case: Case, limits: ClosenessLimits, findings: ClauseEvidence, measure: _Distance) -> Judgement:
    """Judge every output that has a limit, and answer with the worst."""
    golden, candidate = findings[GOLDEN], findings[case.need(Outputs)]
    reference = findings[case.need(Outputs, case.reference)]
    if refused := unusable(case, candidate, golden, reference):
        return refused
    demands = {name: limits.of(measure.key, name) for name in candidate.arrays}
    found = [
        (name, limit, measure.reckon(candidate.arrays[name], reference.arrays[name]))
        for name, limit in demands.items()
        if limit is not None
    ]
    name, limit, value = max(found, key=lambda entry: measure.excess(entry[2], entry[1]))
    ours, theirs = candidate.arrays[name], reference.arrays[name]
    details = [] if value == _perfect(measure) else _worst(golden, name, ours, theirs, measure)
    if len(found) > 1:
        details += [f"{other}: {_in_words(v, measure)} (limit {format_number(most)})" for other, most, v in found]
    return compare_to_limit(
        measure.relation,
        limit,
        value,
        unit=measure.unit,
        found=f"{measure.told} of {name} is {_in_words(value, measure)}, {_lineage(case)}",
        next_step=_next_step(case),
        details=[*details, _passing(value, measure.relation)],
    )


def _perfect(measure: _Distance) -> float:
    return {"sqnr_db": math.inf, "cosine": 1.0}.get(measure.key, 0.0)


def _in_words(value: float, measure: _Distance) -> str:
    return f"{format_number(value)} {measure.unit}".rstrip() if math.isfinite(value) else f"{'-' * (value < 0)}∞"


def _passing(value: float, relation: Relation) -> str:
    return f"smallest tolerance that would have passed: {passing_limit(value, relation)}"


def _worst(golden: GoldenFacts, name: str, ours: Array, theirs: Array, measure: _Distance) -> list[str]:
    """Name the worst samples, each with its worst element and both answers there."""
    spread = measure.spread(ours, theirs)
    rows = spread.reshape(len(spread), -1)
    order = np.argsort(-rows.max(axis=1), kind="stable")[:_MOST_NAMED]
    lines = []
    for row in order:
        place = np.unravel_index(int(np.argmax(rows[row])), spread.shape[1:])
        at = (int(row), *(int(i) for i in place))
        if spread[at] > 0:
            lines.append(
                f"{golden.ids[int(row)]}: {element(name, at[1:])} is {format_number(float(ours[at]))},"
                f" reference {format_number(float(theirs[at]))}, apart by {format_number(float(spread[at]))}"
            )
    return lines


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
    if isinstance(recipe, ExportRecipe) or (
        recipe is None and reference.kind in TORCH_KINDS and variant.kind not in TORCH_KINDS
    ):
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


_MAX_ABS = _Distance(
    "max_abs",
    Relation.AT_MOST,
    "",
    lambda ours, theirs: float(differences.absolute(ours, theirs).max()),
    "the largest absolute difference",
)
_P999_ABS = _Distance(
    "p999_abs",
    Relation.AT_MOST,
    "",
    lambda ours, theirs: differences.quantile_at_least(differences.absolute(ours, theirs), 0.999),
    "the 99.9th percentile of the absolute differences",
)
_MAX_REL = _Distance(
    "max_rel",
    Relation.AT_MOST,
    "",
    lambda ours, theirs: float(differences.relative(ours, theirs).max()),
    "the largest relative difference",
    differences.relative,
)
_SQNR_DB = _Distance(
    "sqnr_db", Relation.AT_LEAST, "dB", differences.sqnr_db, "the ratio of signal to quantisation noise"
)
_COSINE = _Distance(
    "cosine",
    Relation.AT_LEAST,
    "",
    lambda ours, theirs: float(differences.cosines(ours, theirs).min()),
    "the least cosine over the samples",
)


@closeness.clause("max_abs", limit="max_abs", needs=_needs, unfit=_unfit)
def max_abs(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """No element differs from the reference by more than the tolerance."""
    return _judge(case, limits, findings, _MAX_ABS)


@closeness.clause("p999_abs", limit="p999_abs", needs=_needs, unfit=_unfit)
def p999_abs(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """All but a thousandth of the elements stay within the tolerance."""
    return _judge(case, limits, findings, _P999_ABS)


@closeness.clause("max_rel", limit="max_rel", needs=_needs, unfit=_unfit)
def max_rel(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """No element differs by more than the tolerance in proportion to the reference."""
    return _judge(case, limits, findings, _MAX_REL)


@closeness.clause("sqnr_db", limit="sqnr_db", needs=_needs, unfit=_unfit)
def sqnr_db(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """The reference's signal stands far enough above the noise that the variant adds."""
    return _judge(case, limits, findings, _SQNR_DB)


@closeness.clause("cosine", limit="cosine", needs=_needs, unfit=_unfit)
def cosine(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """Every sample's answer points the same way as the reference's."""
    return _judge(case, limits, findings, _COSINE)


@closeness.clause("top1_agreement", limit="top1_agreement", needs=_needs, unfit=_unfit_scores)
def top1_agreement(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """Both decide for the same class."""
    golden, candidate = findings[GOLDEN], findings[case.need(Outputs)]
    reference = findings[case.need(Outputs, case.reference)]
    if refused := unusable_scores(case, candidate, golden, reference):
        return refused
    name = case.contract.scores_output
    ours, theirs = decisions(candidate.arrays[name]), decisions(reference.arrays[name])
    differ = np.flatnonzero(ours != theirs)
    classes = case.contract.classes
    value = (len(ours) - len(differ)) / len(ours)

    def called(index: int) -> str:
        return classes[index] if classes else f"class {index}"

    return compare_to_limit(
        Relation.AT_LEAST,
        limits.top1_agreement or 0.0,
        value,
        found=f"{len(differ)} of {len(ours)} decisions differ, {_lineage(case)}",
        next_step=_next_step(case),
        details=[
            f"{golden.ids[int(i)]}: {called(int(ours[i]))}, reference {called(int(theirs[i]))}"
            for i in differ[:_MOST_NAMED]
        ]
        + [_passing(value, Relation.AT_LEAST)],
    )


@closeness.clause("mean_kl", limit="mean_kl", needs=_needs, unfit=_unfit_scores)
def mean_kl(case: Case, limits: ClosenessLimits, findings: ClauseEvidence) -> Judgement:
    """The distribution of the scores stays near the reference's."""
    golden, candidate = findings[GOLDEN], findings[case.need(Outputs)]
    reference = findings[case.need(Outputs, case.reference)]
    if refused := unusable_scores(case, candidate, golden, reference):
        return refused
    name = case.contract.scores_output
    logarithms = differences.log_softmax if limits.scores == "logits" else differences.log_probabilities
    apart = differences.kl_divergences(logarithms(reference.arrays[name]), logarithms(candidate.arrays[name]))
    value = float(apart.mean())
    order = [int(i) for i in np.argsort(-apart, kind="stable")[:_MOST_NAMED] if apart[i] > 0]
    return compare_to_limit(
        Relation.AT_MOST,
        limits.mean_kl or 0.0,
        value,
        unit="nats",
        found=f"the mean divergence of {name} is {format_number(value)} nats, {_lineage(case)}",
        next_step=_next_step(case),
        details=[f"{golden.ids[i]}: {format_number(float(apart[i]))} nats" for i in order]
        + [_passing(value, Relation.AT_MOST)],
    )
