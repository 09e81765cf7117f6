"""Every flip stands in the page: some at once, all others folded away, each with both decisions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.kinds.flips import compute_flips
from eyerace_parity.measure.kinds.quality import compute_samples
from eyerace_parity.report.html.page import render
from eyerace_parity.report.view.pictures import PictureData
from eyerace_parity.report.view.run import run_view
from eyerace_parity.report.view.samples import AT_ONCE, flips_of
from tests.report.html.test_quality import evidence, made

if TYPE_CHECKING:
    from eyerace_parity.record.document import Record
    from eyerace_parity.report.view.samples import FlipCards


CONTRACT: Any = SimpleNamespace(scores_output="scores", classes=("x", "y"), hybrid=None)
"""As much of a contract as flips and samples ask."""


def flipped(number: int) -> Record:
    """A run in which int8 takes so many samples for the other class, and one not."""
    labels = np.zeros(number + 1, dtype=np.int64)
    right = np.eye(2, dtype=np.float32)[labels]
    wrong = np.eye(2, dtype=np.float32)[1 - labels]
    wrong[-1] = right[-1]
    golden = GoldenFacts("sha256:0", tuple(f"{i}.png" for i in range(number + 1)), CONTRACT.classes, labels)
    theirs, ours = (
        Outputs(Provenance(variant=name), {"scores": array}, len(array))
        for name, array in (("fp32", right), ("int8", wrong))
    )
    source = Provenance(variant="int8")
    facts = (
        compute_flips(CONTRACT, ours, golden, theirs, source),
        compute_samples(CONTRACT, ours, golden, theirs, source),
    )
    return made(*(evidence(fact).model_copy(update={"versus": "fp32"}) for fact in facts))


def cards(found: Record) -> FlipCards:
    """The flips of its only pair."""
    (flips,) = flips_of(PictureData.of(found, found.contracts[0]))
    return flips


def test_every_flip_has_a_card() -> None:
    """Beyond what stands open the others are folded away, none is lost."""
    number = AT_ONCE + 7
    found = flipped(number)
    flips = cards(found)
    assert len(flips.cards) == AT_ONCE
    assert len(flips.cards) + len(flips.folded) == number
    text = render(run_view(found))
    assert text.count('<li class="harmed">') == number
    assert "<summary>7 more</summary>" in text


def test_a_card_tells_both_decisions_and_how_sure_they_are() -> None:
    """And who was right, in words and with a sign, not by colour alone."""
    (card,) = cards(flipped(1)).cards
    assert [(who, what) for who, what, _ in card.sides] == [("fp32", "x"), ("int8", "y")]
    assert all(sure is not None and 0.7 < sure < 0.8 for _, _, sure in card.sides)
    assert (card.sign, card.change) == ("✗", "right → wrong")
