"""What is to be said of one contract, as plain data: its verdict, its clauses, what is not held, and what is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import HOST, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.record.reproduce import reproduce_commands
from eyerace_parity.report.view.parts import added_lines
from eyerace_parity.report.view.pictures import PictureData
from eyerace_parity.report.view.samples import flips_of, shown_samples
from eyerace_parity.report.view.targets import target_grids
from eyerace_parity.report.view.variants import runtimes, variant_summary
from eyerace_parity.report.view.words import VerdictLine, outcome_sign, verdict_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eyerace_parity.evidence.quality import DecidedSample
    from eyerace_parity.record.document import ContractEntry, ContractOutcome, Record, VariantEntry
    from eyerace_parity.record.rows import Unjudged, VerdictEntry
    from eyerace_parity.release.history import AcceptedRelease
    from eyerace_parity.report.view.samples import FlipCards
    from eyerace_parity.report.view.targets import TargetGrid
    from eyerace_parity.report.view.variants import Runtimes, VariantSummary

WORST_FIRST: Final = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)

PAST: Final = {
    Status.HELD: "held",
    Status.BROKEN: "broken",
    Status.UNPROVEN: "unproven",
    Status.ERROR: "in error",
}
"""What became of a clause, as a word."""

_HEADLINES: Final[dict[ContractOutcome, str]] = {
    "held": "HELD",
    "broken": "BROKEN",
    "error": "NOT HELD (error)",
    "unproven": "NOT HELD (unproven)",
    "unjudged": "NOT JUDGED IN FULL",
}


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Clauses in one place that are not held for one and the same reason.

    One missing file must not fill a screen, a page or a comment.

    Attributes:
        lines: The clauses, at least one.
        place: Where to find the first of them in the contract, as ``file:line``; without the line where none is known.
    """

    lines: tuple[VerdictLine, ...]
    place: str

    @property
    def first(self) -> VerdictEntry:
        """The verdict that speaks for all."""
        return self.lines[0].row

    @property
    def groups(self) -> tuple[tuple[str, tuple[VerdictLine, ...]], ...]:
        """The clauses of each variant."""
        names = dict.fromkeys(line.row.variant for line in self.lines)
        return tuple((name, tuple(line for line in self.lines if line.row.variant == name)) for name in names)

    def whose(self, most: int) -> str:
        """Variants and clauses in words; of each variant ``most`` clauses, with the number of those left out."""
        return "; ".join(
            f"{name} {join_names((line.row.clause for line in lines), most=most)}" for name, lines in self.groups
        )


@dataclass(frozen=True, slots=True)
class VariantFile:
    """The file of a variant as it was judged.

    Attributes:
        variant: The variant.
        digest: Digest of the file; empty where nobody read it.
        runtime: What ran it on the host; empty where nothing did.
    """

    variant: VariantEntry
    digest: str
    runtime: str


