"""Latency: how long an inference takes, and what stands before and behind it.

Process CPU time decides by default, because other work on the machine moves wall time; wall time is shown beside it. A
quantile is held, or broken, only when the number of runs over the budget proves it
(:mod:`eyerace_parity.stats.quantiles`), at the first look at the growing series that does. No run is ever dropped; the
first run stands apart.

The measurement ends when all that the contract asks is proven. Judging replays its looks on what was recorded: under
other limits than those it was taken for, a series may be too short, and is then `unproven`, never wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from eyerace_parity.checks.base import Family, Refusal, SignificanceSource
from eyerace_parity.checks.comparison import Number, compares
from eyerace_parity.checks.disturbance import disturbances
from eyerace_parity.checks.limits import RatioLimit, other_variant
from eyerace_parity.checks.phrases import cannot_judge, decided_quantile
from eyerace_parity.contract.base import Limits, Positive
from eyerace_parity.contract.data import ArraySet
from eyerace_parity.core.numbers import format_number, pluralise
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.stats.quantiles import QuantileDecision, decide_in_looks
from eyerace_parity.stats.sequential import FIRST_LOOK
from eyerace_parity.stats.stopping_rules import MAX_RUNS, MAX_SECONDS, StoppingRule, StoppingRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.evidence.costs import Series
    from eyerace_parity.stats.stopping_rules import Part

Confidence = Annotated[float, Field(ge=0.5, lt=1.0)]

_FASTER = "quantise statically, take a smaller network or input, or raise the budget"
_QUIET = "run it again while nothing else works on the machine"
_MEDIAN = 0.5
_P95 = 0.95
_ROOM = 1.2  # what is proposed as a cap goes this much beyond what is projected


@dataclass(frozen=True, slots=True)
class _Budget:
    """A clause about a quantile of one series, and what it asks of the measurement.

    Attributes:
        name: Name of the clause.
        part: The series.
        quantile: The quantile.
        summary: What holds when the clause holds.
    """

    name: str
    part: Part
    quantile: float
    summary: str

    @property
    def limit(self) -> str:
        """Field of the limits."""
        return f"{self.name}_ms"

    def unfit(self, case: Case, _limits: LatencyLimits) -> str:
        """Why the series can never be measured, or an empty string."""
        given = self.part == "preprocessing" and isinstance(case.contract.golden, ArraySet)
        return "a set of tensors is not preprocessed" if given else ""

    def judge(self, case: Case, budget: float, findings: ClauseEvidence) -> Judgement:
        """Judge the quantile against its budget in ms."""
        return _quantile(case, self, budget, findings)


_INFERENCE: Final = (
    _Budget("p50", "inference", _MEDIAN, "The median inference stays within its budget."),
    _Budget("p90", "inference", 0.9, "Nine of ten inferences stay within the budget."),
    _Budget("p95", "inference", _P95, "Nineteen of twenty inferences stay within the budget."),
    _Budget("p99", "inference", 0.99, "Ninety-nine of a hundred inferences stay within the budget."),
)
_AROUND: Final = (
    _Budget("preprocess_p95", "preprocessing", _P95, "Turning a photograph into a tensor stays within its budget."),
    _Budget("postprocess_p95", "postprocessing", _P95, "Turning an answer into a decision stays within its budget."),
)


class LatencyLimits(Limits):
    """Budgets of time on the machine of the run. A phone has other times: there, ratios carry over better than ms."""

    p50_ms: Positive | None = Field(default=None, description="Budget of the median inference, in ms.")
    p90_ms: Positive | None = Field(default=None, description="Budget of the 90th percentile of inference, in ms.")
    p95_ms: Positive | None = Field(default=None, description="Budget of the 95th percentile of inference, in ms.")
    p99_ms: Positive | None = Field(default=None, description="Budget of the 99th percentile of inference, in ms.")
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
    confidence: Confidence | None = Field(
        default=None,
        description="Confidence of each proof; the contract's [statistics] confidence where it is left out.",
    )
    max_runs: Annotated[int, Field(ge=FIRST_LOOK, le=20_000)] = Field(
        default=MAX_RUNS, description="Runs after which a series ends, proven or not."
    )
    max_seconds: Positive = Field(default=MAX_SECONDS, description="Seconds after which it ends, proven or not.")

    def asked_of_times(self, versus: str, confidence: float) -> StoppingRules | None:
        """Say what must be proven before a series ends, as :class:`.StatesTimingRules` asks."""
        other = self.latency_ratio.versus if self.latency_ratio is not None else ""
        if versus not in {"", other}:
            return None
        asked: list[tuple[Part, float | None, float]] = [
            (budget.part, getattr(self, budget.limit), budget.quantile) for budget in (*_INFERENCE, *_AROUND)
        ]
        if versus and self.latency_ratio is not None:
            asked.append(("ratio", self.latency_ratio.at_most, _MEDIAN))
        sure = self.confidence or confidence
        questions = [
            StoppingRule(part, budget, at, self.clock, sure) for part, budget, at in asked if budget is not None
        ]
        return StoppingRules(tuple(questions), self.max_runs, self.max_seconds)


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


def _torn(series: Series | None) -> bool:
    """Whether times are missing, unequal in number, or no times at all."""
    if series is None or not series.wall_ms or len(series.wall_ms) != len(series.cpu_ms):
        return True
    return not all(math.isfinite(ms) and ms >= 0 for ms in (*series.wall_ms, *series.cpu_ms))


def _nothing_measured(what: str) -> Refusal:
    return cannot_judge(f"there are no usable times of {what}", "measure again")


def _quantile(case: Case, asked: _Budget, budget: float, findings: ClauseEvidence) -> Judgement:
    """Judge one quantile of one series against its budget in ms."""
    limits = latency.limits_of(case)
    timing = findings[_timing(case, limits)]
    of_part = {"inference": timing.runs, "preprocessing": timing.preprocess, "postprocessing": timing.postprocess}
    series, whose = of_part[asked.part], f"{asked.part} of {case.name}"
    if series is None or _torn(series):
        raise _nothing_measured(whose)
    values = series.cpu_ms if limits.clock == "cpu" else series.wall_ms
    if not any(values):
        raise _too_coarse(whose)
    decision = decide_in_looks(values, budget, quantile=asked.quantile, confidence=_confidence(case, limits))
    details = [
        _spread("process CPU time", series.cpu_ms, "ms"),
        _spread("wall time", series.wall_ms, "ms"),
        f"the first run, apart: {format_number(timing.first_wall_ms)} ms of wall time",
        *_conditions(case, timing),
    ]
    value = format_number(decision.quantile)
    sentence = f"p{round(100 * asked.quantile)} of {asked.part} is {value} ms of {_clock(limits)}"
    judgement = _in_words(case, limits, timing, decision, budget, unit="ms", sentence=sentence, details=details)
    if timing.threads != 1:
        return _in_doubt(judgement, limits, timing)
    # With one thread a run's CPU time is a part of its wall time: what that alone breaks, no disturbance breaks.
    return _in_doubt(judgement, limits, timing, _Own(series.cpu_ms, budget, asked.quantile, _confidence(case, limits)))


def _in_words(
    case: Case,
    limits: LatencyLimits,
    timing: Timing,
    decision: QuantileDecision,
    budget: float,
    *,
    unit: str,
    sentence: str,
    details: list[str],
) -> Judgement:
    if decision.looked < decision.runs and decision.status is not Status.UNPROVEN:
        details = [*details, f"proven after {decision.looked} of {decision.runs} runs; the rest answer other limits"]
    if decision.bound is not None:
        details = [*details, f"smallest budget that these runs would have held: {decision.bound:.6g} {unit}"]
    return decided_quantile(
        decision,
        budget,
        _confidence(case, limits),
        unit=unit,
        noun="budget",
        found=f"{sentence}; {decision.over} of {pluralise(decision.looked, 'run')} over {format_number(budget)} {unit}",
        next_step=_FASTER,
        settles=_what_settles(decision, limits, timing),
        details=details,
    )


def _what_settles(decision: QuantileDecision, limits: LatencyLimits, timing: Timing) -> str:
    """Say how many further runs would settle it: if none of them were over, and at the rate seen so far; and how."""
    further = f"{pluralise(decision.further, 'further run')}, none of them over, would prove it held"
    if decision.projected is None:
        return f"{further}; at the rate seen so far no number of runs would settle it: move the budget or the model"
    if decision.projected != decision.further:
        further += f"; at the rate seen so far about {decision.projected} would settle it"
    runs = decision.looked + decision.projected
    match timing.ended:
        case "runs":
            return f"{further}: set max_runs = {_rounded(runs * _ROOM)}, and max_seconds to match"
        case "seconds":
            seconds = limits.max_seconds * runs / max(decision.runs, 1)
            return f"{further}: set max_seconds = {_rounded(seconds * _ROOM)}"
        case _:
            return f"{further}; run the gate with these limits, so that it measures until they are proven"


def _rounded(number: float) -> int:
    """Round up to two digits: a proposal, not a measurement."""
    step = 10.0 ** max(0, math.floor(math.log10(max(number, 1.0))) - 1)
    return int(math.ceil(number / step) * step)


def _confidence(case: Case, limits: LatencyLimits) -> float:
    return limits.confidence or case.contract.statistics.confidence


# ---- a disturbed machine ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Own:
    """The same question, asked of the process's own CPU time."""

    values: Sequence[float]
    budget: float
    quantile: float
    confidence: float

    def broken(self) -> bool:
        """Whether CPU time proves the budget broken, whatever else the machine did."""
        decision = decide_in_looks(self.values, self.budget, quantile=self.quantile, confidence=self.confidence)
        return decision.status is Status.BROKEN


