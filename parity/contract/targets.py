"""Where else the variants are executed: emulated processors, one per generation of phones."""

from __future__ import annotations

from pydantic import Field

from parity.contract.base import Model, Name, Positive


class OwnTier(Model):
    """A processor that the contract itself describes.

    Attributes:
        cpu: The emulator's name of it, e.g. ``cortex-a76``.
        cpuinfo: Contents of a matching ``/proc/cpuinfo``; empty for an architecture whose runtime does not read it.
        phones: The phones meant, in one line.
    """

    cpu: str
    cpuinfo: str = ""
    phones: str = ""


class Targets(Model):
    """Where the variants are executed beside the host, and on how many samples.

    Attributes:
        run: Names of the targets, e.g. ``arm64/armv8.0``; empty for none.
        variants: The variants that are executed there; those of tier ``device`` by default.
        images: Golden samples a target, chosen by how near their decision is, and by class.
        seed: Seed of the choice.
        seconds: Longest wait for one answer of an emulated process.
        own: Targets of the contract's own, by name.
    """

    run: tuple[str, ...] = ()
    variants: tuple[Name, ...] | None = None
    images: int = Field(default=64, gt=0)
    seed: int = 0
    seconds: Positive = 300.0
    own: dict[str, OwnTier] = {}
