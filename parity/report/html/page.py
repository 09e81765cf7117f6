"""From material to the page: verdict first, then what broke and why, then the pictures, then where it all came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from parity.evidence.flips import reckon
from parity.evidence.model import FlipLedger, Provenance
from parity.report.html.album import thumbnails
from parity.report.html.charts import placed
from parity.report.html.costs import cost_pictures
from parity.report.html.frame import part, template
from parity.report.html.history import history_picture
from parity.report.html.pictures import quality_pictures, shown_samples, worst_samples
from parity.report.terminal import verdict_line
from parity.report.words import RICH, comparison, shown_unit
from parity.result import HOST, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parity.evidence.model import Flip
    from parity.report.document import Record, VerdictEntry
    from parity.report.html.charts import Picture
    from parity.report.html.material import Material

MOST_FLIPS: Final = 60
"""Flips shown as photographs a pair; the record's ledger holds them all."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the clause table.

    Attributes:
        row: The verdict.
        sign: Its sign.
        found: Number against limit.
        place: Where it was executed, empty for the host.
    """

    row: VerdictEntry
    sign: str
    found: str
    place: str


@dataclass(frozen=True, slots=True)
class Card:
    """A flip as a photograph with both decisions.

    Attributes:
        flip: The flip.
        sample: Place of the sample in the golden set, or -1.
    """

    flip: Flip
    sample: int


@dataclass(frozen=True, slots=True)
class Flips:
    """The flips of one variant against another.

    Attributes:
        name: The judged variant.
        other: What it is compared to.
        ledger: All that is known of them.
        cards: Those that are shown.
    """

    name: str
    other: str
    ledger: FlipLedger
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Moved:
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


@dataclass(frozen=True, slots=True)
class Grid:
    """Targets by clauses, one sign a cell.

    Attributes:
        variant: The variant that was executed there.
        clauses: Columns.
        lines: Rows: the target, and its verdicts in the order of the columns, ``None`` where there is none.
    """

    variant: str
    clauses: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Line | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One contract of the page.

    Attributes:
        material: What it is drawn from.
        headline: The verdict in one line.
        lines: The clause table.
        failing: Those of its lines that are not held, the worst first.
        grids: Targets by clauses.
        pictures: The pictures.
        flips: The flips, by pair.
        moved: The samples that moved the most without a flip, the furthest first.
        album: Thumbnails by sample.
        names: Names of the samples that have one.
    """

    material: Material
    headline: str
    lines: tuple[Line, ...]
    failing: tuple[Line, ...]
    grids: tuple[Grid, ...]
    pictures: tuple[Picture, ...]
    flips: tuple[Flips, ...]
    moved: tuple[Moved, ...]
    album: dict[int, str]
    names: dict[int, str]


def render(record: Record, materials: Sequence[Material], *, jobs: int = 2) -> str:
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
        record=record, chapters=chapters, svg=_svg, data=_data, Status=Status, css=part("css"), js=part("js")
    )


def chapter(material: Material, *, jobs: int = 2) -> Chapter:
    """Prepare one contract for the page."""
    record, entry = material.record, material.entry
    lines = tuple(_line(row) for row in record.verdicts_of(entry.name))
    order = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)
    flips = tuple(_flips(material))
    moved = tuple(_moved(material))
    samples = {int(i) for i in shown_samples(material)} | {c.sample for f in flips for c in f.cards if c.sample >= 0}
    samples |= {one.sample for one in moved}
    album = thumbnails(material.photographs, sorted(samples), jobs=jobs)
    golden = material.golden
    return Chapter(
        material=material,
        headline=verdict_line(record, entry),
        lines=lines,
        failing=tuple(line for status in order for line in lines if line.row.status is status),
        grids=tuple(_grids(lines)),
        pictures=tuple(_pictures(material)),
        flips=flips,
        moved=moved,
        album=album,
        names={sample: golden.ids[sample] for sample in album} if golden is not None else {},
    )


def _pictures(material: Material) -> Iterator[Picture]:
    yield from quality_pictures(material)
    yield from cost_pictures(material)
    history = history_picture(material, material.accepted)
    if history is not None:
        yield history


def _line(row: VerdictEntry) -> Line:
    found = " ".join(filter(None, (comparison(row, RICH), shown_unit(row.unit))))
    return Line(row, RICH.status[row.status], found, "" if row.target == HOST else row.target)


def _grids(lines: Sequence[Line]) -> list[Grid]:
    found = []
    placed = [line for line in lines if line.place]
    for variant in dict.fromkeys(line.row.variant for line in placed):
        own = [line for line in placed if line.row.variant == variant]
        clauses = tuple(dict.fromkeys(line.row.clause for line in own))
        cells = {(line.place, line.row.clause): line for line in own}
        targets = dict.fromkeys(line.place for line in own)
        found.append(Grid(variant, clauses, tuple((t, tuple(cells.get((t, c)) for c in clauses)) for t in targets)))
    return found


def _flips(material: Material) -> list[Flips]:
    """Every ledger of the record; where no clause asked for one, the ledger of the pair that a reader asks about."""
    ledgers = [
        (entry.variant, "the accepted release" if entry.baseline else entry.versus, ledger)
        for entry, ledger in material.documents(FlipLedger)
    ]
    pair, golden = material.pair(), material.golden
    if pair is not None and golden is not None and material.contract is not None and not ledgers:
        columns = material.photographs.columns if material.photographs is not None else {}
        ours, theirs = (material.outputs[name] for name in pair)
        made = reckon(material.contract, golden, columns, ours, theirs, source=Provenance(variant=pair[0]))
        ledgers.append((*pair, made))
    known = {name: place for place, name in enumerate(golden.ids)} if golden is not None else {}
    rank = {"harmed": 0, "moved": 1, "unlabelled": 1, "mended": 2}
    found = []
    for name, other, ledger in ledgers:
        if not ledger.failure:
            rows = sorted(ledger.rows, key=lambda flip: (rank[flip.kind], -flip.other_margin))[:MOST_FLIPS]
            found.append(Flips(name, other, ledger, tuple(Card(flip, known.get(flip.id, -1)) for flip in rows)))
    return found


def _moved(material: Material) -> Iterator[Moved]:
    pair, golden, classes = material.pair(), material.golden, material.classes
    ours, theirs = (material.probabilities(name) for name in pair) if pair is not None else (None, None)
    if ours is None or theirs is None or golden is None or ours.shape[1] != len(classes):
        return
    for sample in (int(place) for place in worst_samples(material)):
        decision = int(theirs[sample].argmax())
        label = classes[int(golden.labels[sample])] if golden.labels is not None else ""
        numbers = float(ours[sample, decision]), float(theirs[sample, decision])
        yield Moved(sample, golden.ids[sample], label, classes[decision], *numbers)


def _svg(drawing: str, place: str) -> Markup:
    """A drawing as it stands in a chapter: Vega has escaped what it holds."""
    return Markup(placed(drawing, place))  # noqa: S704 - as it says


def _data(value: object) -> Markup:
    """Data for the page's script: JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - nothing of it is markup
