"""From the view of a run to its page: verdict first, then what broke and why, then the pictures, then where from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from eyerace_parity.core.result import Status
from eyerace_parity.report.html.charts import placed, swatch
from eyerace_parity.report.html.costs import cost_pictures
from eyerace_parity.report.html.frame import icon, part, template
from eyerace_parity.report.html.history import history_picture
from eyerace_parity.report.html.material import EDGE, LARGE, Thumbnails
from eyerace_parity.report.html.quality import quality_pictures
from eyerace_parity.report.view.parts import added_pictures
from eyerace_parity.report.view.samples import shown_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.report.html.charts import Picture
    from eyerace_parity.report.html.material import Photographs
    from eyerace_parity.report.view.contract import ContractView
    from eyerace_parity.report.view.pictures import PictureData
    from eyerace_parity.report.view.run import RunView


@dataclass(frozen=True, slots=True)
class Chapter:
    """One contract of the page, with what only a page shows of it.

    Attributes:
        view: The contract.
        pictures: The pictures.
        album: Thumbnails by sample.
        names: Names of the samples that have one.
    """

    view: ContractView
    pictures: tuple[Picture, ...]
    album: dict[int, str]
    names: dict[int, str]


def render(run: RunView, photographs: Sequence[Photographs] = (), *, jobs: int = 2) -> str:
    """Write the page.

    Args:
        run: The run.
        photographs: For each of its contracts, in order, where the photograph of a sample lies; none by default.
        jobs: Threads that decode photographs.

    Returns:
        One HTML document that asks nothing of any network.
    """
    sets = photographs or [_no_photograph] * len(run.contracts)
    chapters = [_chapter(view, found, jobs=jobs) for view, found in zip(run.contracts, sets, strict=True)]
    return template("page").render(
        run=run,
        chapters=chapters,
        svg=_svg,
        data=_data,
        swatch=swatch,
        Status=Status,
        icon=icon(run.outcome),
        css=part("css"),
        js=part("js"),
    )


def _chapter(view: ContractView, photographs: Photographs, *, jobs: int) -> Chapter:
    """Draw one contract for the page."""
    shown = shown_samples(view.pictures)
    names = {row.index: row.id for row in (shown.rows if shown is not None else ())}
    edges = dict.fromkeys(names, EDGE)
    cards = [card for flips in view.flips for card in (*flips.cards, *flips.folded) if card.sample >= 0]
    names |= {card.sample: card.flip.id for card in cards} | {one.index: one.id for one in view.moved}
    edges |= {card.sample: LARGE for card in cards} | {one.index: LARGE for one in view.moved}
    thumbnails = Thumbnails(photographs, edges, jobs=jobs)
    pictures = tuple(_pictures(view.pictures))  # while photographs are decoded
    album = thumbnails.finished()
    return Chapter(view, pictures, album, {sample: names[sample] for sample in album})


def _no_photograph(_sample: int) -> None:
    """No photograph is at hand."""


def _pictures(data: PictureData) -> Iterator[Picture]:
    yield from quality_pictures(data)
    yield from cost_pictures(data)
    yield from added_pictures(data)
    history = history_picture(data)
    if history is not None:
        yield history


def _svg(drawing: str, place: str) -> Markup:
    """A drawing as it stands in a chapter: Vega has escaped what it holds."""
    return Markup(placed(drawing, place))  # noqa: S704 - as it says


def _data(value: object) -> Markup:
    """Data for the page's script: JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - nothing of it is markup
