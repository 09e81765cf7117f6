"""Release: the candidate against the accepted release, judged in one run on the same golden set.

Evidence of the release is read from its saved files. If its artefact is available, its times are interleaved with the
candidate's. Without a release every clause here is ``unproven``. A cell of the matrix judges none of them, because
there only the runtime differs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from eyerace_parity.checks.base import Family, SignificanceSource
from eyerace_parity.checks.comparison import (
    Number,
    SamplesOfClasses,
    SampleStatistic,
    compares,
    decides,
    decides_per_class,
    either,
    needs,
    undecided,
    unlabelled,
)
from eyerace_parity.checks.flips import NEXT_STEP_FLIPS, Count, flip_needs, flip_number, unjudged
from eyerace_parity.checks.guards import GOLDEN, element, furthest, labelled_scores, require_samples, require_usable
from eyerace_parity.checks.phrases import cannot_judge, decided_quantile
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.numbers import INFINITE, format_bytes, format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.stats import differences, measures
from eyerace_parity.stats.quantiles import decide_in_looks
from eyerace_parity.stats.stopping_rules import StoppingRule, StoppingRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Array, Need
    from eyerace_parity.evidence.costs import Series
    from eyerace_parity.stats.decisions import Labelled

Drop = Annotated[float, Field(ge=-1.0, le=1.0)]
Growth = Annotated[float, Field(ge=-1.0)]

_MOST_NAMED = 5
_MEDIAN = 0.5
_UNDEFINED = "look at the outputs of both"
_MEANT = "if the model was meant to change, accept the new release; else find what changed in its making"


class ReleaseLimits(Limits):
    """How far a candidate may fall behind the accepted release (``--eyerace-parity-baseline``)."""

    f1_drop: Drop | None = limit("Largest macro-F1 of the release minus the candidate's.")
    f1_drop_per_class: Drop | dict[str, Drop] | None = limit(
        "Largest drop of the F1 of every class: one number for all, or a table."
    )
    flips: Count | None = limit("Most images that are decided differently from the release and are not accepted.")
    harmful_flips: Count | None = limit("Most of these that the release decides rightly and the candidate wrongly.")
    max_abs: Annotated[float, Field(ge=0.0)] | None = limit(
        "Largest absolute difference of any element from the release's."
    )
    sqnr_db: float | None = limit("Least ratio of the release's signal to its difference from the candidate, in dB.")
    size_growth: Growth | None = limit("Largest growth of the file, as a share: 0.02 is two per cent.")
    latency_growth: Growth | None = limit(
        "Largest growth of the median inference's process CPU time, as a share; both are interleaved in one run."
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] | None = limit(
        "Confidence of the proof that the median stays within its growth; the contract's where left out."
    )

    def asked_of_times(self, versus: str, confidence: float) -> StoppingRules | None:
        """Return the stopping rules of the times that are interleaved with the release."""
        if (
            self.latency_growth is None or "@" not in versus
        ):  # int8@v1: the release's artefact, interleaved with the candidate
            return None
        return StoppingRules(
            (StoppingRule("ratio", 1.0 + self.latency_growth, _MEDIAN, "cpu", self.confidence or confidence),)
        )


release = Family("release", ReleaseLimits, in_cells=False)


def _flip_needs(case: Case, _limits: ReleaseLimits) -> tuple[Need[Any], ...]:
    return flip_needs(case, case.name, baseline=True)


def _timing(case: Case) -> Need[Timing]:
    return case.need(Timing, versus=case.name, baseline=True)


# ---- quality ---------------------------------------------------------------------------------------------------------


def _gather(case: Case, findings: ClauseEvidence) -> Labelled:
    """Return the labels with both variants' scores."""
    samples = labelled_scores(case, findings, case.need(Outputs, baseline=True))
    require_samples(case.contract, samples.labels)
    return samples


@decides(
    release,
    "release_f1_drop",
    Relation.AT_MOST,
    limit="f1_drop",
    needs=needs(GoldenFacts, Outputs, baseline=Outputs),
    not_applicable=unlabelled,
    next_step="look at the images that flipped",
    undefined=_UNDEFINED,
)
def release_f1_drop(case: Case, findings: ClauseEvidence) -> SampleStatistic:
    """Macro-F1 is no further below the accepted release's than the margin."""
    samples = _gather(case, findings)
    return SampleStatistic(
        measures.macro_f1(len(case.contract.classes)),
        samples,
        lambda decision: (
            f"macro-F1 of {case.name} is {format_number(decision.candidate)}, of the release "
            f"{_known(decision.reference)}"
        ),
    )


@decides_per_class(
    release,
    "release_f1_drop_per_class",
    Relation.AT_MOST,
    limit="f1_drop_per_class",
    needs=needs(GoldenFacts, Outputs, baseline=Outputs),
    not_applicable=unlabelled,
    undefined=_UNDEFINED,
)
def release_f1_drop_per_class(case: Case, _margins: Mapping[str, float], findings: ClauseEvidence) -> SamplesOfClasses:
    """The F1 of no class is further below the accepted release's than the margin."""
    samples = _gather(case, findings)
    return SamplesOfClasses(
        samples,
        found=lambda name, worst: (
            f"the F1 of {name} drops by {format_number(worst.value)}: {_known(worst.reference)}"
            f" in the release, {format_number(worst.candidate)} in {case.name}"
        ),
        next_step=lambda name: f"look at the flipped images of {name}",
    )


def _known(value: float | None) -> str:
    return "not known" if value is None else format_number(value)


_flips = partial(compares, release, relation=Relation.AT_MOST, unit="flips", next_step=NEXT_STEP_FLIPS)


