"""Detection limits: the smallest strength of a fault that is detected, found by bisection.

If the strength of a fault is a number in the evidence, nothing runs again: the evidence of the good bundle is degraded,
and judged by the contract's own clauses. Only changes of a layer's weights need real files, which run on a few golden
samples (:mod:`eyerace_parity.extensions.selftest.layerwise`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np

from eyerace_parity.checks.base import SignificanceSource
from eyerace_parity.core.result import HOST
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import SCORES_NDIM, GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Footprint, Series, Soak, Timing
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.judging import judge
from eyerace_parity.measure.measurer import derivation_of, derive
from eyerace_parity.stats.classification import decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.extensions.selftest.examiner import Examiner
    from eyerace_parity.measure.laboratory import Laboratory

E = TypeVar("E")

SURE: Final = 0.95
"""Share of trials in which a strength must be detected."""

TRIALS: Final = 20
"""Seeded trials of one strength; at most one may miss it."""

# Bisection stops when the bounds are within 10 %, or after 9 halvings of the logarithmic range.
_STEPS: Final = 9
# A limit within 10 % is exact enough to compare two contracts.
_CLOSE: Final = 1.1


@dataclass(frozen=True, slots=True)
class Degradation:
    """A fault with a strength.

    Attributes:
        name: Its name.
        kind: The kind of evidence that it degrades.
        least: The smallest strength tried.
        most: The largest.
        worsen: Maps evidence, strength, random generator and golden facts to degraded evidence.
        describe: Describes a strength in words.
        family: The family of checks that is judged; empty for all that need the evidence.
        target: Whether it is judged on targets instead of the host.
    """

    name: str
    kind: type[Any]
    least: float
    most: float
    worsen: Callable[[Any, float, np.random.Generator, GoldenFacts], Any]
    describe: Callable[[float], str]
    family: str = ""
    target: bool = False

    @property
    def random(self) -> bool:
        """Whether chance is in it, so that one trial is not enough."""
        return self.worsen in {_wrong, _noisy, _slower}

    def touches(self, need: Need[Any], variant: str) -> bool:
        """Whether evidence is worse of a variant that has this fault, be it computed from evidence that is."""
        if KINDS.of(need.kind).runs is Runs.DERIVED:
            return any(self.touches(needed, variant) for needed in derivation_of(need.kind).inputs(need))
        return need.kind is self.kind and need.variant == variant and not need.baseline


@dataclass(frozen=True, slots=True)
class DetectionLimit:
    """The smallest strength that one variant's clauses detect.

    Attributes:
        degradation: The fault.
        variant: The variant.
        strength: The smallest strength detected in at least 95 % of trials; ``None`` if even the largest is missed.
        seen_by: Clauses that break at that strength.
    """

    degradation: Degradation
    variant: str
    strength: float | None
    seen_by: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The limit in words."""
        if self.strength is None:
            return f"{self.variant}: not even {self.degradation.describe(self.degradation.most)}"
        names = join_names(self.seen_by, most=4)
        least = "from less than" if self.strength <= self.degradation.least else "from"
        return f"{self.variant}: {least} {self.degradation.describe(self.strength)} ({names})"


@dataclass(frozen=True, slots=True)
class DegradedSource:
    """A source that degrades the evidence of one variant."""

    source: Laboratory
    degradation: Degradation
    variant: str
    strength: float
    random: np.random.Generator
    found: dict[Need[Any], Any] = dataclasses.field(default_factory=dict)

    def obtain(self, need: Need[E]) -> E:
        """The evidence for a need, degraded if it belongs to the variant."""
        if need not in self.found:
            self.found[need] = self._obtain(need)
        return cast("E", self.found[need])

    def key(self, need: Need[Any]) -> str:
        """The content key of the evidence before degradation."""
        return self.source.key(need)

    def _obtain(self, need: Need[Any]) -> Any:
        if not self.degradation.touches(need, self.variant):
            return self.source.obtain(need)
        if KINDS.of(need.kind).runs is Runs.DERIVED:
            return derive(self.source.contract, need, self, {})
        golden = self.source.obtain(Need(GoldenFacts))
        return self.degradation.worsen(self.source.obtain(need), self.strength, self.random, golden)


