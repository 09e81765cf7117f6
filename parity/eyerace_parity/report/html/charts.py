"""How charts are drawn: Vega-Lite by Altair, turned into SVG here, so that the page needs no library of its own.

Colours are few and differ in lightness too, and every kind of mark differs in shape as well. Text takes the colour of
the page around it, so one drawing serves a light screen, a dark one and paper. Every mark has a label for those who
listen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import vl_convert
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.report.view.pictures import PictureData

# After Okabe and Ito, "Color Universal Design", 2008: told apart by all kinds of colour vision. Each stands out from
# white paper by more than 3 to 1; the page's style gives each a lighter one where the paper is dark.
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREEN: Final = "#008c66"
PURPLE: Final = "#aa3377"
GREY: Final = "#808080"
INK: Final = "currentColor"
PALETTE: Final = (BLUE, VERMILION, GREEN, PURPLE, GREY)
SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross")
DASHES: Final = ([1, 0], [5, 3], [2, 2], [8, 3, 2, 3], [1, 3])

WIDTH: Final = 310
"""Width of a chart's plot in pixels: with its axis it fits a phone, so its words keep their size there."""

FONT: Final = "Arial, Roboto, sans-serif"
"""Fonts of one width, so that a text takes the room on the screen that it was given when it was drawn."""

TICKS: Final = 6
"""About how many marks an axis has."""

_LARGEST: Final = 1.3
"""How far a drawing may grow where there is room."""

_SIZE: Final = 11
_PHOTOGRAPH: Final = "https://photograph.invalid/"
_FAINT: Final = "#80808055"
_SIZED: Final = re.compile(r'<svg [^>]*?width="([\d.]+)" height="[\d.]+"')
_MADE_UNIQUE: Final = re.compile(r'(id="|url\(#|href="#)(clip|gradient)')
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_UNIQUE: Final = re.compile(r'(id="|url\(#|href="#)([A-Za-z0-9_-]+-(?:clip|gradient))')


@dataclass(frozen=True, slots=True)
class Key:
    """A line of a picture's legend.

    Attributes:
        label: What is drawn so.
        colour: In this colour.
        shape: With marks of this shape.
    """

    label: str
    colour: str
    shape: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page.

    Attributes:
        name: Its place in the page's address.
        title: What it shows, in a few words.
        caption: How to read it, with the numbers that matter, for those who do not see it too.
        panels: Drawings, side by side where there is room: (heading, SVG).
        key: Its legend, beside the drawings, so that its words keep their size however these shrink.
    """

    name: str
    title: str
    caption: str
    panels: tuple[tuple[str, str], ...]
    key: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Legend:
    """What is drawn side by side in one picture, each with a colour, a shape and a dash of its own.

    Attributes:
        names: In the order of the legend.
        places: Their places among all of the page, so that a variant looks alike in each picture.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]

    @classmethod
    def among(cls, names: Sequence[str], known: Sequence[str]) -> Legend:
        """Pick some of all that the page knows."""
        return cls(tuple(names), tuple(known.index(name) for name in names))

    def colour(self, field: str) -> alt.Color:
        """Encode a field's colour."""
        return alt.Color(f"{field}:N", legend=None, scale=self._scale(PALETTE))

    def shape(self, field: str) -> alt.Shape:
        """Encode a field's shape."""
        return alt.Shape(f"{field}:N", legend=None, scale=self._scale(SHAPES))

    def dash(self, field: str) -> alt.StrokeDash:
        """Encode a field's dashes."""
        return alt.StrokeDash(f"{field}:N", legend=None, scale=self._scale(DASHES))

    def key(self, shape: str = "") -> tuple[Key, ...]:
        """The legend; of marks that have all one shape, that one."""
        return tuple(
            Key(name, PALETTE[place % len(PALETTE)], shape or SHAPES[place % len(SHAPES)])
            for name, place in zip(self.names, self.places, strict=True)
        )

    def _scale(self, kinds: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=list(self.names), range=[kinds[place % len(kinds)] for place in self.places])


def percent(field: str, title: str, **scale: Any) -> dict[str, Any]:
    """The arguments of an axis of shares, written as everywhere else: ``95 %``."""
    axis = alt.Axis(labelExpr="format(datum.value * 100, '~r') + ' %'", tickCount=TICKS)
    return {"shorthand": f"{field}:Q", "title": title, "axis": axis, "scale": alt.Scale(**scale)}


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
    axis = {"labelColor": INK, "titleColor": INK, "gridColor": _FAINT, "domainColor": _FAINT, "tickColor": _FAINT}
    config: dict[str, Any] = {
        "background": "transparent",
        "font": FONT,
        "axis": axis
        | {
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelFontSize": _SIZE,
            "titleFontSize": _SIZE,
            "labelFlush": False,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
            "tickCount": TICKS,
        },
        "text": {"color": INK, "fontSize": _SIZE},
        "title": {"color": INK},
        "view": {"stroke": None},
    }
    # Not validated: the charts are ours, and looking through them takes longer than drawing them.
    spec = chart.to_dict(validate=False) | {"config": config}
    svg: str = vl_convert.vegalite_to_svg(spec)
    svg = svg.replace(_PHOTOGRAPH, "#photograph-").replace("xlink:href", "href")
    # Several drawings stand in one page, and each would call its clips alike.
    plain = _NOT_IN_NAMES.sub("-", name)  # it may hold a column's title, which is the file's to choose
    svg = _MADE_UNIQUE.sub(rf"\g<1>{plain}-\g<2>", svg)
    title = _attribute(label)

    def head(found: re.Match[str]) -> str:
        widest = round(float(found[1]) * _LARGEST)
        role = "graphics-document document"
        return (
            f'<svg role="{role}" aria-label="{title}" xmlns="http://www.w3.org/2000/svg" style="max-width:{widest}px"'
        )

    return _SIZED.sub(head, svg, count=1)


def placed(svg: str, place: str) -> str:
    """Set a drawing apart from one of the same name in another chapter of the page."""
    return _UNIQUE.sub(rf"\g<1>{place}-\g<2>", svg)


_SWATCHES: Final = {
    "circle": '<circle cx="7" cy="7" r="5" fill="{0}"/>',
    "square": '<path d="M2.5 2.5h9v9h-9z" fill="{0}"/>',
    "triangle-up": '<path d="M7 2l5.5 10h-11z" fill="{0}"/>',
    "diamond": '<path d="M7 1l5 6-5 6-5-6z" fill="{0}"/>',
    "cross": '<path d="M5.3 1.5h3.4v3.8h3.8v3.4h-3.8v3.8h-3.4v-3.8h-3.8v-3.4h3.8z" fill="{0}"/>',
    "tick": '<path d="M7 1v12" stroke="{0}" stroke-width="2"/>',
    "line": '<path d="M0 7h14" stroke="{0}" stroke-width="2" stroke-dasharray="5 3"/>',
}


def swatch(key: Key) -> Markup:
    """The mark of a line of a legend."""
    drawn = _SWATCHES[key.shape].format(key.colour)  # both are ours
    return Markup(f'<svg class="swatch" viewBox="0 0 14 14" aria-hidden="true">{drawn}</svg>')  # noqa: S704 - as it says


def rows(values: list[dict[str, Any]]) -> alt.Data:
    """Inline data of a chart, without Altair's limit on their number: the page limits them itself."""
    return alt.Data(values=values)  # type: ignore[no-untyped-call]


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def variant_colour(data: PictureData, variant: str) -> str:
    """A variant's own colour; that of the first for one that the contract does not know."""
    known = data.ranked()
    return Legend.among((variant,), known).key()[0].colour if variant in known else BLUE
