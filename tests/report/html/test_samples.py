"""Every flip stands in the page: some at once, all others folded away, each with both decisions."""

from __future__ import annotations

import numpy as np

from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.kinds.flips import compute_flips
from eyerace_parity.report.html.material import PageInput
from eyerace_parity.report.html.page import render
from eyerace_parity.report.view.samples import AT_ONCE, flips_of
from tests.report.html.test_quality import evidence, material


class Contract:
    """As much of a contract as the ledger asks."""

    scores_output = "scores"
    classes = ("x", "y")


def flipped(number: int) -> PageInput:
    """A run in which int8 takes so many samples for the other class, and one not."""
    labels = np.zeros(number + 1, dtype=np.int64)
    right = np.eye(2, dtype=np.float32)[labels]
    wrong = np.eye(2, dtype=np.float32)[1 - labels]
    wrong[-1] = right[-1]
    golden = GoldenFacts("sha256:0", tuple(f"{i}.png" for i in range(number + 1)), Contract.classes, labels)
    outputs = {
        name: Outputs(Provenance(variant=name), {"scores": array}, len(array))
        for name, array in (("fp32", right), ("int8", wrong))
    }
    source = Provenance(variant="int8")
    ledger = compute_flips(Contract(), golden, {}, outputs["int8"], outputs["fp32"], source=source)  # type: ignore[arg-type]
    known = material(evidence(ledger).model_copy(update={"versus": "fp32"}))
    return PageInput(known.record, known.entry, golden=golden, outputs=outputs)


def test_every_flip_has_a_card() -> None:
    """Beyond what stands open the others are folded away, none is lost."""
    number = AT_ONCE + 7
    found = flipped(number)
    (flips,) = flips_of(found)
    assert len(flips.cards) == AT_ONCE
    assert len(flips.cards) + len(flips.folded) == number
    text = render(found.record, [found])
    assert text.count('<li class="harmed">') == number
    assert "<summary>7 more</summary>" in text


def test_a_card_tells_both_decisions_and_how_sure_they_are() -> None:
    """And who was right, in words and with a sign, not by colour alone."""
    (flips,) = flips_of(flipped(1))
    (card,) = flips.cards
    assert [(who, what) for who, what, _ in card.sides] == [("fp32", "x"), ("int8", "y")]
    assert all(sure is not None and 0.7 < sure < 0.8 for _, _, sure in card.sides)
    assert (card.sign, card.told) == ("✗", "right → wrong")