@dataclass(frozen=True, slots=True, eq=False)
class ContractView:
    """One contract of a run.

    Attributes:
        entry: The contract as the record has it.
        headline: The verdict in one line, e.g. ``eyerace: HELD; all 63 clauses judged: 63 held``.
        sign: Its sign.
        lines: The judged clauses, in the order of the plan.
        unjudged: The clauses without a verdict.
        failures: What is not held, the worst first.
        targets: Targets by clauses, a grid a variant.
        variants: The variants side by side; ``None`` where nothing is known of them.
        runtimes: Variants by versions of ONNX Runtime; ``None`` where no file could be read.
        flips: Samples decided differently, by pair.
        moved: Samples that both decide alike although their probabilities moved, the furthest first.
        pictures: What charts are drawn from.
        reproduce: The commands that do it again.
        files: What was judged.
        samples: Samples of the golden set; 0 where nobody counted them.
        golden: Digest of the golden set; empty where it was not looked at.
        added: Lines of extensions, below the verdict.
    """

    entry: ContractEntry
    headline: str
    sign: str
    lines: tuple[VerdictLine, ...]
    unjudged: tuple[Unjudged, ...]
    failures: tuple[FailureGroup, ...]
    targets: tuple[TargetGrid, ...]
    variants: VariantSummary | None
    runtimes: Runtimes | None
    flips: tuple[FlipCards, ...]
    moved: tuple[DecidedSample, ...]
    pictures: PictureData
    reproduce: tuple[str, ...]
    files: tuple[VariantFile, ...]
    samples: int
    golden: str
    added: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The status that the whole is shown as: what is not judged in full is shown like what is not proven."""
        return Status.UNPROVEN if self.entry.outcome == "unjudged" else Status(self.entry.outcome)


def contract_view(record: Record, entry: ContractEntry, accepted: Sequence[AcceptedRelease] = ()) -> ContractView:
    """See one contract of a record.

    Args:
        record: The record.
        entry: The contract in it.
        accepted: Every release of the contract that was accepted before, in its order.
    """
    rows, unjudged = record.verdicts_of(entry.name), record.unjudged_of(entry.name)
    lines = tuple(verdict_row(row) for row in rows)
    pictures = PictureData.of(record, entry, tuple(accepted))
    return ContractView(
        entry=entry,
        headline=_headline(entry, rows, unjudged),
        sign=outcome_sign(entry.outcome),
        lines=lines,
        unjudged=unjudged,
        failures=failures(entry.file, lines),
        targets=target_grids(lines, unjudged),
        variants=variant_summary(pictures),
        runtimes=runtimes(pictures, record.environment.packages.get("onnxruntime", "")),
        flips=tuple(flips_of(pictures)),
        moved=shown.moved if (shown := shown_samples(pictures)) is not None else (),
        pictures=pictures,
        reproduce=reproduce_commands(record, entry),
        files=tuple(_files(pictures)),
        samples=pictures.samples,
        golden=next((s.golden for piece in pictures.pieces if (s := piece.provenance) is not None and s.golden), ""),
        added=added_lines(record, entry),
    )


def failures(file: str, lines: Iterable[VerdictLine]) -> tuple[FailureGroup, ...]:
    """Gather what is not held once a reason, the worst first.

    Args:
        file: The contract's file.
        lines: Its clauses.
    """
    grouped: dict[tuple[str, ...], list[VerdictLine]] = {}
    known = list(lines)
    for status in WORST_FIRST:
        for line in known:
            row = line.row
            if row.status is status:
                grouped.setdefault((row.target, row.status, row.reason, row.next, *row.causes), []).append(line)
    return tuple(FailureGroup(tuple(group), _place(file, group[0].row)) for group in grouped.values())


def _place(file: str, row: VerdictEntry) -> str:
    return f"{file}:{row.line}" if row.line else file


def _headline(contract: ContractEntry, verdicts: Sequence[VerdictEntry], unjudged: Sequence[Unjudged]) -> str:
    counts = Counter(row.status for row in verdicts)
    found = ", ".join(f"{counts[status]} {PAST[status]}" for status in (*WORST_FIRST, Status.HELD) if counts[status])
    judged = f"{len(verdicts)} of {contract.planned}" if unjudged else f"all {contract.planned}"
    line = f"{contract.name}: {_HEADLINES[contract.outcome]}; {judged} clauses judged{': ' if found else ''}{found}"
    if unjudged:
        whys = Counter(row.why for row in unjudged)
        line += "; unjudged: " + ", ".join(f"{number} {_clauses(number)} {why}" for why, number in whys.items())
    if contract.cell:
        line += " (one runtime of the matrix: what ONNX Runtime executes)"
    if contract.judged_again:
        line += " (judged again from recorded evidence)"
    return line


def _clauses(number: int) -> str:
    return "clause was" if number == 1 else "clauses were"


def _files(pictures: PictureData) -> Iterator[VariantFile]:
    """Each variant with the digest of its file, and what ran it."""
    sources = [piece.provenance for piece in pictures.pieces if not piece.baseline]
    for variant in pictures.entry.variants:
        own = [source for source in sources if source is not None and source.variant == variant.name]
        digest = next((source.artefact for source in own if source.artefact), "")
        runtime = next((source.runtime for source in own if source.runtime and source.target == HOST), "")
        yield VariantFile(variant, digest, runtime)