def _in_doubt(judgement: Judgement, limits: LatencyLimits, timing: Timing, own: _Own | None = None) -> Judgement:
    """Take back a budget of wall time that a disturbed machine may have broken, not the model."""
    if judgement.status is not Status.BROKEN or limits.clock != "wall":
        return judgement
    seen = disturbances(timing.disturbance)
    if not seen or (own is not None and own.broken()):
        return judgement
    doubt = f"{judgement.reason}; but the machine was disturbed, which wall time does not forgive: {'; '.join(seen)}"
    step = f'{_QUIET}, or let CPU time decide with clock = "cpu"'
    return replace(judgement, status=Status.UNPROVEN, reason=doubt, next_step=step)


def _too_coarse(what: str) -> Refusal:
    return cannot_judge(
        f"the CPU clock of this machine is too coarse for {what}: it shows no time at all", 'set clock = "wall"'
    )


def _clock(limits: LatencyLimits) -> str:
    return "process CPU time" if limits.clock == "cpu" else "wall time"


def _spread(name: str, values: Sequence[float], unit: str) -> str:
    ranked = sorted(values)

    def at(share: float) -> str:
        return format_number(ranked[max(math.ceil(share * len(ranked) - 1e-9), 1) - 1])

    return (
        f"{name} of {pluralise(len(ranked), 'run')}: least {format_number(ranked[0])}, p50 {at(_MEDIAN)}, p95 "
        f"{at(_P95)},"
        f" most {format_number(ranked[-1])} {unit}"
    )


