"""The pictures of a page about quality: each drawn from the data, or left out where there is nothing to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from eyerace_parity.evidence.quality import Mixture, OutputNoise, Quality, Slices
from eyerace_parity.report.html.charts import BLUE, INK, VERMILION, WIDTH, Key, Legend, Picture, draw, percent, rows
from eyerace_parity.report.html.scatter import scores_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.report.view.pictures import PictureData

    Counts = tuple[tuple[int, ...], ...]

_NARROW: Final = 210


def quality_pictures(data: PictureData) -> Iterator[Picture]:
    """Every picture about quality that this material gives."""
    makers: tuple[Callable[[PictureData], Picture | None], ...] = (
        scores_picture, noise_picture, classes_picture, mixture_picture, confusion_picture, capture_picture,
    )  # fmt: skip
    for make in makers:
        picture = make(data)
        if picture is not None:
            yield picture


def confusion_picture(data: PictureData) -> Picture | None:
    """Confusion matrices of both variants, and their difference."""
    pair, known = data.pair(), data.by_variant(Quality)
    if pair is None or pair[0] not in known or pair[1] not in known:
        return None
    ours, theirs = (known[name].confusion for name in pair)
    classes = tuple(one.name for one in known[pair[0]].by_class)
    apart = tuple(
        tuple(mine - its for mine, its in zip(*cells, strict=True)) for cells in zip(ours, theirs, strict=True)
    )
    panels = [
        (name, _matrix(found, classes, f"confusion-{place}", f"Confusion matrix of {name}", signed=False))
        for place, (name, found) in enumerate(((pair[1], theirs), (pair[0], ours)))
    ]
    heading = f"{pair[0]} less {pair[1]}"
    panels.append((heading, _matrix(apart, classes, "confusion-apart", f"Difference: {heading}", signed=True)))
    moved = sum(abs(count) for row in apart for count in row) // 2
    caption = (
        f"Rows are labels, columns decisions. {moved} of {known[pair[0]].samples} samples stand in another cell on"
        " balance."
    )
    return Picture("confusion", "Confusion matrix", caption, tuple(panels))


def _matrix(counts: Counts, classes: tuple[str, ...], name: str, label: str, *, signed: bool) -> str:
    """A matrix of counts; of a difference, colour tells the side and the sign is written."""
    values = [
        {
            "label": classes[row],
            "decision": classes[column],
            "count": counts[row][column],
            "depth": _depth(counts, row, column, signed=signed),
            "side": "less" if counts[row][column] < 0 else "more",
            "shown": _shown(counts[row][column], signed=signed),
            "text": f"{classes[row]} taken for {classes[column]}: {counts[row][column]}",
        }
        for row in range(len(classes))
        for column in range(len(classes))
    ]
    more, less = (VERMILION, BLUE) if signed else (BLUE, BLUE)
    place = {
        "x": alt.X("decision:N", sort=list(classes), title="decision", axis=alt.Axis(labelAngle=-40)),
        "y": alt.Y("label:N", sort=list(classes), title="label"),
    }
    base = alt.Chart(rows(values))
    # Depth is opacity, and never so deep that words in the colour of the page's text could not be read on it.
    cells = base.mark_rect(stroke="#80808055").encode(
        **place,
        color=alt.Color("side:N", legend=None, scale=alt.Scale(domain=["more", "less"], range=[more, less])),
        fillOpacity=alt.FillOpacity("depth:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.03, 0.6])),
        description="text:N",
    )
    numbers = base.mark_text(aria=False).encode(**place, text="shown:N")
    edge = max(32, min(56, 260 // max(len(classes), 1)))
    return draw((cells + numbers).properties(width=edge * len(classes), height=edge * len(classes)), name, label)


def _depth(counts: Counts, row: int, column: int, *, signed: bool) -> float:
    """Depth of a cell's colour: its share of the row, or of the largest difference, from 0 to 1."""
    whole = max(abs(count) for one in counts for count in one) if signed else sum(counts[row])
    return round(abs(counts[row][column]) / whole, 3) if whole else 0.0


def _shown(count: int, *, signed: bool) -> str:
    """A count; of a difference with its sign. What is not there is a dot, so that what is there stands out."""
    if not count:
        return "·"
    return f"{count:+d}".replace("-", "\N{MINUS SIGN}") if signed else str(count)


