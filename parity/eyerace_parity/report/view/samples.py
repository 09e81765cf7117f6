"""The images of a page that stand as cards: every one that is decided otherwise, and those that moved the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import DecisionSamples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eyerace_parity.evidence.flips import Flip
    from eyerace_parity.report.view.pictures import PictureData

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
        change: Which side was right, in words.
        sign: The same as a sign; empty without labels.
        sides: What decided, its decision, and how surely, from 0 to 1, where that is known.
    """

    flip: Flip
    sample: int
    change: str
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


def flips_of(data: PictureData) -> Iterator[FlipCards]:
    """Every ledger that a clause asked for; where none did, that of the pair that a reader asks about."""
    ledgers = [
        (piece.variant, "the accepted release" if piece.baseline else piece.versus, ledger)
        for piece, ledger in data.documents(FlipLedger, asked=True)
    ]
    pair = data.pair()
    if pair is not None and not ledgers and (known := data.by_pair(FlipLedger).get(pair)) is not None:
        ledgers.append((*pair, known))
    places, sure = _places(data), _sure(data)
    rank = {"harmed": 0, "moved": 1, "unlabelled": 1, "mended": 2}
    for name, other, ledger in ledgers:
        if not ledger.failure:
            rows = sorted(ledger.rows, key=lambda flip: (rank[flip.kind], -flip.other_margin))
            cards = tuple(_card(flip, places.get(flip.id, -1), name, other, sure) for flip in rows)
            yield FlipCards(name, other, ledger, cards[:AT_ONCE], cards[AT_ONCE:])


def _places(data: PictureData) -> Mapping[str, int]:
    """Places of the shown samples in the golden set, by name."""
    return {row.id: row.index for _, shown in data.documents(DecisionSamples) for row in (*shown.rows, *shown.moved)}


def _sure(data: PictureData) -> Mapping[tuple[str, str, str], float]:
    """How surely a variant decides a shown sample, by variant, sample and decision."""
    found: dict[tuple[str, str, str], float] = {}
    for piece, shown in data.documents(DecisionSamples):
        if not piece.baseline:
            for row in shown.rows:
                found[piece.variant, row.id, row.decision] = row.p
                found[piece.versus, row.id, row.other] = row.other_p
    return found


def _card(flip: Flip, sample: int, name: str, other: str, sure: Mapping[tuple[str, str, str], float]) -> FlipCard:
    decided = ((other, flip.other), (name, flip.decision))
    sides = tuple((who, what, sure.get((who, flip.id, what))) for who, what in decided)
    return FlipCard(flip, sample, _KINDS[flip.kind], _KIND_SIGNS.get(flip.kind, ""), sides)


def shown_samples(data: PictureData) -> DecisionSamples | None:
    """What is shown of the samples of the pair that a reader asks about."""
    pair = data.pair()
    return data.by_pair(DecisionSamples).get(pair) if pair is not None else None
