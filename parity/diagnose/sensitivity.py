"""What would help where a file is quantised as its recipe says, and too coarsely: which layers to keep in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parity.checks.words import counted, figure, volume
from parity.places import listed

if TYPE_CHECKING:
    from parity.evidence.model import Sensitivity

_NEAR: Final = 40.0
"""dB at which quantisation has cost next to nothing: whatever is broken is broken for another reason."""

_WORTH: Final = 1.0
"""dB that keeping layers in float must bring before it is advised."""


def causes(variant: str, tried: Sensitivity) -> list[str]:
    """Name the layers that lose the most, with what keeping them in float was seen to bring.

    Args:
        variant: Who is judged.
        tried: Each layer in float by itself, and the file that was made without the worst.
    """
    if not tried.decibels < _NEAR:
        return []
    layers = counted(tried.layers, "quantised layer")
    if tried.tried < tried.layers:
        layers = f"{layers} ({tried.tried} were tried)"
    samples = counted(len(tried.samples), "sample")
    before = f"instead of {figure(tried.decibels)} dB"
    reached = tried.together if tried.made is None else tried.made
    if tried.made is not None and reached - tried.decibels >= _WORTH:
        names = listed(f'"{gain.name}"' for gain in tried.worst)
        size = f" and is {volume(tried.more_bytes)} bigger" if tried.more_bytes > 0 else ""
        told = f"of {layers} of {variant}, those that lose the most are {names}: with these added to exclude its recipe"
        return [f"{told} makes a file that comes to {figure(reached)} dB {before}{size} ({samples})"]
    few = (
        f"with the {len(tried.worst)} worst of {layers} in float" if len(tried.worst) > 1 else f"of {layers}, in float"
    )
    told = f"no layer of {variant} stands out: {few} it would come to {figure(reached)} dB {before} ({samples})"
    return [f"{told}, so all of it is too coarse, or its calibration"]
