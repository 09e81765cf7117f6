"""Finds preprocessing mistakes by experiment: samples prepared differently get the right answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.numbers import format_number

if TYPE_CHECKING:
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.diagnostics import PreparationTrial, PreparationTrials

_MAX_CHANCE: Final = 1e-3
"""Largest probability of so many corrected decisions by chance."""
_MAX_REMAINING: Final = 0.5
"""Largest share of the mean square difference to the reference that may remain when the mistake is undone."""


def causes(variant: str, reference: str, trials: PreparationTrials, golden: GoldenFacts) -> list[str]:
    """Name the preprocessing mistake that, when undone, corrects the answers.

    Args:
        variant: The judged variant.
        reference: Its reference; empty for none.
        trials: The experiments; the first one uses the stated preprocessing.
        golden: The golden set's labels.

    Returns:
        One sentence, or none if no experiment explains the answers.
    """
    if not trials.trials:
        return []
    stated, *others = trials.trials
    nearest = _nearest(stated, others)
    if nearest is not None:
        before, after = (_decibel(trials.size, trial.apart) for trial in (stated, nearest))
        message = f"prepared {nearest.prepared}, {len(trials.samples)} samples agree with {reference}"
        return [f"{message} at {after} instead of {before}: the preprocessing of {variant} is likely wrong"]
    labels = None if golden.labels is None else golden.labels[list(trials.samples)]
    if labels is None or not stated.decisions:
        return []
    right = [np.asarray(trial.decisions) == labels for trial in trials.trials if len(trial.decisions) == len(labels)]
    if len(right) < len(trials.trials):
        return []
    best = max(range(1, len(right)), key=lambda place: int(right[place].sum()), default=0)
    more, fewer = int((right[best] & ~right[0]).sum()), int((right[0] & ~right[best]).sum())
    if best == 0 or _sign_test(more, fewer) > _MAX_CHANCE:
        return []
    message = f"{int(right[best].sum())} of {len(labels)} samples are decided rightly instead of {int(right[0].sum())}"
    return [f"prepared {trials.trials[best].prepared}, {message}: the preprocessing of {variant} is likely wrong"]


def _nearest(stated: PreparationTrial, others: list[PreparationTrial]) -> PreparationTrial | None:
    """The experiment closest to the reference, if it explains most of the difference."""
    compared = [trial for trial in others if trial.apart is not None]
    if stated.apart is None or not compared or stated.apart == 0:
        return None
    best = min(compared, key=lambda trial: trial.apart or 0.0)
    explained = (best.apart or 0.0) ** 2 <= _MAX_REMAINING * stated.apart**2
    return best if explained else None


def _decibel(size: float | None, difference: float | None) -> str:
    """Signal-to-noise ratio in dB of an RMS signal and an RMS difference."""
    if not size or not difference:
        return "∞ dB"
    return f"{format_number(20 * math.log10(size / difference))} dB"


def _sign_test(more: int, fewer: int) -> float:
    """One-sided exact sign test (McNemar 1947): probability of so many corrections if neither is better."""
    number = more + fewer
    return sum(math.comb(number, k) for k in range(more, number + 1)) / 2**number if number else 1.0
