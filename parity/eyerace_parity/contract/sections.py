"""How the app answers: from the cloud while the phone is online, from the phone while it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from eyerace_parity.contract.base import Model, Name, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.faults import Faults
    from eyerace_parity.contract.variants import Variant


class Hybrid(Model):
    """The deployment that mixes two variants.

    Attributes:
        cloud: The variant that answers online; the one of tier ``cloud`` by default.
        device: The variant that answers offline; the one of tier ``device`` by default.
        offline_share: Share of answers that the phone gives.
        confidence: Highest score, as a probability, below which an answer of the phone waits for the cloud.
        shown: How many of the best scores the app shows, in their order.
        scores: What the scores are: logits become probabilities by a softmax first.
    """

    cloud: Name | None = None
    device: Name | None = None
    offline_share: Share
    confidence: Share | None = None
    shown: int = Field(default=1, ge=1)
    scores: Literal["logits", "probabilities"] = "logits"

    def of(self, tier: Literal["cloud", "device"], variants: Mapping[str, Variant]) -> str | None:
        """Name the variant of a tier; ``None`` where no single one is named or deployed there."""
        named: str | None = getattr(self, tier)
        deployed = [name for name, variant in variants.items() if variant.tier == tier]
        return named or (deployed[0] if len(deployed) == 1 else None)


def agree_on_tiers(hybrid: Hybrid, variants: Mapping[str, Variant], faults: Faults) -> None:
    """Check that each tier is exactly one variant, and both are not the same."""
    for tier in ("cloud", "device"):
        name = hybrid.of(tier, variants)
        if name is None:
            faults.add(("hybrid",), f"{tier}: name the variant, for there is not exactly one of tier {tier!r}")
        elif name not in variants:
            faults.unknown(("hybrid", tier), name, variants, "variant")
    if (both := hybrid.of("cloud", variants)) is not None and both == hybrid.of("device", variants):
        faults.add(("hybrid",), f"cloud and device are both {both!r}: there is nothing to mix")
