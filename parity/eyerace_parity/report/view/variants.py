"""The variants side by side, before any clause: how much worse is the phone's file, and what does it save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.checks.compatibility import bundled_by, oldest_demanded
from eyerace_parity.compatibility.predict import CPU_PROVIDER, LoadOutcome, predict
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.evidence.artefacts import Files, Graph
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.report.view.words import format_quantity
from eyerace_parity.stats.classification import confusion, decisions, macro_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.compatibility.predict import Prediction
    from eyerace_parity.record.document import VariantEntry
    from eyerace_parity.report.html.material import PageInput


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """A table of variants.

    Attributes:
        columns: What is told of each, without what is known of none.
        lines: The variants with a cell a column; empty where nothing is known.
    """

    columns: tuple[str, ...]
    lines: tuple[tuple[VariantEntry, tuple[str, ...]], ...]


def glance(material: PageInput) -> VariantSummary | None:
    """Tell of each variant what can be told; ``None`` where that is nothing."""
    tellers: dict[str, Callable[[PageInput], Mapping[str, str]]] = {
        "macro-F1": _quality,
        "decided differently": _changes,
        "size": _sizes,
        "time, median": _times,
        "oldest runtime": _loads,
    }
    told = {column: found for column, tell in tellers.items() if (found := tell(material))}
    if not told:
        return None
    lines = [
        (variant, tuple(found.get(variant.name, "") for found in told.values())) for variant in material.entry.variants
    ]
    return VariantSummary(tuple(told), tuple(line for line in lines if any(line[1])))


def _quality(material: PageInput) -> Mapping[str, str]:
    """Macro-F1, and by how much it differs from the reference's."""
    labels, classes = material.labels, material.classes
    known: dict[str, float] = {}
    for variant in material.entry.variants:
        scores = material.scores(variant.name)
        if labels is not None and scores is not None and classes:
            known[variant.name] = macro_f1(confusion(labels, decisions(scores), len(classes)))
    told = {name: f"{value:.4f}" for name, value in known.items() if np.isfinite(value)}
    for variant in material.entry.variants:
        if variant.name in told and variant.reference in told:
            told[variant.name] += f" ({signed(known[variant.name] - known[variant.reference], '.4f')})"
    return told


def _changes(material: PageInput) -> Mapping[str, str]:
    """Samples that are decided otherwise than by the reference, and how many of them wrongly now."""
    told: dict[str, str] = {}
    for variant in material.entry.variants:
        ours, theirs = material.scores(variant.name), material.scores(variant.reference or "")
        if ours is None or theirs is None or len(ours) != len(theirs):
            continue
        mine, its = decisions(ours), decisions(theirs)
        told[variant.name] = f"{int((mine != its).sum())} of {len(mine)}"
        if material.labels is not None:
            harmed = int(((its == material.labels) & (mine != material.labels)).sum())
            told[variant.name] += f", {harmed} to wrong"
    return told


def _sizes(material: PageInput) -> Mapping[str, str]:
    known = {entry.variant: files.bytes for entry, files in material.documents(Files) if not entry.baseline}
    return _beside(material, known, "bytes")


def _times(material: PageInput) -> Mapping[str, str]:
    """Medians of process CPU time; of what was timed in turns too."""
    known: dict[str, float] = {}
    for entry, timing in material.documents(Timing):
        if entry.baseline:
            continue
        for name, runs in ((timing.provenance.variant, timing.runs), (timing.versus, timing.versus_runs)):
            if runs is not None and runs.cpu_ms and np.isfinite(runs.cpu_ms).all():
                known.setdefault(name, float(np.median(runs.cpu_ms)))
    return {name: f"{format_quantity(value, 'ms', digits=3)} ms" for name, value in known.items()}


def _beside(material: PageInput, known: Mapping[str, float], unit: str) -> Mapping[str, str]:
    """Numbers, each with its ratio to the reference's."""
    told = {name: format_quantity(value, unit, digits=3) for name, value in known.items()}
    for variant in material.entry.variants:
        before = known.get(variant.reference or "")
        if variant.name in known and before:
            told[variant.name] += f" (× {known[variant.name] / before:.2f})"  # noqa: RUF001 - a factor
    return told


def _loads(material: PageInput) -> Mapping[str, str]:
    """The oldest runtime that is foretold to load each file."""
    found = {name: prediction.oldest for name, prediction in predictions(material).items()}
    return {name: "none known" if oldest is None else str(oldest) for name, oldest in found.items()}


def predictions(material: PageInput) -> dict[str, Prediction]:
    """What is foretold of each file that could be read, in the contract's order."""
    graphs = {e.variant: g for e, g in material.documents(Graph) if not e.baseline and not g.failure}
    contract = material.contract
    return {
        variant.name: predict(
            graphs[variant.name],
            providers=contract.session_of(variant.name).providers if contract is not None else (CPU_PROVIDER,),
        )
        for variant in material.entry.variants
        if variant.name in graphs
    }


def signed(value: float, form: str) -> str:
    """A difference with its sign, none for nothing."""
    text = format(abs(value), form)
    if not float(text):
        return f"±{text}"
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


@dataclass(frozen=True, slots=True)
class RuntimeCell:
    """What is foretold of one file in one runtime.

    Attributes:
        outcome: ``loads``, ``refused`` or ``unknown``.
        demanded: Whether the contract wants the file to load there.
        status: How to sign it: only what is demanded and refused is ``broken``.
    """

    outcome: str
    demanded: bool
    status: str


@dataclass(frozen=True, slots=True)
class RuntimeLine:
    """A variant's row.

    Attributes:
        variant: The variant.
        cells: One a runtime.
        hindrance: What keeps it from the newest runtime that refuses it; empty where none does.
    """

    variant: VariantEntry
    cells: tuple[RuntimeCell, ...]
    hindrance: str


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


def runtimes(material: PageInput) -> Runtimes | None:
    """Foretell for every file that could be read; ``None`` where there is none."""
    known = predictions(material)
    if not known:
        return None
    versions = tuple(str(forecast.version) for forecast in next(iter(known.values())).forecasts)
    lines = []
    for variant in material.entry.variants:
        if variant.name not in known:
            continue
        oldest = oldest_demanded(material.contract, variant.name) if material.contract is not None else ""
        least = Version.parse(oldest) if oldest else None
        cells = [
            _cell(forecast.outcome, demanded=least is not None and forecast.version >= least)
            for forecast in known[variant.name].forecasts
        ]
        hindrance = known[variant.name].hindrance
        told = "; ".join(reason.sentence for reason in hindrance.reasons) if hindrance is not None else ""
        lines.append(RuntimeLine(variant, tuple(cells), told))
    here = _minor(material.record.environment.packages.get("onnxruntime", ""))
    bundles = [(version, ", ".join(bundled_by(version))) for version in versions]
    return Runtimes(versions, here if here in versions else "", tuple(lines), tuple(one for one in bundles if one[1]))


def _cell(outcome: LoadOutcome, *, demanded: bool) -> RuntimeCell:
    status = {LoadOutcome.LOADS: "held", LoadOutcome.UNKNOWN: "unproven"}.get(outcome, "broken" if demanded else "")
    return RuntimeCell(outcome.value, demanded, status)


def _minor(version: str) -> str:
    try:
        return str(Version.parse(version))
    except ValueError:
        return ""
