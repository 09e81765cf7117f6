"""Latency: how long an inference takes, and what stands before and behind it.

Process CPU time decides by default, because other work on the machine moves wall time; wall time is shown beside it.
A quantile is held, or broken, only when the number of runs over the budget proves it (:mod:`parity.stats.quantiles`).
No run is ever dropped; the first run stands apart.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from parity.checks.base import Family
from parity.checks.versus import RatioLimit, other_variant
from parity.checks.words import against, cannot_judge, counted, figure
from parity.contract.base import Limits, Positive
from parity.contract.data import TensorSet
from parity.evidence.model import Need, Timing
from parity.result import Judgement, Relation, Status
from parity.stats.quantiles import QuantileDecision, decide_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parity.checks.base import Case, Findings
    from parity.evidence.model import Series

_FASTER = "quantise statically, take a smaller network or input, or raise the budget"
_MEDIAN = 0.5
_P95 = 0.95


class LatencyLimits(Limits):
    """Budgets of time on the machine of the run. A phone has other times: there, ratios carry over better than ms."""

    p50_ms: Positive | None = Field(default=None, description="Budget of the median inference, in ms.")
    p95_ms: Positive | None = Field(default=None, description="Budget of the 95th percentile of inference, in ms.")
    latency_ratio: RatioLimit | None = Field(
        default=None,
        description="Largest median ratio to another variant, both measured in turns in the same run, e.g. "
        '{versus = "fp32", at_most = 1.0}.',
    )
    first_run_ms: Positive | None = Field(
        default=None, description="Budget of the first run after loading, wall time in ms."
    )
    preprocess_p95_ms: Positive | None = Field(
        default=None, description="Budget of the 95th percentile of turning a photograph into a tensor, in ms."
    )
    postprocess_p95_ms: Positive | None = Field(
        default=None, description="Budget of the 95th percentile of turning scores into a decision, in ms."
    )
    clock: Literal["cpu", "wall"] = Field(
        default="cpu", description="The time that decides: process CPU time over all threads, or wall time."
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = Field(
        default=0.95, description="Confidence of the proof that a quantile stays within its budget."
    )


latency = Family("latency", LatencyLimits)


def _timing(case: Case, limits: LatencyLimits) -> Need[Timing]:
    """One measurement serves all clauses of a variant: interleaved with the other variant where a ratio is asked."""
    demand = limits.latency_ratio
    versus = demand.versus if demand is not None and not other_variant(case, demand) else ""
    return case.need(Timing, versus=versus)


def _needs(case: Case, limits: LatencyLimits) -> tuple[Need[Any], ...]:
    return (_timing(case, limits),)


def _unfit_ratio(case: Case, limits: LatencyLimits) -> str:
    return other_variant(case, limits.latency_ratio)


def _unfit_preprocess(case: Case, _limits: LatencyLimits) -> str:
    return "a set of tensors is not preprocessed" if isinstance(case.contract.golden, TensorSet) else ""


def _torn(series: Series | None) -> bool:
    """Whether times are missing, unequal in number, or no times at all."""
    if series is None or not series.wall_ms or len(series.wall_ms) != len(series.cpu_ms):
        return True
    return not all(math.isfinite(ms) and ms >= 0 for ms in (*series.wall_ms, *series.cpu_ms))


def _nothing_measured(what: str) -> Judgement:
    return cannot_judge(f"there are no usable times of {what}", "measure again")


def _quantile(
    case: Case, limits: LatencyLimits, findings: Findings, *, budget: float, quantile: float, part: str = "inference"
) -> Judgement:
    """Judge one quantile of one series against its budget in ms."""
    timing = findings[_timing(case, limits)]
    series = {"inference": timing.runs, "preprocessing": timing.preprocess, "postprocessing": timing.postprocess}[part]
    if series is None or _torn(series):
        return _nothing_measured(f"{part} of {case.name}")
    values = series.cpu_ms if limits.clock == "cpu" else series.wall_ms
    if not any(values):
        return _too_coarse(f"{part} of {case.name}")
    decision = decide_quantile(values, budget, quantile=quantile, confidence=limits.confidence)
    details = [
        _spread("process CPU time", series.cpu_ms, "ms"),
        _spread("wall time", series.wall_ms, "ms"),
        f"the first run, apart: {figure(timing.first_wall_ms)} ms of wall time",
        *_conditions(case, timing),
    ]
    told = f"p{round(100 * quantile)} of {part} is {figure(decision.quantile)} ms of {_clock(limits)}"
    return _in_words(decision, limits, budget, unit="ms", told=told, details=details, quantile=quantile)


def _in_words(
    decision: QuantileDecision,
    limits: LatencyLimits,
    budget: float,
    *,
    unit: str,
    told: str,
    details: list[str],
    quantile: float,
) -> Judgement:
    sure = f"{figure(100 * limits.confidence)} % confidence"
    over = f"{decision.over} of {counted(decision.runs, 'run')} over {figure(budget)} {unit}"
    if decision.bound is not None:
        details = [*details, f"smallest budget that these runs would have held: {decision.bound:.6g} {unit}"]
    match decision.status:
        case Status.HELD:
            reason, next_step = f"{told}; {over} prove the budget held with {sure}", ""
        case Status.BROKEN:
            reason, next_step = f"{told}; {over} prove the budget broken with {sure}", _FASTER
        case _:
            reason = f"{told}; {over} prove neither held nor broken with {sure}"
            next_step = _what_settles(decision, limits, quantile)
    return Judgement(
        decision.status, decision.quantile, budget, Relation.AT_MOST, unit, reason, next_step, tuple(details)
    )


def _what_settles(decision: QuantileDecision, limits: LatencyLimits, quantile: float) -> str:
    """Say how many further runs would settle it: if none of them were over, and at the rate seen so far."""
    further = f"{counted(decision.further, 'further run')}, none of them over, would prove it held"
    rate = decision.over / decision.runs
    if rate and rate < (1.0 - quantile):
        # By the normal approximation: the distance from the rate to 1 - q in standard errors must reach z.
        z, chance = NormalDist().inv_cdf(limits.confidence), 1.0 - quantile
        projected = math.ceil(z * z * chance * quantile / (chance - rate) ** 2)
        if projected > decision.runs + decision.further:
            further += f"; at the rate seen so far about {projected - decision.runs} would"
    return further


def _too_coarse(what: str) -> Judgement:
    return cannot_judge(
        f"the CPU clock of this machine is too coarse for {what}: it shows no time at all", 'set clock = "wall"'
    )


def _clock(limits: LatencyLimits) -> str:
    return "process CPU time" if limits.clock == "cpu" else "wall time"


def _spread(name: str, values: Sequence[float], unit: str) -> str:
    ranked = sorted(values)

    def at(share: float) -> str:
        return figure(ranked[max(math.ceil(share * len(ranked) - 1e-9), 1) - 1])

    return (
        f"{name} of {counted(len(ranked), 'run')}: least {figure(ranked[0])}, p50 {at(_MEDIAN)}, p95 {at(_P95)},"
        f" most {figure(ranked[-1])} {unit}"
    )


def _conditions(case: Case, timing: Timing) -> list[str]:
    """Tell under what conditions was measured, and where they differ from the contract's."""
    asked = case.contract.session_of(case.name).intra_op_threads
    lines = [f"measured with {counted(timing.threads, 'thread')}"]
    if timing.threads != asked:
        lines[0] += f", although the contract says {asked}: these times do not speak of the contract's session"
    if timing.load_average is not None:
        lines.append(f"load average of the machine when it began: {figure(timing.load_average)}")
    return lines