def limits_of(examiner: Examiner, degradations: Sequence[Degradation], variants: Sequence[str]) -> list[DetectionLimit]:
    """Find the detection limits of some variants.

    Args:
        examiner: Judges the good bundle.
        degradations: The faults.
        variants: Names of the variants.

    Returns:
        One limit for each fault and variant whose evidence some clause of the contract reads.
    """
    found = []
    pairs = [
        (degradation, variant, _clauses(examiner, degradation, variant))
        for variant in variants
        for degradation in degradations
    ]
    pairs = [pair for pair in pairs if pair[2]]
    with examiner.progress.task("detection limits", len(pairs)) as task:
        for degradation, variant, clauses in pairs:
            found.append(_limit(examiner, degradation, variant, clauses))
            task.advance()
    return found


def bisect(seen: Callable[[float], bool], least: float, most: float) -> float | None:
    """Find the smallest detected strength on a geometric scale; ``None`` if even the largest is missed."""
    if not seen(most):
        return None
    if seen(least):
        return least
    low, high = least, most
    for _ in range(_STEPS):
        if high / low <= _CLOSE:
            break
        middle = math.sqrt(low * high)
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def _limit(
    examiner: Examiner, degradation: Degradation, variant: str, clauses: Sequence[PlannedClause]
) -> DetectionLimit:
    trials = TRIALS if degradation.random else 1

    def worsened(strength: float, trial: int) -> DegradedSource:
        random = np.random.default_rng([trial, len(degradation.name)])
        return DegradedSource(examiner.laboratory, degradation, variant, strength, random)

    def seen(strength: float) -> bool:
        unseen = 0
        for trial in range(trials):
            source = worsened(strength, trial)
            unseen += all(judge(each, source, explain=False).status.passes for each in clauses)
            if unseen > (1 - SURE) * trials:
                return False
        return True

    strength = bisect(seen, degradation.least, degradation.most)
    if strength is None:
        return DetectionLimit(degradation, variant, None)
    source = worsened(strength, 0)
    red = [each.clause.name for each in clauses if not judge(each, source, explain=False).status.passes]
    return DetectionLimit(degradation, variant, strength, tuple(red))


def _clauses(examiner: Examiner, degradation: Degradation, variant: str) -> list[PlannedClause]:
    """Clauses of a variant that hold and read the evidence that a fault degrades."""
    found = []
    for planned in examiner.planned:
        own = planned.case.name == variant and (planned.case.target != HOST) == degradation.target
        needs = [need for need in planned.needs if need.variant == variant and not need.baseline]
        judged = own and degradation.family in {"", planned.clause.check}
        if judged and any(degradation.touches(need, variant) for need in needs):
            found.append(planned)
    held = [planned for planned in found if examiner.clean(planned).status.passes]
    # The cheap ones first.
    return sorted(held, key=lambda planned: planned.clause.significance is not SignificanceSource.EXACT)


# ---- degradations ----------------------------------------------------------------------------------------------------


def _wrong(outputs: Outputs, share: float, random: np.random.Generator, golden: GoldenFacts) -> Outputs:
    """Make a share of the right decisions wrong: the best score is exchanged with another."""
    name = next(name for name, array in outputs.arrays.items() if array.ndim == SCORES_NDIM)
    scores = np.array(outputs.arrays[name])
    decided = decisions(scores)
    right = np.flatnonzero(decided == golden.labels) if golden.labels is not None else np.arange(len(scores))
    harmed = random.permutation(right)[: max(1, round(share * len(scores)))]
    others = (decided[harmed] + random.integers(1, scores.shape[1], len(harmed))) % scores.shape[1]
    scores[harmed, decided[harmed]], scores[harmed, others] = (
        scores[harmed, others],
        scores[harmed, decided[harmed]],
    )
    return dataclasses.replace(outputs, arrays={**outputs.arrays, name: scores})


