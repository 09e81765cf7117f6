"""Smaller sections of the contract: hybrid deployment, flips, releases and statistics."""

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
    """A hybrid deployment: the cloud answers while the phone is online, and the phone answers while it is offline.

    Attributes:
        cloud: Variant that answers online; the one of tier ``cloud`` by default.
        device: Variant that answers offline; the one of tier ``device`` by default.
        offline_share: Share of answers from the phone, 0 to 1.
        confidence: Threshold on the highest probability. An answer of the phone below it waits for the cloud.
        shown: Number of top classes that the app shows, in order.
        scores: Type of the scores. Logits are converted to probabilities by a softmax.
    """

    cloud: Name | None = None
    device: Name | None = None
    offline_share: Share
    confidence: Share | None = None
    shown: int = Field(default=1, ge=1)
    scores: Literal["logits", "probabilities"] = "logits"

    def of(self, tier: Literal["cloud", "device"], variants: Mapping[str, Variant]) -> str | None:
        """Return the variant of a tier; ``None`` if none is named and not exactly one has this tier."""
        named: str | None = getattr(self, tier)
        deployed = [name for name, variant in variants.items() if variant.tier == tier]
        return named or (deployed[0] if len(deployed) == 1 else None)


def agree_on_tiers(hybrid: Hybrid, variants: Mapping[str, Variant], faults: Contradictions) -> None:
    """Check that each tier has exactly one variant, and that the two differ."""
    for tier in ("cloud", "device"):
        name = hybrid.of(tier, variants)
        if name is None:
            faults.add(("hybrid",), f"{tier}: name the variant, for there is not exactly one of tier {tier!r}")
        elif name not in variants:
            faults.unknown(("hybrid", tier), name, variants, "variant")
    if (both := hybrid.of("cloud", variants)) is not None and both == hybrid.of("device", variants):
        faults.add(("hybrid",), f"cloud and device are both {both!r}: there is nothing to mix")


class FlipSettings(Model):
    """The ``[flips]`` section.

    Attributes:
        accepted: File of accepted flips; it may be absent.
    """

    accepted: BundlePath = BundlePath("flips.toml")


class FlipFile(Model):
    """The file of accepted flips.

    Attributes:
        flip: All accepted flips.
    """

    flip: tuple[AcceptedFlip, ...] = Field(default=())


class ReleaseSection(Model):
    """The ``[release]`` section.

    Attributes:
        baseline: Name of the release to judge against, unless the run names another.
        folder: Folder of releases, with one folder per release. Commit it to the repository.
    """

    baseline: Name | None = None
    folder: BundlePath = BundlePath("releases")


class Statistics(Model):
    """Settings of the statistical decisions.

    Attributes:
        confidence: Confidence of each ``held`` and ``broken`` that depends on a sample: the probability of a wrong one
            is at most 1 - ``confidence``.
        draws: Fewest draws of the bootstrap; small error probabilities need more.
        seed: Seed of the draws, so that equal evidence gives equal decisions.
        correction: Whether clauses share the probability of a false ``broken``. ``none``: it is 1 - ``confidence`` for
            each clause. ``bonferroni``: it is 1 - ``confidence`` for all clauses together. A false ``held`` needs no
            correction, because a contract holds only if every clause does.
        sampling: How the golden set was drawn. ``random``: its class counts came as they fell, and another set would
            have others. ``stratified``: they were chosen, so they count as fixed.
        assumed_flips: Assumed share of samples that two variants decide differently. It gives the margins that the set
            can resolve, before anything is measured.
    """

    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.95
    draws: int = Field(default=10_000, ge=1_000, le=1_000_000)
    seed: int = Field(default=0, ge=0)
    correction: Literal["none", "bonferroni"] = "none"
    sampling: Literal["random", "stratified"] = "random"
    assumed_flips: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
