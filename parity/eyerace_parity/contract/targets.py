"""The ``[targets]`` section: where else the variants are run, by the names of the extensions that provide targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from eyerace_parity.contract.base import Model, Name, Positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.base import Contradictions
    from eyerace_parity.contract.variants import Variant

DEVICE: Final = "device"
"""Tier of the variants that run on the targets by default."""


class OwnTarget(Model):
    """A target that the contract describes; what it takes to describe one is said by an extension."""


class Targets(Model):
    """The targets besides the host, and the samples that they run.

    Attributes:
        run: Names of the targets, e.g. ``arm64/armv8.0``; empty for none.
        variants: Variants that run on the targets; those of tier ``device`` by default.
        images: Number of golden samples per target: those with the narrowest decisions, and others drawn by class.
        seed: Seed of the choice.
        seconds: Timeout in seconds for one answer of a process there.
        own: The contract's own targets, by name.
    """

    run: tuple[str, ...] = ()
    variants: tuple[Name, ...] | None = None
    images: int = Field(default=64, gt=0)
    seed: int = Field(default=0, ge=0)
    seconds: Positive = 300.0
    own: dict[str, OwnTarget] = {}

    def executed(self, variants: Mapping[str, Variant]) -> tuple[str, ...]:
        """Return the names of the variants that run on the targets, in the contract's order.

        Args:
            variants: All variants of the contract.
        """
        if not self.run:
            return ()
        if self.variants is not None:
            return tuple(name for name in variants if name in self.variants)
        return tuple(name for name, variant in variants.items() if _fits(variant) and variant.tier == DEVICE)


def agree_on_targets(targets: Targets, variants: Mapping[str, Variant], faults: Contradictions) -> None:
    """Check that each target is named once, and that at least one variant can run there."""
    for number, name in enumerate(targets.run):
        if name in targets.run[:number]:
            faults.add(("targets", "run", str(number)), f"target {name!r} is named twice")
    fit = [name for name, variant in variants.items() if _fits(variant)]
    for number, name in enumerate(targets.variants or ()):
        if name not in fit:
            faults.unknown(("targets", "variants", str(number)), name, fit, "variant that ONNX Runtime executes")
    if targets.run and not targets.executed(variants):
        key, why = (
            ("run", f"no variant is of tier {DEVICE!r}") if targets.variants is None else ("variants", "none is named")
        )
        faults.add(
            ("targets", key), f"{why}, so nothing would be executed there; name the variants in targets.variants"
        )


def _fits(variant: Variant) -> bool:
    return variant.in_onnxruntime
