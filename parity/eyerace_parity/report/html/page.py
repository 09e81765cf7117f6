"""From material to the page: verdict first, then what broke and why, then the pictures, then where it all came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from eyerace_parity.core.numbers import shown_unit
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.record.reproduce import reproduce_commands
from eyerace_parity.report.html.charts import placed, swatch
from eyerace_parity.report.html.costs import cost_pictures
from eyerace_parity.report.html.frame import icon, part, template
from eyerace_parity.report.html.history import history_picture
from eyerace_parity.report.html.material import EDGE, LARGE, Thumbnails, evidence_of
from eyerace_parity.report.html.quality import quality_pictures
from eyerace_parity.report.html.scatter import shown_samples
from eyerace_parity.report.terminal import verdict_line
from eyerace_parity.report.view.contract import FailureGroup, VerdictLine, faults
from eyerace_parity.report.view.samples import FlipCards, ScoreShift, flips_of, moved_of
from eyerace_parity.report.view.targets import TargetGrid
from eyerace_parity.report.view.variants import glance, runtimes
from eyerace_parity.report.view.words import RICH, compared, outcome_sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.record.document import Record, VariantEntry
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.html.charts import Picture
    from eyerace_parity.report.html.material import PageInput
    from eyerace_parity.report.view.contract import Failure
    from eyerace_parity.report.view.variants import Runtimes, VariantSummary


@dataclass(frozen=True, slots=True)
class ContractView:
    """One contract of the page.

    Attributes:
        material: What it is drawn from.
        headline: The verdict in one line.
        sign: Its sign.
        glance: The variants side by side.
        lines: The clause table.
        failing: What is not held, the worst first.
        grids: Targets by clauses.
        runtimes: Variants by versions of ONNX Runtime.
        pictures: The pictures.
        flips: The flips, by pair.
        moved: The samples that moved the most without a flip, the furthest first.
        album: Thumbnails by sample.
        names: Names of the samples that have one.
        again: The commands that do it again.
        files: What was judged: (variant, digest, runtime).
    """

    material: PageInput
    headline: str
    sign: str
    glance: VariantSummary | None
    lines: tuple[VerdictLine, ...]
    failing: tuple[FailureGroup, ...]
    grids: tuple[TargetGrid, ...]
    runtimes: Runtimes | None
    pictures: tuple[Picture, ...]
    flips: tuple[FlipCards, ...]
    moved: tuple[ScoreShift, ...]
    album: dict[int, str]
    names: dict[int, str]
    again: tuple[str, ...]
    files: tuple[tuple[VariantEntry, str, str], ...]


def render(record: Record, materials: Sequence[PageInput], *, jobs: int = 2) -> str:
    """Write the page.

    Args:
        record: The record.
        materials: What each of its contracts is drawn from.
        jobs: Threads that decode photographs.

    Returns:
        One HTML document that asks nothing of any network.
    """
    chapters = [chapter(material, jobs=jobs) for material in materials]
    return template("page").render(
        record=record,
        chapters=chapters,
        svg=_svg,
        data=_data,
        swatch=swatch,
        Status=Status,
        icon=icon(_worst(record)),
        css=part("css"),
        js=part("js"),
    )


def chapter(material: PageInput, *, jobs: int = 2) -> ContractView:
    """Prepare one contract for the page."""
    record, entry = material.record, material.entry
    lines = tuple(_line(row) for row in record.verdicts_of(entry.name))
    flips, moved = tuple(flips_of(material)), tuple(moved_of(material))
    edges = dict.fromkeys((int(i) for i in shown_samples(material)), EDGE)
    edges |= {c.sample: LARGE for f in flips for c in (*f.cards, *f.folded) if c.sample >= 0}
    edges |= {one.sample: LARGE for one in moved}
    thumbnails = Thumbnails(material.photographs, edges, jobs=jobs)
    pictures = tuple(_pictures(material))  # while photographs are decoded
    album, golden = thumbnails.finished(), material.golden
    return ContractView(
        material=material,
        headline=verdict_line(record, entry),
        sign=outcome_sign(entry.outcome),
        glance=glance(material),
        lines=lines,
        failing=tuple(_trouble(entry.file, fault) for fault in faults(record.verdicts_of(entry.name))),
        grids=tuple(_grids(lines)),
        runtimes=runtimes(material),
        pictures=pictures,
        flips=flips,
        moved=moved,
        album=album,
        names={sample: golden.ids[sample] for sample in album} if golden is not None else {},
        again=reproduce_commands(record, entry),
        files=tuple(_files(material)),
    )


def _worst(record: Record) -> str:
    """The outcome that the page's icon shows."""
    outcomes = {entry.outcome for entry in record.contracts}
    return next((o for o in ("broken", "error", "unproven", "unjudged") if o in outcomes), "held")


def _files(material: PageInput) -> Iterator[tuple[VariantEntry, str, str]]:
    """Each variant with the digest of its file, and what ran it."""
    sources = [e.provenance for _, e in evidence_of(material.record, material.entry.name) if not e.baseline]
    for variant in material.entry.variants:
        own = [source for source in sources if source is not None and source.variant == variant.name]
        digest = next((source.artefact for source in own if source.artefact), "")
        runtime = next((source.runtime for source in own if source.runtime and source.target == HOST), "")
        yield variant, digest, runtime


def _trouble(file: str, fault: Failure) -> FailureGroup:
    line = fault.first.line
    groups = tuple((name, tuple(_line(row) for row in rows)) for name, rows in fault.by_variant)
    lines = tuple(line for _, group in groups for line in group)
    return FailureGroup(lines, groups, f"{file}:{line}" if line else file)


def _pictures(material: PageInput) -> Iterator[Picture]:
    yield from quality_pictures(material)
    yield from cost_pictures(material)
    history = history_picture(material, material.accepted)
    if history is not None:
        yield history


def _line(row: VerdictEntry) -> VerdictLine:
    number, limit = compared(row, RICH)
    told = " ".join(filter(None, (limit, shown_unit(row.unit))))
    return VerdictLine(row, RICH.status[row.status], number, told, "" if row.target == HOST else row.target)


def _grids(lines: Sequence[VerdictLine]) -> list[TargetGrid]:
    found = []
    placed = [line for line in lines if line.place]
    for variant in dict.fromkeys(line.row.variant for line in placed):
        own = [line for line in placed if line.row.variant == variant]
        clauses = tuple(dict.fromkeys(line.row.clause for line in own))
        cells = {(line.place, line.row.clause): line for line in own}
        targets = dict.fromkeys(line.place for line in own)
        found.append(
            TargetGrid(variant, clauses, tuple((t, tuple(cells.get((t, c)) for c in clauses)) for t in targets))
        )
    return found


def _svg(drawing: str, place: str) -> Markup:
    """A drawing as it stands in a chapter: Vega has escaped what it holds."""
    return Markup(placed(drawing, place))  # noqa: S704 - as it says


def _data(value: object) -> Markup:
    """Data for the page's script: JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - nothing of it is markup