def _noisy(outputs: Outputs, share: float, random: np.random.Generator, _golden: GoldenFacts) -> Outputs:
    """Add normal noise, as a share of each output's root mean square."""
    arrays = {}
    for name, array in outputs.arrays.items():
        size = float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))
        noisy = array.astype(np.float64) + share * size * random.standard_normal(array.shape)
        arrays[name] = noisy.astype(array.dtype) if array.dtype.kind == "f" else array
    return dataclasses.replace(outputs, arrays=arrays)


def _scaled(outputs: Outputs, share: float, _random: np.random.Generator, _golden: GoldenFacts) -> Outputs:
    arrays = {
        name: (array.astype(np.float64) * (1 + share)).astype(array.dtype) for name, array in outputs.arrays.items()
    }
    return dataclasses.replace(outputs, arrays=arrays)


def _bigger(files: Files, share: float, *_: object) -> Files:
    return files.model_copy(
        update={"bytes": round(files.bytes * (1 + share)), "deflated": round(files.deflated * (1 + share))}
    )


def _slower(timing: Timing, share: float, random: np.random.Generator, _golden: GoldenFacts) -> Timing:
    """Slow every run down; the runs are resampled with replacement."""
    place = random.integers(0, len(timing.runs.wall_ms), len(timing.runs.wall_ms))

    def drawn(series: Series, factor: float) -> Series:
        wall, cpu = (np.asarray(times)[place] * factor for times in (series.wall_ms, series.cpu_ms))
        return Series(wall_ms=tuple(wall.tolist()), cpu_ms=tuple(cpu.tolist()))

    versus = None if timing.versus_runs is None else drawn(timing.versus_runs, 1.0)
    return timing.model_copy(update={"runs": drawn(timing.runs, 1 + share), "versus_runs": versus})


def _heavier(footprint: Footprint, share: float, *_: object) -> Footprint:
    return footprint.model_copy(update={"peak_bytes": tuple(round(b * (1 + share)) for b in footprint.peak_bytes)})


def _colder(footprint: Footprint, share: float, *_: object) -> Footprint:
    return footprint.model_copy(update={"create_ms": tuple(ms * (1 + share) for ms in footprint.create_ms)})


def _leaking(soak: Soak, kilobytes: float, *_: object) -> Soak:
    """Make every run keep a few kilobytes."""
    last = len(soak.resident_bytes) - 1
    kept = [round(1000 * kilobytes * soak.runs * part / last) for part in range(last + 1)]
    held = tuple(size + more for size, more in zip(soak.resident_bytes, kept, strict=True))
    return soak.model_copy(update={"resident_bytes": held})


def percent(what: str) -> Callable[[float], str]:
    """Words for a strength that is a share."""
    return lambda share: f"{100 * share:.2g} % {what}" if share < 1 else f"{100 * share:.0f} % {what}"


def _points(share: float) -> str:
    return f"an F1 drop of {100 * share:.2g} points"


DEGRADATIONS: Final = (
    Degradation("F1 drop", Outputs, 1e-3, 0.6, _wrong, _points, "quality"),
    Degradation("wrong decisions", Outputs, 1e-3, 0.6, _wrong, percent("more wrong decisions")),
    Degradation("noise", Outputs, 1e-7, 10, _noisy, percent("noise on the answers")),
    Degradation("scale", Outputs, 1e-7, 100, _scaled, percent("more on all scores")),
    Degradation("file size", Files, 1e-3, 100, _bigger, percent("more bytes in the file")),
    Degradation("inference", Timing, 1e-2, 1000, _slower, percent("more time for an inference")),
    Degradation("memory", Footprint, 1e-2, 1000, _heavier, percent("more memory"), "memory"),
    Degradation("cold start", Footprint, 1e-2, 1000, _colder, percent("more time to start"), "memory"),
    Degradation("leak", Soak, 1e-2, 1e6, _leaking, lambda size: f"{size:.2g} kB that every run keeps", "memory"),
)
"""Faults that are simulated by degrading evidence; extensions add theirs by the hook ``degradations``."""
