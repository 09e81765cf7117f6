"""What would help where a file is quantised as its recipe says, and too coarsely: which layers to keep in float."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.numbers import format_bytes, format_number, pluralise
from eyerace_parity.core.text import join_names
from eyerace_parity.measure.kinds.sensitivity import WORTH

if TYPE_CHECKING:
    from eyerace_parity.evidence.diagnostics import Sensitivity


def causes(variant: str, tried: Sensitivity) -> list[str]:
    """Name the layers that lose the most, with what keeping them in float was seen to bring.

    Args:
        variant: Who is judged.
        tried: Each layer in float by itself, and the file that was made without the worst.

    Returns:
        One sentence; none where quantisation has cost next to nothing.
    """
    foreign = f"the file of {variant} is not what its recipe makes"
    samples = f"({pluralise(len(tried.samples), 'sample')})"
    now = f"{format_number(tried.decibels)} dB"
    if tried.remade is not None and tried.remade - tried.decibels >= WORTH:
        anew = f"one that is made anew comes to {format_number(tried.remade)} dB"
        return [f"{foreign}: {anew}, this one to {now} {samples}"]
    if tried.together is None:
        return []
    names = join_names(f'"{gain.name}"' for gain in tried.worst)
    if tried.made is not None and abs(tried.made - tried.together) >= WORTH:
        anew = f"with {names} in float, one that is made anew comes to {format_number(tried.made)} dB"
        return [f"{foreign}: {anew}, this one to {format_number(tried.together)} dB {samples}"]
    layers = pluralise(tried.layers, "quantised layer")
    if tried.tried < tried.layers:
        layers = f"{layers} ({tried.tried} were tried)"
    if tried.made is not None and tried.made - tried.decibels >= WORTH:
        size = f" and is {format_bytes(tried.more_bytes)} bigger" if tried.more_bytes > 0 else ""
        told = f"of {layers} of {variant}, those that lose the most are {names}: with these added to exclude its recipe"
        return [f"{told} makes a file that comes to {format_number(tried.made)} dB instead of {now}{size} {samples}"]
    worst = pluralise(len(tried.worst), "layer")
    told = f"no layer of {variant} stands out: with the worst {worst} of {tried.layers} in float it would come to"
    reached = f"{format_number(tried.together)} dB instead of {now} {samples}"
    return [f"{told} {reached}, so all of it is too coarse, or its calibration"]