def _conditions(case: Case, timing: Timing) -> list[str]:
    """Tell under what conditions was measured, and where they differ from the contract's."""
    asked = case.contract.session_of(case.name).intra_op_threads
    lines = [f"measured with {pluralise(timing.threads, 'thread')}"]
    if timing.threads != asked:
        lines[0] += f", although the contract says {asked}: these times do not speak of the contract's session"
    if timing.load_average is not None:
        lines.append(f"load average of the machine when it began: {format_number(timing.load_average)}")
    lines += [f"disturbed: {what}" for what in disturbances(timing.disturbance)]
    if timing.disturbance is not None and len(lines) == (1 if timing.load_average is None else 2):
        busy = f"{format_number(timing.disturbance.others)} of {pluralise(timing.disturbance.cores, 'processor')}"
        lines.append(f"not disturbed: other processes kept {busy} busy, on average")
    return lines


def _declare(budgets: Sequence[_Budget]) -> None:
    for each in budgets:
        latency.demand(
            each.name,
            limit=each.limit,
            summary=each.summary,
            needs=_needs,
            not_applicable=each.unfit,
            significance=SignificanceSource.ON_OWN_CONFIDENCE,
        )(each.judge)


_declare(_INFERENCE)


@latency.demand(
    "latency_ratio",
    limit="latency_ratio",
    needs=_needs,
    not_applicable=_unfit_ratio,
    significance=SignificanceSource.ON_OWN_CONFIDENCE,
)
def latency_ratio(case: Case, demand: RatioLimit, findings: ClauseEvidence) -> Judgement:
    """An inference takes no longer than so many of another variant's, measured in turns in the same run."""
    limits = latency.limits_of(case)
    timing = findings[_timing(case, limits)]
    other = timing.versus_runs
    if timing.versus != demand.versus or other is None or _torn(timing.runs) or _torn(other):
        raise _nothing_measured(f"{case.name} in turns with {demand.versus}")
    cpu = limits.clock == "cpu"
    ours, theirs = (timing.runs.cpu_ms, other.cpu_ms) if cpu else (timing.runs.wall_ms, other.wall_ms)
    if len(ours) != len(theirs):
        raise _nothing_measured(f"{case.name} in turns with {demand.versus}: {len(ours)} runs against {len(theirs)}")
    if not all(theirs):
        raise _too_coarse(f"{demand.versus}")
    ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
    sure = _confidence(case, limits)
    decision = decide_in_looks(ratios, demand.at_most, quantile=_MEDIAN, confidence=sure)
    details = [
        _spread("ratio", ratios, f"of {demand.versus}"),
        _spread(f"{case.name}, {_clock(limits)}", ours, "ms"),
        _spread(f"{demand.versus}, {_clock(limits)}", theirs, "ms"),
        *_conditions(case, timing),
    ]
    unit = f"of {demand.versus}"
    sentence = (
        f"the median inference takes {format_number(decision.quantile)} {unit}'s {_clock(limits)}, run beside run"
    )
    judgement = _in_words(case, limits, timing, decision, demand.at_most, unit=unit, sentence=sentence, details=details)
    if cpu or not all(other.cpu_ms):
        return judgement
    own = [mine / its for mine, its in zip(timing.runs.cpu_ms, other.cpu_ms, strict=True)]
    return _in_doubt(judgement, limits, timing, _Own(own, demand.at_most, _MEDIAN, sure))


@compares(
    latency,
    "first_run",
    Relation.AT_MOST,
    limit="first_run_ms",
    unit="ms",
    needs=_needs,
    next_step="warm the session up when the app starts, or take a smaller network",
)
def first_run(case: Case, findings: ClauseEvidence) -> Number:
    """The first run after loading stays within its budget; one observation, in wall time."""
    timing = findings[_timing(case, latency.limits_of(case))]
    value = timing.first_wall_ms
    if not math.isfinite(value) or value < 0:
        raise _nothing_measured(f"the first run of {case.name}")
    sentence = f"the first run took {format_number(value)} ms of wall time, observed once"
    return Number(value, sentence, _conditions(case, timing))


_declare(_AROUND)
