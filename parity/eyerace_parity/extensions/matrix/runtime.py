"""Runtime: what one version of ONNX Runtime costs beside the newest, judged in each cell of the matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import needs
from eyerace_parity.checks.phrases import cannot_judge, decided_quantile
from eyerace_parity.contract.base import Limits, Positive
from eyerace_parity.core.numbers import format_number
from eyerace_parity.evidence.costs import PeerTiming
from eyerace_parity.stats.quantiles import decide_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.costs import Series

_MEDIAN = 0.5


class RuntimeLimits(Limits):
    """What an older runtime may cost. Judged only in a run of the matrix, where the newest runtime is at hand."""

    runtime_ratio: Positive | None = Field(
        default=None,
        description="Largest median ratio of the time in the runtime of a matrix cell to that in the newest, both "
        "measured in turns in the same run, in process CPU time. Judged in the matrix only.",
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = Field(
        default=0.95, description="Confidence of the proof that the ratio stays within its limit."
    )


runtime = Family("runtime", RuntimeLimits, after="latency")


def _in_matrix(case: Case, _limits: RuntimeLimits) -> bool:
    return case.contract.cell


def _unfit(case: Case, _limits: RuntimeLimits) -> str:
    return "" if case.variant.in_onnxruntime else f"{case.name} is a {case.variant.kind} variant"


@runtime.demand(
    "runtime_ratio", limit="runtime_ratio", needs=needs(PeerTiming), applies=_in_matrix, not_applicable=_unfit
)
def runtime_ratio(case: Case, limit: float, findings: ClauseEvidence) -> Judgement:
    """An inference takes not much longer in this runtime than in the newest (in a run of the matrix)."""
    timing = findings[case.need(PeerTiming)]
    ours, theirs = timing.runs.cpu_ms, timing.peer_runs.cpu_ms
    if not _usable(timing.runs) or not _usable(timing.peer_runs) or len(ours) != len(theirs):
        raise cannot_judge(f"there are no usable times of {case.name} in both runtimes", "measure again")
    sure = runtime.limits_of(case).confidence
    ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
    decision = decide_quantile(ratios, limit, quantile=_MEDIAN, confidence=sure)
    unit = f"of {timing.peer_runtime}"
    return decided_quantile(
        decision,
        limit,
        sure,
        unit=unit,
        noun="limit",
        found=f"the median inference takes {format_number(decision.quantile)} {unit}'s process CPU time in "
        f"{timing.runtime}, in turns with it; {decision.over} of {decision.runs} runs over {format_number(limit)}",
        next_step="let the app bundle a newer runtime, or take a recipe that this one has fast kernels for",
        settles="run it again on a machine with nothing else to do, or move the limit away from the ratio",
        details=(
            f"{timing.runtime}: median {_middle(ours)} ms of process CPU time",
            f"{timing.peer_runtime} (Python {timing.peer_python}): {_middle(theirs)} ms",
            f"threads: {timing.threads}",
        ),
    )


def _middle(times: Sequence[float]) -> str:
    return format_number(sorted(times)[len(times) // 2])


def _usable(series: Series) -> bool:
    """Whether there are times, as many of either clock, and none that could not have been taken."""
    return bool(series.cpu_ms) and all(math.isfinite(ms) and ms > 0 for ms in series.cpu_ms)
