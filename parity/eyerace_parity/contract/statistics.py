"""How sure the contract wants to be of what a sample of photographs says about all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eyerace_parity.contract.base import Model


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