@_flips("release_flips", limit="flips", needs=_flip_needs, not_applicable=undecided)
def release_flips(case: Case, findings: ClauseEvidence) -> Number:
    """No more images than allowed are decided differently from the accepted release."""
    return flip_number(case, findings, case.name, harmful=False, baseline=True)


@_flips("release_harmful_flips", limit="harmful_flips", needs=_flip_needs, not_applicable=either(undecided, unjudged))
def release_harmful_flips(case: Case, findings: ClauseEvidence) -> Number:
    """No more images than allowed turn from right in the accepted release to wrong."""
    return flip_number(case, findings, case.name, harmful=True, baseline=True)


# ---- closeness -------------------------------------------------------------------------------------------------------


def _answered(case: Case, findings: ClauseEvidence) -> dict[str, tuple[Array, Array]]:
    """Pair the candidate's and the release's outputs."""
    golden, ours = findings[GOLDEN], findings[case.need(Outputs)]
    theirs = findings[case.need(Outputs, baseline=True)]
    require_usable(case, ours, golden, theirs)
    return {name: (array, theirs.arrays[name]) for name, array in ours.arrays.items()}


@compares(
    release,
    "release_max_abs",
    Relation.AT_MOST,
    limit="max_abs",
    needs=needs(GoldenFacts, Outputs, baseline=Outputs),
    next_step=_MEANT,
    passing="smallest tolerance",
)
def release_max_abs(case: Case, findings: ClauseEvidence) -> Number:
    """No element differs from the accepted release's by more than the tolerance."""
    pairs = _answered(case, findings)
    difference = {name: differences.absolute(ours, theirs) for name, (ours, theirs) in pairs.items()}
    name = max(difference, key=lambda each: float(difference[each].max()))
    value, ids = float(difference[name].max()), findings[GOLDEN].ids
    details = [
        f"{ids[at[0]]}: {element(name, at[1:])} is apart by {format_number(float(difference[name][at]))}"
        for at in furthest(difference[name], _MOST_NAMED)
    ]
    return Number(
        value, f"the largest absolute difference of {name} from the release's is {format_number(value)}", details
    )


@compares(
    release,
    "release_sqnr_db",
    Relation.AT_LEAST,
    limit="sqnr_db",
    unit="dB",
    needs=needs(GoldenFacts, Outputs, baseline=Outputs),
    next_step=_MEANT,
)
def release_sqnr_db(case: Case, findings: ClauseEvidence) -> Number:
    """The ratio of the accepted release's signal to its difference from the candidate is high enough."""
    pairs = _answered(case, findings)
    found = {name: differences.sqnr_db(ours, theirs) for name, (ours, theirs) in pairs.items()}
    name = min(found, key=lambda each: found[each])
    value = found[name]
    ratio = f"{format_number(value)} dB" if math.isfinite(value) else f"{'-' * (value < 0)}{INFINITE}"
    return Number(value, f"the ratio of the release's {name} to its difference from {case.name} is {ratio}")


# ---- cost ------------------------------------------------------------------------------------------------------------


@compares(
    release,
    "release_size_growth",
    Relation.AT_MOST,
    limit="size_growth",
    needs=needs(Files, baseline=Files),
    next_step="find what was added to the graph, or accept the new release",
)
def release_size_growth(case: Case, findings: ClauseEvidence) -> Number:
    """The file grows by no more than allowed."""
    ours, theirs = findings[case.need(Files)].bytes, findings[case.need(Files, baseline=True)].bytes
    if ours <= 0 or theirs <= 0:
        raise cannot_judge(f"a file of {case.name} is empty", "make it again")
    value = (ours - theirs) / theirs  # 2 % of growth is exactly 0.02
    return Number(
        value, f"{case.name} takes {format_bytes(ours)}, in the release {format_bytes(theirs)}: {100 * value:+.2f} %"
    )


@release.demand(
    "release_latency_growth",
    limit="latency_growth",
    needs=lambda case, _: (_timing(case),),
    not_applicable=lambda case, _: "a release keeps no torch module to run" if case.variant.needs_torch else "",
    significance=SignificanceSource.ON_OWN_CONFIDENCE,
)
def release_latency_growth(case: Case, most: float, findings: ClauseEvidence) -> Judgement:
    """The median inference takes no longer than allowed beside the accepted release's, run by run."""
    timing = findings[_timing(case)]
    ours, theirs = _cpu(timing.runs), _cpu(timing.versus_runs)
    if not ours or len(ours) != len(theirs) or not all(theirs):
        raise cannot_judge(f"there are no usable times of {case.name} interleaved with the release", "measure again")
    ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
    sure = release.limits_of(case).confidence or case.contract.statistics.confidence
    decision = decide_in_looks(ratios, 1.0 + most, quantile=_MEDIAN, confidence=sure)
    growth = decision.quantile - 1.0
    return decided_quantile(
        replace(decision, quantile=growth),
        most,
        sure,
        unit="",
        noun="growth",
        found=f"the median inference takes {100 * growth:+.1f} % of process CPU time beside the release's;"
        f" {decision.over} of {pluralise(decision.looked, 'pair of runs', 'pairs of runs')} that grow by more than"
        f" {format_number(100 * most)} %",
        next_step="find what was added to the graph, or accept the new release",
        settles=f"{pluralise(decision.further, 'further run')} without such growth would prove it held",
    )


def _cpu(series: Series | None) -> tuple[float, ...]:
    usable = series is not None and all(math.isfinite(ms) and ms >= 0 for ms in series.cpu_ms)
    return series.cpu_ms if series is not None and usable else ()