def classes_picture(data: PictureData) -> Picture | None:
    """F1 of every class with the bounds that the samples prove, both variants beside each other, and their floors."""
    pair, known = data.pair(), data.by_variant(Quality)
    if pair is None or pair[0] not in known or pair[1] not in known:
        return None
    classes = [one.name for one in known[pair[0]].by_class]
    confidence = known[pair[0]].confidence
    values: list[dict[str, Any]] = []
    for name in reversed(pair):
        for one in known[name].by_class:
            if one.value is not None:
                bounds = "" if one.low is None else f", from {one.low:.3f} to {one.high:.3f}"
                text = f"{one.name} in {name}: F1 {one.value:.3f}{bounds}"
                text += "" if one.demanded is None else f", at least {one.demanded:g} is demanded"
                low, high = (one.value, one.value) if one.low is None else (one.low, one.high)
                value = {"class": one.name, "variant": name, "f1": one.value, "low": low, "high": high}
                values.append(value | {"floor": one.demanded, "text": text})
    if not values:
        return None
    legend = Legend.among(pair[::-1], data.ranked())
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("class:N", sort=list(classes), title=None),
        yOffset=alt.YOffset("variant:N", sort=[pair[1], pair[0]]),
    )
    axis = alt.X("low:Q", title="F1", scale=alt.Scale(zero=False, padding=8))
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=axis, x2="high:Q", color=legend.colour("variant"), description="text:N"),
        base.mark_point(filled=True, size=70, opacity=1, aria=False).encode(
            x="f1:Q", color=legend.colour("variant"), shape=legend.shape("variant")
        ),
    ]
    limited = any(value["floor"] is not None for value in values)
    if limited:
        floors_ = base.transform_filter("datum.floor != null")
        layers.append(floors_.mark_tick(color=INK, thickness=2, size=16, aria=False).encode(x="floor:Q"))
    caption = (
        f"The point is the F1 on this set; the line is where it may truly lie, each end alone proven to"
        f" {100 * confidence:g} %."
    )
    chart = alt.layer(*layers).properties(width=WIDTH, height=42 * len(classes))
    key = (*legend.key(), *([Key("demanded", INK, "tick")] if limited else []))
    return Picture("classes", "F1 by class", caption, (("", draw(chart, "classes", f"F1 by class. {caption}")),), key)


def capture_picture(data: PictureData) -> Picture | None:
    """The F1 of both, by what the table of labels says of each image's capture, with the bounds that are proven."""
    pair, known = data.pair(), data.by_variant(Slices)
    if pair is None or pair[0] not in known or pair[1] not in known or not known[pair[0]].slices:
        return None
    columns = dict.fromkeys(one.column for one in known[pair[0]].slices)
    panels = [(column, _by_capture(data, pair, known, column)) for column in columns]
    caption = (
        "Macro-F1 of the images in each fifth, from the least to the greatest value of a column; a point stands at the"
        " middle image of its fifth, its line is where the F1 may truly lie, each end alone proven to"
        f" {100 * known[pair[0]].confidence:g} %. The F1 of a fifth without a class leaves that class out."
    )
    return Picture("capture", "F1 by capture quality", caption, tuple(panels), _legend(data, pair).key())


def _legend(data: PictureData, pair: tuple[str, str]) -> Legend:
    return Legend.among(pair[::-1], data.ranked())