@latency.clause("p50", limit="p50_ms", needs=_needs)
def p50(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """The median inference stays within its budget."""
    return _quantile(case, limits, findings, budget=limits.p50_ms or 0.0, quantile=_MEDIAN)


@latency.clause("p95", limit="p95_ms", needs=_needs)
def p95(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """Nineteen of twenty inferences stay within the budget."""
    return _quantile(case, limits, findings, budget=limits.p95_ms or 0.0, quantile=_P95)


@latency.clause("latency_ratio", limit="latency_ratio", needs=_needs, unfit=_unfit_ratio)
def latency_ratio(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """An inference takes no longer than so many of another variant's, measured in turns in the same run."""
    demand, timing = limits.latency_ratio, findings[_timing(case, limits)]
    if demand is None:
        raise LookupError("latency_ratio was not demanded")
    other = timing.versus_runs
    if timing.versus != demand.versus or other is None or _torn(timing.runs) or _torn(other):
        return _nothing_measured(f"{case.name} in turns with {demand.versus}")
    cpu = limits.clock == "cpu"
    ours, theirs = (timing.runs.cpu_ms, other.cpu_ms) if cpu else (timing.runs.wall_ms, other.wall_ms)
    if len(ours) != len(theirs):
        return _nothing_measured(f"{case.name} in turns with {demand.versus}: {len(ours)} runs against {len(theirs)}")
    if not all(theirs):
        return _too_coarse(f"{demand.versus}")
    ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
    decision = decide_quantile(ratios, demand.at_most, quantile=_MEDIAN, confidence=limits.confidence)
    details = [
        _spread("ratio", ratios, f"of {demand.versus}"),
        _spread(f"{case.name}, {_clock(limits)}", ours, "ms"),
        _spread(f"{demand.versus}, {_clock(limits)}", theirs, "ms"),
        *_conditions(case, timing),
    ]
    unit = f"of {demand.versus}"
    told = f"the median inference takes {figure(decision.quantile)} {unit}'s {_clock(limits)}, run beside run"
    return _in_words(decision, limits, demand.at_most, unit=unit, told=told, details=details, quantile=_MEDIAN)


@latency.clause("first_run", limit="first_run_ms", needs=_needs)
def first_run(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """The first run after loading stays within its budget; one observation, in wall time."""
    timing = findings[_timing(case, limits)]
    value = timing.first_wall_ms
    if not math.isfinite(value) or value < 0:
        return _nothing_measured(f"the first run of {case.name}")
    return against(
        Relation.AT_MOST,
        limits.first_run_ms or 0.0,
        value,
        unit="ms",
        found=f"the first run took {figure(value)} ms of wall time, observed once",
        next_step="warm the session up when the app starts, or take a smaller network",
        details=_conditions(case, timing),
    )


@latency.clause("preprocess_p95", limit="preprocess_p95_ms", needs=_needs, unfit=_unfit_preprocess)
def preprocess_p95(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """Turning a photograph into a tensor stays within its budget."""
    budget = limits.preprocess_p95_ms or 0.0
    return _quantile(case, limits, findings, budget=budget, quantile=_P95, part="preprocessing")


@latency.clause("postprocess_p95", limit="postprocess_p95_ms", needs=_needs)
def postprocess_p95(case: Case, limits: LatencyLimits, findings: Findings) -> Judgement:
    """Turning an answer into a decision stays within its budget."""
    budget = limits.postprocess_p95_ms or 0.0
    return _quantile(case, limits, findings, budget=budget, quantile=_P95, part="postprocessing")
