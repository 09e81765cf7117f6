"""Names the layers to keep in float, for a file that follows its recipe but is quantised too coarsely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.numbers import format_bytes, format_number, pluralise
from eyerace_parity.core.text import join_names
from eyerace_parity.measure.kinds.sensitivity import WORTH

if TYPE_CHECKING:
    from eyerace_parity.evidence.diagnostics import Sensitivity


def causes(variant: str, trials: Sensitivity) -> list[str]:
    """Name the layers that lose the most, and what keeping them in float gains.

    Args:
        variant: The judged variant.
        trials: Each layer alone in float, and the file rebuilt without the worst layers. Ratios are in dB.

    Returns:
        One sentence; none if quantisation costs almost nothing.
    """
    foreign = f"the file of {variant} is not what its recipe makes"
    samples = f"({pluralise(len(trials.samples), 'sample')})"
    now = f"{format_number(trials.decibels)} dB"
    if trials.remade is not None and trials.remade - trials.decibels >= WORTH:
        rebuilt = f"a new build reaches {format_number(trials.remade)} dB"
        return [f"{foreign}: {rebuilt}, this one {now} {samples}"]
    if trials.together is None:
        return []
    names = join_names(f'"{gain.name}"' for gain in trials.worst)
    if trials.made is not None and abs(trials.made - trials.together) >= WORTH:
        rebuilt = f"with {names} in float, a new build reaches {format_number(trials.made)} dB"
        return [f"{foreign}: {rebuilt}, this one {format_number(trials.together)} dB {samples}"]
    layers = pluralise(trials.layers, "quantised layer")
    if trials.tried < trials.layers:
        layers = f"{layers} ({trials.tried} were tried)"
    if trials.made is not None and trials.made - trials.decibels >= WORTH:
        size = f" and is {format_bytes(trials.more_bytes)} bigger" if trials.more_bytes > 0 else ""
        lose = "loses" if len(trials.worst) == 1 else "lose"
        message = f"of {layers} of {variant}, {names} {lose} the most: with these in exclude the recipe makes a file"
        return [f"{message} that reaches {format_number(trials.made)} dB instead of {now}{size} {samples}"]
    worst = pluralise(len(trials.worst), "layer")
    message = f"no layer of {variant} stands out: with the worst {worst} of {trials.layers} in float it reaches"
    reached = f"{format_number(trials.together)} dB instead of {now} {samples}"
    return [f"{message} {reached}, so the whole file is too coarse, or its calibration is wrong"]
