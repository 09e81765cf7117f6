"""Which variant a fault is planted in, by what it is in a bundle, and what is said where there is none."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A variant by what it is in a bundle, whatever its name."""

    TORCH = "torch"
    """What was trained: the first torch variant."""
    FLOAT = "float"
    """What was exported from it: the first ONNX variant that is not quantised."""
    DEVICE = "device"
    """What the phone runs: the ONNX variant of the tier ``device``, or the one that a recipe quantises."""


class Unfit(Exception):  # noqa: N818 - no fault of anybody: this bundle has not what the fault would damage
    """A fault that cannot be planted in this bundle; says why."""
