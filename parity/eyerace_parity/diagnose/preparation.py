"""Causes that an experiment shows: prepared otherwise, the samples get the answers that they should."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.numbers import format_number

if TYPE_CHECKING:
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.diagnostics import PreparationTrial, PreparationTrials

_SURE: Final = 1e-3
"""Chance at most that so many more right decisions come by luck."""
_EXPLAINS: Final = 0.5
"""Share of the mean square difference from the reference that a mistake may at most leave when it is unmade."""


def causes(variant: str, reference: str, tried: PreparationTrials, golden: GoldenFacts) -> list[str]:
    """Name the mistake of preprocessing whose unmaking mends the answers.

    Args:
        variant: Who is judged.
        reference: Its reference; empty for none.
        tried: The experiments.
        golden: The golden set's facts.
    """
    if not tried.trials:
        return []
    stated, *others = tried.trials
    near = _nearest(stated, others)
    if near is not None:
        before, after = (_decibel(tried.size, trial.apart) for trial in (stated, near))
        told = f"prepared {near.prepared}, {len(tried.samples)} samples come as near to the answers of {reference}"
        return [f"{told} as {after} instead of {before}: its preparation is likely at fault"]
    labels = None if golden.labels is None else golden.labels[list(tried.samples)]
    if labels is None or not stated.decisions:
        return []
    right = [np.asarray(trial.decisions) == labels for trial in tried.trials if len(trial.decisions) == len(labels)]
    if len(right) < len(tried.trials):
        return []
    best = max(range(1, len(right)), key=lambda place: int(right[place].sum()), default=0)
    more, fewer = int((right[best] & ~right[0]).sum()), int((right[0] & ~right[best]).sum())
    if best == 0 or _by_luck(more, fewer) > _SURE:
        return []
    told = f"{int(right[best].sum())} of {len(labels)} samples are decided rightly instead of {int(right[0].sum())}"
    return [f"prepared {tried.trials[best].prepared}, {told}: the preparation of {variant} is likely at fault"]


def _nearest(stated: PreparationTrial, others: list[PreparationTrial]) -> PreparationTrial | None:
    """The experiment that comes nearest to the reference, if it explains most of the difference."""
    apart = [trial for trial in others if trial.apart is not None]
    if stated.apart is None or not apart or stated.apart == 0:
        return None
    best = min(apart, key=lambda trial: trial.apart or 0.0)
    explained = (best.apart or 0.0) ** 2 <= _EXPLAINS * stated.apart**2
    return best if explained else None


def _decibel(size: float | None, apart: float | None) -> str:
    if not size or not apart:
        return "∞ dB"
    return f"{format_number(20 * math.log10(size / apart))} dB"


def _by_luck(more: int, fewer: int) -> float:
    """One-sided exact sign test: how likely so many more, were neither better (McNemar 1947)."""
    number = more + fewer
    return sum(math.comb(number, k) for k in range(more, number + 1)) / 2**number if number else 1.0
