"""The images of a page that stand as cards: every one that is decided otherwise, and those that moved the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.measure.kinds.flips import compute_flips
from eyerace_parity.report.html.scatter import worst_samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.evidence.flips import Flip
    from eyerace_parity.report.html.material import PageInput

AT_ONCE: Final = 24
"""Flips of a pair that stand open; the others are folded away below them."""

_KINDS: Final = {
    "harmed": "right → wrong",
    "mended": "wrong → right",
    "moved": "wrong both times",
    "unlabelled": "decided differently",
}
_KIND_SIGNS: Final = {"harmed": "✗", "mended": "✓"}


@dataclass(frozen=True, slots=True)
class FlipCard:
    """A flip as a photograph with both decisions.

    Attributes:
        flip: The flip.
        sample: Place of the sample in the golden set, or -1.
        told: Who was right, in words.
        sign: The same as a sign; empty where nobody can say.
        sides: What decided, its decision, and how surely, from 0 to 1, where that is known.
    """

    flip: Flip
    sample: int
    told: str
    sign: str
    sides: tuple[tuple[str, str, float | None], ...]


@dataclass(frozen=True, slots=True)
class FlipCards:
    """The flips of one variant against another.

    Attributes:
        name: The judged variant.
        other: What it is compared to.
        ledger: All that is known of them.
        cards: Those that are shown at once, the worst first.
        folded: All others that the ledger lists.
    """

    name: str
    other: str
    ledger: FlipLedger
    cards: tuple[FlipCard, ...]
    folded: tuple[FlipCard, ...]


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """A sample that both decide alike, but with other probabilities.

    Attributes:
        sample: Its place in the golden set.
        name: Its name.
        label: Its class, or an empty string.
        decision: What both decide.
        ours: Probability of that in the judged variant.
        theirs: The same in its reference.
    """

    sample: int
    name: str
    label: str
    decision: str
    ours: float
    theirs: float


def flips_of(material: PageInput) -> list[FlipCards]:
    """Every ledger of the record; where no clause asked for one, the ledger of the pair that a reader asks about."""
    ledgers = [
        (entry.variant, "the accepted release" if entry.baseline else entry.versus, ledger)
        for entry, ledger in material.documents(FlipLedger)
    ]
    pair, golden = material.pair(), material.golden
    if pair is not None and golden is not None and material.contract is not None and not ledgers:
        ours, theirs = (material.outputs[name] for name in pair)
        made = compute_flips(material.contract, golden, ours, theirs, source=Provenance(variant=pair[0]))
        ledgers.append((*pair, made))
    known = {name: place for place, name in enumerate(golden.ids)} if golden is not None else {}
    rank = {"harmed": 0, "moved": 1, "unlabelled": 1, "mended": 2}
    found = []
    for name, other, ledger in ledgers:
        if not ledger.failure:
            rows = sorted(ledger.rows, key=lambda flip: (rank[flip.kind], -flip.other_margin))
            cards = tuple(_card(material, flip, known.get(flip.id, -1), name, other) for flip in rows)
            found.append(FlipCards(name, other, ledger, cards[:AT_ONCE], cards[AT_ONCE:]))
    return found


def _card(material: PageInput, flip: Flip, sample: int, name: str, other: str) -> FlipCard:
    def surely(variant: str, decision: str) -> float | None:
        known = material.probabilities(variant)
        if known is None or sample < 0 or decision not in material.classes:
            return None
        return float(known[sample, material.classes.index(decision)])

    sides = tuple((who, what, surely(who, what)) for who, what in ((other, flip.other), (name, flip.decision)))
    return FlipCard(flip, sample, _KINDS[flip.kind], _KIND_SIGNS.get(flip.kind, ""), sides)


def moved_of(material: PageInput) -> Iterator[ScoreShift]:
    """The samples that both decide alike although their probabilities moved, the furthest first."""
    pair, golden, classes = material.pair(), material.golden, material.classes
    ours, theirs = (material.probabilities(name) for name in pair) if pair is not None else (None, None)
    if ours is None or theirs is None or golden is None or ours.shape[1] != len(classes):
        return
    for sample in (int(place) for place in worst_samples(material)):
        decision = int(theirs[sample].argmax())
        label = classes[int(golden.labels[sample])] if golden.labels is not None else ""
        numbers = float(ours[sample, decision]), float(theirs[sample, decision])
        yield ScoreShift(sample, golden.ids[sample], label, classes[decision], *numbers)
