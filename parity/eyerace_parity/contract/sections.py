"""How the app answers: from the cloud while the phone is online, from the phone while it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from eyerace_parity.contract.base import BundlePath, Model, Name, Share
from eyerace_parity.evidence.flips import AcceptedFlip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.base import Contradictions
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


def agree_on_tiers(hybrid: Hybrid, variants: Mapping[str, Variant], faults: Contradictions) -> None:
    """Check that each tier is exactly one variant, and both are not the same."""
    for tier in ("cloud", "device"):
        name = hybrid.of(tier, variants)
        if name is None:
            faults.add(("hybrid",), f"{tier}: name the variant, for there is not exactly one of tier {tier!r}")
        elif name not in variants:
            faults.unknown(("hybrid", tier), name, variants, "variant")
    if (both := hybrid.of("cloud", variants)) is not None and both == hybrid.of("device", variants):
        faults.add(("hybrid",), f"cloud and device are both {both!r}: there is nothing to mix")


class FlipSettings(Model):
    """The contract's word on flips.

    Attributes:
        accepted: The file of flips that are known and accepted; it need not be there.
    """

    accepted: BundlePath = BundlePath("flips.toml")


class FlipFile(Model):
    """The whole file.

    Attributes:
        flip: Every accepted flip.
    """

    flip: tuple[AcceptedFlip, ...] = Field(default=())


class ReleaseSection(Model):
    """The contract's word on releases.

    Attributes:
        baseline: Name of the release to judge against, where the run names no other.
        folder: Folder of releases, one folder a release; made to be committed.
    """

    baseline: Name | None = None
    folder: BundlePath = BundlePath("releases")


class Statistics(Model):
    """How decisions about samples are reached.

    Attributes:
        confidence: Of every ``held`` and ``broken`` that rests on a sample: the chance that it is wrong is at most the
            rest.
        draws: Draws of the bootstrap; more are taken where the chances ask for them.
        seed: Seed of the draws: the same evidence gets the same answer.
        correction: Whether the clauses share the chance of a false alarm. ``none``: each is called broken wrongly with
            the chance that ``confidence`` leaves. ``bonferroni``: all together are. A false pass needs no correction:
            a contract is held only when every clause is.
        assumed_flips: Share of the samples that two variants are assumed to decide differently, for saying before
            anything is measured which margins the set can resolve.
    """

    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.95
    draws: int = Field(default=10_000, ge=1_000, le=1_000_000)
    seed: int = Field(default=0, ge=0)
    correction: Literal["none", "bonferroni"] = "none"
    assumed_flips: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
