"""The variants side by side: what the phone's file loses in quality and saves in cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.compatibility.versions import Version
from eyerace_parity.core.numbers import format_quantity
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import LoadPrediction, Quality, TimeQuantiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.evidence.quality import RuntimePrediction
    from eyerace_parity.record.document import VariantEntry
    from eyerace_parity.report.view.pictures import PictureData

_MEDIAN: Final = 0.5
_SIGNED: Final = {"loads": "held", "unknown": "unproven"}


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """A table of variants.

    Attributes:
        columns: What is shown of each variant, without columns that are empty for all.
        lines: The variants with a cell a column; empty where nothing is known.
    """

    columns: tuple[str, ...]
    lines: tuple[tuple[VariantEntry, tuple[str, ...]], ...]


def variant_summary(data: PictureData) -> VariantSummary | None:
    """Compare the variants; ``None`` if nothing is known of any."""
    columns: dict[str, Callable[[PictureData], Mapping[str, str]]] = {
        "macro-F1": _quality,
        "decided differently": _changes,
        "size": _sizes,
        "time, median": _times,
        "oldest runtime": _loads,
    }
    cells = {column: found for column, describe in columns.items() if (found := describe(data))}
    if not cells:
        return None
    lines = [
        (variant, tuple(found.get(variant.name, "") for found in cells.values())) for variant in data.entry.variants
    ]
    return VariantSummary(tuple(cells), tuple(line for line in lines if any(line[1])))


def _quality(data: PictureData) -> Mapping[str, str]:
    """Macro-F1, and by how much it differs from the reference's."""
    known = {name: fact.macro_f1 for name, fact in data.by_variant(Quality).items() if fact.macro_f1 is not None}
    cells = {name: f"{value:.4f}" for name, value in known.items()}
    for variant in data.entry.variants:
        if variant.name in cells and variant.reference in known:
            cells[variant.name] += f" ({signed(known[variant.name] - known[variant.reference], '.4f')})"
    return cells


def _changes(data: PictureData) -> Mapping[str, str]:
    """Samples that are decided otherwise than by the reference, and how many of them wrongly now."""
    cells: dict[str, str] = {}
    labelled = data.by_variant(Quality)
    for variant in data.entry.variants:
        ledger = data.by_pair(FlipLedger).get((variant.name, variant.reference or ""))
        if ledger is not None and not ledger.failure:
            cells[variant.name] = f"{ledger.total} of {ledger.samples}"
            if variant.name in labelled:
                cells[variant.name] += f", {ledger.harmed} to wrong"
    return cells


def _sizes(data: PictureData) -> Mapping[str, str]:
    known = {name: files.bytes for name, files in data.by_variant(Files).items()}
    cells = {name: format_quantity(value, "bytes", digits=3) for name, value in known.items()}
    for variant in data.entry.variants:
        before = known.get(variant.reference or "")
        if variant.name in known and before:
            cells[variant.name] += f" (× {known[variant.name] / before:.2f})"  # noqa: RUF001 - a factor
    return cells


def _times(data: PictureData) -> Mapping[str, str]:
    """Medians of process CPU time; of what was timed in turns too."""
    known: dict[str, float] = {}
    for piece, timed in data.documents(TimeQuantiles):
        for one in timed.quantiles if not piece.baseline else ():
            if (one.clock, one.quantile) == ("cpu", _MEDIAN):
                known.setdefault(one.series, one.value)
    return {name: f"{format_quantity(value, 'ms', digits=3)} ms" for name, value in known.items()}


def _loads(data: PictureData) -> Mapping[str, str]:
    """The oldest runtime that is predicted to load each file."""
    return {name: found.oldest or "none known" for name, found in data.by_variant(LoadPrediction).items()}


def signed(value: float, form: str) -> str:
    """A difference with its sign, none for nothing."""
    text = format(abs(value), form)
    if not float(text):
        return f"±{text}"
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


@dataclass(frozen=True, slots=True)
class RuntimeLine:
    """A variant's row.

    Attributes:
        variant: The variant.
        cells: What is predicted for each runtime, and how to sign it: only what is demanded and refused is ``broken``.
        blocking: What keeps it from the newest runtime that refuses it; empty where none does.
    """

    variant: VariantEntry
    cells: tuple[tuple[RuntimePrediction, str], ...]
    blocking: str


@dataclass(frozen=True, slots=True)
class Runtimes:
    """The grid.

    Attributes:
        versions: The known runtimes, oldest first.
        here: That of this run, if it is one of them.
        lines: The variants.
        bundles: Who brings which: (version, packages).
    """

    versions: tuple[str, ...]
    here: str
    lines: tuple[RuntimeLine, ...]
    bundles: tuple[tuple[str, str], ...]


def runtimes(data: PictureData, here: str) -> Runtimes | None:
    """What is predicted of every file that could be read; ``None`` where there is none.

    Args:
        data: The evidence.
        here: The run's own version of ONNX Runtime; empty where it has none.
    """
    known = data.by_variant(LoadPrediction)
    if not known:
        return None
    lines = []
    for variant in data.entry.variants:
        if (found := known.get(variant.name)) is not None:
            cells = tuple((one, _SIGNED.get(one.outcome, "broken" if one.demanded else "")) for one in found.runtimes)
            blocking = next((one for one in reversed(found.runtimes) if one.outcome != "loads"), None)
            lines.append(RuntimeLine(variant, cells, "; ".join(blocking.reasons) if blocking is not None else ""))
    table = next(iter(known.values())).runtimes
    versions = tuple(one.version for one in table)
    bundles = tuple((one.version, ", ".join(one.packages)) for one in table if one.packages)
    own = _minor(here)
    return Runtimes(versions, own if own in versions else "", tuple(lines), bundles)


def _minor(version: str) -> str:
    try:
        return str(Version.parse(version))
    except ValueError:
        return ""
