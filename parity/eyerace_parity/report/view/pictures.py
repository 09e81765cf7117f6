"""What charts and tables of a contract are drawn from: the evidence of its record, and nothing that is not in it.

Any of it may be missing: a clause was left out, or the record is of a version that did not write it. Then it is not
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import DecisionSamples, Quality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.record.document import ContractEntry, EvidenceEntry, Record
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.release.history import AcceptedRelease

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True, eq=False)
class PictureData:
    """The evidence of one contract.

    Attributes:
        entry: The contract as the record has it.
        verdicts: Its verdicts.
        pieces: Each piece of evidence once: first what verdicts rest on, then the summary.
        asked: How many of them verdicts rest on.
        accepted: Every release that was accepted before, in its order.
    """

    entry: ContractEntry
    verdicts: tuple[VerdictEntry, ...]
    pieces: tuple[EvidenceEntry, ...]
    asked: int
    accepted: tuple[AcceptedRelease, ...] = ()

    @classmethod
    def of(cls, record: Record, entry: ContractEntry, accepted: tuple[AcceptedRelease, ...] = ()) -> PictureData:
        """Take what a record holds of a contract."""
        verdicts = record.verdicts_of(entry.name)
        cited = [key for row in verdicts for key in row.evidence if key in record.evidence]
        asked = dict.fromkeys(cited)
        keys = dict.fromkeys([*cited, *(key for key in entry.summary if key in record.evidence)])
        return cls(entry, verdicts, tuple(record.evidence[key] for key in keys), len(asked), accepted)

    def documents(self, kind: type[F], *, asked: bool = False) -> Iterator[tuple[EvidenceEntry, F]]:
        """Numeric evidence of a kind with its entry, that of an accepted release among it.

        Args:
            kind: The kind.
            asked: Only what verdicts rest on.
        """
        for piece in self.pieces[: self.asked] if asked else self.pieces:
            if isinstance(piece.document, kind):
                yield piece, piece.document

    def by_variant(self, kind: type[F]) -> dict[str, F]:
        """Evidence of a kind on the host by variant, in the contract's order; nothing of an accepted release."""
        known = {
            piece.variant: fact for piece, fact in self.documents(kind) if not piece.baseline and piece.target == HOST
        }
        return {variant.name: known[variant.name] for variant in self.entry.variants if variant.name in known}

    def by_pair(self, kind: type[F]) -> dict[tuple[str, str], F]:
        """Evidence of a kind on the host by a variant and the one that it is compared to."""
        return {
            (piece.variant, piece.versus): fact
            for piece, fact in self.documents(kind)
            if not piece.baseline and piece.target == HOST
        }

    def limits(self, variant: str, *clauses: str, target: str = HOST) -> dict[str, float]:
        """The numbers that clauses demand of a variant, by clause."""
        mine = [
            row for row in self.verdicts if (row.variant, row.target) == (variant, target) and row.clause in clauses
        ]
        return {row.clause: float(row.limit) for row in mine if isinstance(row.limit, int | float)}

    def pair(self) -> tuple[str, str] | None:
        """The judged variant and its reference that a reader asks about: the one furthest from where training ended.

        Both must have answered; ``None`` where no two have.
        """
        answered = {p.variant for p in self.pieces if p.kind == "outputs" and p.target == HOST and not p.baseline}
        pairs = [(v.name, v.reference) for v in self.entry.variants if v.reference and v.name in answered]
        known = [(name, reference) for name, reference in pairs if reference in answered]
        return known[-1] if known else None

    def ranked(self) -> tuple[str, ...]:
        """Names of the variants in the order in which colours are given out: the two that are compared come first."""
        pair = self.pair() or ()
        return tuple(dict.fromkeys([*pair[::-1], *(variant.name for variant in self.entry.variants)]))

    @property
    def samples(self) -> int:
        """Samples of the golden set; 0 where nobody counted them."""
        counts = [
            *(fact.samples for _, fact in self.documents(Quality)),
            *(fact.total for _, fact in self.documents(DecisionSamples)),
            *(fact.samples for _, fact in self.documents(FlipLedger)),
        ]
        return max(counts, default=0)
