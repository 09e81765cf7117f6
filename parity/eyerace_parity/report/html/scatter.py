"""The picture of a page in which each image is a dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from eyerace_parity.report.html.charts import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILION,
    WIDTH,
    Key,
    Picture,
    draw,
    photograph,
    rows,
)
from eyerace_parity.report.view.samples import shown_samples

if TYPE_CHECKING:
    from eyerace_parity.evidence.quality import DecidedSample
    from eyerace_parity.report.view.pictures import PictureData

_KINDS: Final = {
    "same": Key("same decision", BLUE, "circle"),
    "harmed": Key("right → wrong", VERMILION, "cross"),
    "mended": Key("wrong → right", GREEN, "triangle-up"),
    "moved": Key("wrong both times", PURPLE, "square"),
    "unlabelled": Key("another decision", VERMILION, "square"),
}


def scores_picture(data: PictureData) -> Picture | None:
    """Candidate's against reference's probability of the class that the reference decided for; a dot an image."""
    pair, shown = data.pair(), shown_samples(data)
    if pair is None or shown is None or not shown.rows:
        return None
    name, reference = pair
    # Flips last: they lie on top, and a keyboard meets them first.
    values = [
        {
            "x": round(row.other_p, 4),
            "y": round(row.p_of_other, 4),
            "kind": _KINDS[row.kind].label,
            "to": photograph(row.index),
            "text": _describe(row, name, reference),
        }
        for row in sorted(shown.rows, key=lambda row: row.kind != "same")
    ]
    key = tuple(kind for kind in _KINDS.values() if any(v["kind"] == kind.label for v in values))
    present = [kind.label for kind in key]
    dots = (
        alt.Chart(rows(values))
        .mark_point(filled=True, size=36, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title=f"probability in {reference}", scale=alt.Scale(nice=True, zero=False)),
            y=alt.Y("y:Q", title=f"the same class in {name}", scale=alt.Scale(nice=True, zero=False)),
            color=alt.Color("kind:N", legend=None, scale=alt.Scale(domain=present, range=[k.colour for k in key])),
            shape=alt.Shape("kind:N", legend=None, scale=alt.Scale(domain=present, range=[k.shape for k in key])),
            href="to:N",
            description="text:N",
        )
    )
    ends = rows([{"x": value, "y": value} for value in _ends(values)])
    line = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4], aria=False).encode(x="x:Q", y="y:Q")
    total = shown.total
    part = (
        "" if len(values) == total else f" Shown are {len(values)} of {total}: all flips, the furthest, and a sample."
    )
    caption = (
        f"Each dot is an image: on the line both say the same. {shown.differ} of {total} are decided differently.{part}"
        " Point at a dot, tap it or reach it by keyboard (arrows lead from one to the next) to see its photograph."
    )
    svg = draw(
        (line + dots).properties(width=WIDTH, height=WIDTH),
        "scores",
        f"Scores of {name} against {reference}. {caption}",
    )
    return Picture("scores", f"{reference} against {name}, image by image", caption, (("", svg),), key)


def _describe(row: DecidedSample, name: str, reference: str) -> str:
    """What a dot says: the image, its label, what each decides and how surely."""
    words = [f"{row.id} is {row.label}" if row.label else row.id]
    words += [f"{reference}: {row.other} {row.other_p:.2f}", f"{name}: {row.decision} {row.p:.2f}"]
    return "; ".join([*words, *([_KINDS[row.kind].label] if row.kind != "same" else [])])


def _ends(values: list[dict[str, Any]]) -> tuple[float, float]:
    numbers = [value[axis] for value in values for axis in ("x", "y")]
    return min(numbers), max(numbers)