def _by_capture(data: PictureData, pair: tuple[str, str], known: Mapping[str, Slices], column: str) -> str:
    values = []
    for name in reversed(pair):
        for one in known[name].slices:
            if one.column != column:
                continue
            text = f"{name}: F1 {one.f1:.3f} where {column} is about {one.middle:.3g}, {one.samples} images"
            text += "" if one.low is None else f", proven {one.low:.3f} to {one.high:.3f}"
            value = {"x": one.middle, "f1": one.f1, "low": one.low, "high": one.high}
            values.append(value | {"variant": name, "text": text})
    legend = _legend(data, pair)
    base = alt.Chart(rows(values)).encode(
        x=alt.X("x:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
        y=alt.Y("f1:Q", title="F1", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
        color=legend.colour("variant"),
    )
    bounded = base.transform_filter("datum.low != null")
    bounds = bounded.mark_rule(opacity=0.35, strokeWidth=2, aria=False).encode(y="low:Q", y2="high:Q")
    lines = base.mark_line(aria=False).encode(strokeDash=legend.dash("variant"))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=legend.shape("variant"), description="text:N"
    )
    chart = (bounds + lines + points).properties(width=_NARROW, height=130)
    return draw(chart, f"capture-{column}", f"F1 by {column}")


def noise_picture(data: PictureData) -> Picture | None:
    """Signal to quantisation noise of every output, of every variant against its reference, beside what is demanded."""
    values: list[dict[str, Any]] = []
    known = data.by_pair(OutputNoise)
    for variant in data.entry.variants:
        found = known.get((variant.name, variant.reference or ""))
        least = data.limits(variant.name, "sqnr_db").get("sqnr_db")
        for one in found.levels if found is not None else ():
            output, level = one.output, round(one.sqnr_db, 2)
            if math.isfinite(level):
                text = f"{output}, {variant.name} against {variant.reference}: {level:.1f} dB"
                text += "" if least is None else f", at least {least:g} demanded"
                values.append(
                    {"output": output, "pair": f"{variant.name} to {variant.reference}", "db": level, "text": text}
                    | {"least": least, "variant": variant.name}
                )
    if not values:
        return None
    legend = Legend.among(tuple(dict.fromkeys(value["variant"] for value in values)), data.ranked())
    several = len({value["output"] for value in values}) > 1
    for value in values:
        value["line"] = f"{value['output']}, {value['pair']}" if several else value["pair"]
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("line:N", title=None, sort=None, axis=alt.Axis(labelLimit=170, labelOverlap=False))
    )
    layers = [
        base.mark_bar(height=14).encode(
            x=alt.X("db:Q", title="SQNR in dB: more is closer"), color=legend.colour("variant"), description="text:N"
        )
    ]
    limited = any(value["least"] is not None for value in values)
    if limited:
        demanded = base.transform_filter("datum.least != null")
        layers.append(demanded.mark_tick(color=INK, thickness=2, size=22, aria=False).encode(x="least:Q"))
    chart = alt.layer(*layers).properties(width=WIDTH - (90 if several else 30), height=alt.Step(28))
    caption = "; ".join(str(value["text"]) for value in values)
    key = (Key("demanded", INK, "tick"),) if limited else ()
    return Picture("noise", "Noise by output", f"{caption}.", (("", draw(chart, "noise", caption)),), key)


def mixture_picture(data: PictureData) -> Picture | None:
    """F1 of a user's answers, by how often the phone gives them."""
    found = next((fact for _, fact in data.documents(Mixture)), None)
    if found is None:
        return None
    demanded, expected = _demanded_of_mixture(data), found.expected
    values = [
        {"share": one.share, "f1": one.f1, "text": f"offline {100 * one.share:.0f} %: F1 {one.f1:.4f}"}
        for one in found.curve
    ]
    here = [{"share": expected.share, "f1": expected.f1}]
    x = alt.X(**percent("share", "share of answers from the phone"))
    y = alt.Y("f1:Q", title="macro-F1", scale=alt.Scale(zero=False, padding=8))
    layers = [
        alt.Chart(rows(values)).mark_line(color=BLUE, aria=False).encode(x=x, y=y),
        alt.Chart(rows(values)).mark_point(filled=True, size=14, color=BLUE, opacity=1).encode(
            x=x, y=y, description="text:N"
        ),
        alt.Chart(rows(here)).mark_point(filled=True, size=110, color=VERMILION, shape="diamond", opacity=1).encode(
            x=x, y=y, description=alt.value("what the contract expects")
        ),
    ]  # fmt: skip
    key = [Key(f"expected: {100 * expected.share:g} % offline", VERMILION, "diamond")]
    caption = (
        f"From {found.curve[0].f1:.4f} when always online to {found.curve[-1].f1:.4f} when always offline;"
        f" the contract expects {100 * expected.share:g} % offline, which gives {expected.f1:.4f}."
    )
    if demanded is not None:
        floor = alt.Chart(rows([{"f1": demanded}])).mark_rule(color=INK, strokeDash=[6, 4], aria=False)
        layers.append(floor.encode(y="f1:Q"))
        key.append(Key("demanded", INK, "line"))
        caption += f" At least {demanded:g} is demanded there."
    chart = alt.layer(*layers).properties(width=WIDTH, height=160)
    return Picture("mixture", "The hybrid's F1", caption, (("", draw(chart, "mixture", caption)),), tuple(key))


def _demanded_of_mixture(data: PictureData) -> float | None:
    found = [row.limit for row in data.verdicts if row.clause == "mixture_f1"]
    return float(found[0]) if found and isinstance(found[0], int | float) else None
