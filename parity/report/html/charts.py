"""How charts are drawn: Vega-Lite by Altair, turned into SVG here, so that the page needs no library of its own.

Colours are few and differ in lightness too, and every kind of mark differs in shape as well. Text takes the colour of
the page around it, so one drawing serves a light screen, a dark one and paper. Every mark has a label for those who
listen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import vl_convert

# Okabe and Ito, "Color Universal Design", 2008: told apart by all kinds of colour vision.
BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
GREY: Final = "#808080"
PALETTE: Final = (BLUE, VERMILION, GREEN, ORANGE, "#cc79a7", "#56b4e9", GREY)

WIDTH: Final = 380
"""Width of a chart's plot in pixels; it shrinks with the screen."""

FONT: Final = "Arial, Roboto, sans-serif"
"""Fonts of one width, so that a text takes the room on the screen that it was given when it was drawn."""

_LARGEST: Final = 1.15
"""How far a drawing may grow where there is room."""

_PHOTOGRAPH: Final = "https://photograph.invalid/"
_INK: Final = "currentColor"
_FAINT: Final = "#80808055"
_SIZED: Final = re.compile(r'<svg [^>]*?width="([\d.]+)" height="[\d.]+"')
_MADE_UNIQUE: Final = re.compile(r'(id="|url\(#|href="#)(clip|gradient)')
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_UNIQUE: Final = re.compile(r'(id="|url\(#|href="#)([A-Za-z0-9_-]+-(?:clip|gradient))')


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page.

    Attributes:
        name: Its place in the page's address.
        title: What it shows, in a few words.
        caption: How to read it, with the numbers that matter, for those who do not see it too.
        panels: Drawings, side by side where there is room: (heading, SVG).
    """

    name: str
    title: str
    caption: str
    panels: tuple[tuple[str, str], ...]


def photograph(sample: int) -> str:
    """The address that makes a mark lead to a photograph."""
    return f"{_PHOTOGRAPH}{sample}"


def draw(chart: alt.TopLevelMixin, name: str, label: str) -> str:
    """Turn a chart into SVG.

    Args:
        chart: The chart.
        name: Name of the drawing, unique within the page.
        label: What it shows, for those who listen.

    Returns:
        One ``<svg>`` element whose marks lead to ``#photograph-N`` where they were given one.
    """
    axis = {"labelColor": _INK, "titleColor": _INK, "gridColor": _FAINT, "domainColor": _FAINT, "tickColor": _FAINT}
    config: dict[str, Any] = {
        "background": "transparent",
        "font": FONT,
        "axis": axis
        | {
            "titleFontWeight": 500,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "labelFlush": False,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
        },
        "legend": {"labelColor": _INK, "titleColor": _INK, "orient": "bottom", "symbolSize": 90, "labelFontSize": 12},
        "text": {"color": _INK, "fontSize": 12},
        "title": {"color": _INK},
        "view": {"stroke": None},
        "range": {"category": list(PALETTE)},
    }
    # Not validated: the charts are ours, and looking through them takes longer than drawing them.
    spec = chart.to_dict(validate=False) | {"config": config}
    svg: str = vl_convert.vegalite_to_svg(spec)
    svg = svg.replace(_PHOTOGRAPH, "#photograph-").replace("xlink:href", "href")
    # Several drawings stand in one page, and each would call its clips alike.
    plain = _UNFIT.sub("-", name)  # it may hold a column's title, which is the file's to choose
    svg = _MADE_UNIQUE.sub(rf"\g<1>{plain}-\g<2>", svg)
    title = _attribute(label)

    def head(found: re.Match[str]) -> str:
        widest = round(float(found[1]) * _LARGEST)
        return f'<svg role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg" style="max-width:{widest}px"'

    return _SIZED.sub(head, svg, count=1)


def placed(svg: str, place: str) -> str:
    """Set a drawing apart from one of the same name in another chapter of the page."""
    return _UNIQUE.sub(rf"\g<1>{place}-\g<2>", svg)


def rows(values: list[dict[str, Any]]) -> alt.Data:
    """Inline data of a chart, without Altair's limit on their number: the page limits them itself."""
    return alt.Data(values=values)  # type: ignore[no-untyped-call]


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
