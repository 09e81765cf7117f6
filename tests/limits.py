"""Limits for tests that are not about checks: as the real ones, and independent of them."""

from __future__ import annotations

from eyerace_parity.contract.base import Limits, Positive, Share


class QualityLimits(Limits):
    """As the real ones: shares, and a table by class."""

    f1: Share | None = None
    f1_drop: float | None = None
    per_class: dict[str, Share] = {}


class ClosenessLimits(Limits):
    """As the real ones: numbers."""

    max_abs: Positive | None = None
    top1_agreement: Share | None = None
    sqnr_db: float | None = None


class OtherLimits(Limits):
    """What else the tiny contracts demand."""

    integer_weights: Share | None = None
    file_size: int | str | None = None
    axes: tuple[str, ...] = ()


FAMILIES: dict[str, type[Limits]] = {
    "quality": QualityLimits,
    "closeness": ClosenessLimits,
    "interface": OtherLimits,
    "size": OtherLimits,
}
