"""The pictures of a page about quality: each drawn from the material, or left out where there is nothing to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

from eyerace_parity.core.result import HOST
from eyerace_parity.report.html.charts import BLUE, INK, VERMILION, WIDTH, Key, Legend, Picture, draw, percent, rows
from eyerace_parity.report.html.scatter import scores_picture
from eyerace_parity.stats import differences
from eyerace_parity.stats.classification import confusion, decisions, f1_by_class, macro_f1
from eyerace_parity.stats.decisions import Labelled, Rules, decide_floor
from eyerace_parity.stats.measures import class_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Array
    from eyerace_parity.report.html.material import PageInput

_BINS: Final = 5
_MOST_COLUMNS: Final = 6
_CURVE: Final = 21
_ANY: Final = 0.5  # a floor must be named to have its bounds reckoned; no bound depends on it
_NARROW: Final = 210


def quality_pictures(material: PageInput) -> Iterator[Picture]:
    """Every picture about quality that this material gives."""
    makers: tuple[Callable[[PageInput], Picture | None], ...] = (
        scores_picture, noise_picture, classes_picture, mixture_picture, confusion_picture, capture_picture,
    )  # fmt: skip
    for make in makers:
        picture = make(material)
        if picture is not None:
            yield picture


def confusion_picture(material: PageInput) -> Picture | None:
    """What was taken for what, by both, and the difference."""
    pair, labels, classes = material.pair(), material.labels, material.classes
    if pair is None or labels is None or not classes:
        return None
    counts = [_counts(material, name, labels, len(classes)) for name in pair]
    ours, theirs = counts
    if ours is None or theirs is None:
        return None
    apart = ours - theirs
    panels = [
        (name, _matrix(found, classes, f"confusion-{place}", f"Confusion matrix of {name}", signed=False))
        for place, (name, found) in enumerate(((pair[1], theirs), (pair[0], ours)))
    ]
    heading = f"{pair[0]} less {pair[1]}"
    panels.append((heading, _matrix(apart, classes, "confusion-apart", f"Difference: {heading}", signed=True)))
    moved = int(np.abs(apart).sum()) // 2
    caption = f"Rows are labels, columns decisions. {moved} of {len(labels)} samples stand in another cell on balance."
    return Picture("confusion", "What is taken for what", caption, tuple(panels))


def _counts(material: PageInput, name: str, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64] | None:
    scores = material.scores(name)
    return None if scores is None else confusion(labels, decisions(scores), classes)


def _matrix(counts: NDArray[np.int64], classes: tuple[str, ...], name: str, label: str, *, signed: bool) -> str:
    """A matrix of counts; of a difference, colour tells the side and the sign is written."""
    values = [
        {
            "label": classes[row],
            "decision": classes[column],
            "count": int(counts[row, column]),
            "depth": _depth(counts, row, column, signed=signed),
            "side": "less" if counts[row, column] < 0 else "more",
            "shown": _shown(int(counts[row, column]), signed=signed),
            "told": f"{classes[row]} taken for {classes[column]}: {counts[row, column]}",
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
        description="told:N",
    )
    numbers = base.mark_text(aria=False).encode(**place, text="shown:N")
    edge = max(32, min(56, 260 // max(len(classes), 1)))
    return draw((cells + numbers).properties(width=edge * len(classes), height=edge * len(classes)), name, label)


def _depth(counts: NDArray[np.int64], row: int, column: int, *, signed: bool) -> float:
    """Depth of a cell's colour: its share of the row, or of the largest difference, from 0 to 1."""
    whole = float(np.abs(counts).max()) if signed else float(counts[row].sum())
    return round(abs(float(counts[row, column])) / whole, 3) if whole else 0.0


def _shown(count: int, *, signed: bool) -> str:
    """A count; of a difference with its sign. What is not there is a dot, so that what is there stands out."""
    if not count:
        return "·"
    return f"{count:+d}".replace("-", "\N{MINUS SIGN}") if signed else str(count)


def classes_picture(material: PageInput) -> Picture | None:
    """F1 of every class with the bounds that the samples prove, both variants beside each other, and their floors."""
    pair, labels, classes = material.pair(), material.labels, material.classes
    if pair is None or labels is None or not classes or material.golden is None:
        return None
    confidence = _confidence(material)
    # As the clause decides it, so that its floor and the line that is proven speak of the same.
    rules = Rules(confidence, 1 - confidence, plan=False)
    values: list[dict[str, Any]] = []
    for name in reversed(pair):
        scores = material.scores(name)
        if scores is None:
            return None
        floors = _floors(material, name)
        for index, label in enumerate(classes):
            samples = Labelled(labels, scores, clusters=material.golden.clusters)
            found = decide_floor(class_f1(len(classes), index), samples, _ANY, rules)
            if math.isfinite(found.value) and found.bounds is not None:
                low, high, floor = found.bounds.lower, found.bounds.upper, floors.get(label)
                told = f"{label} in {name}: F1 {found.value:.3f}, from {low:.3f} to {high:.3f}"
                told += "" if floor is None else f", at least {floor:g} is demanded"
                value = {"class": label, "variant": name, "f1": found.value, "low": low, "high": high, "told": told}
                values.append(value | {"floor": floor})
    if not values:
        return None
    legend = Legend.among(pair[::-1], material.ranked())
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("class:N", sort=list(classes), title=None),
        yOffset=alt.YOffset("variant:N", sort=[pair[1], pair[0]]),
    )
    axis = alt.X("low:Q", title="F1", scale=alt.Scale(zero=False, padding=8))
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=axis, x2="high:Q", color=legend.colour("variant"), description="told:N"),
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


def _floors(material: PageInput, variant: str) -> dict[str, float]:
    """The F1 that the contract demands of a variant's classes."""
    if material.contract is None or variant not in material.contract.variants:
        return {}
    stated = getattr(material.contract.variants[variant].limits.get("quality"), "f1_per_class", None)
    if isinstance(stated, dict):
        return stated
    return {} if stated is None else dict.fromkeys(material.classes, stated)


def _confidence(material: PageInput) -> float:
    stated = getattr(material.contract, "statistics", None)
    found: float = getattr(stated, "confidence", 0.95)
    return found


def capture_picture(material: PageInput) -> Picture | None:
    """The F1 of both, by what the table of labels says of each image's capture."""
    pair, labels, golden = material.pair(), material.labels, material.golden
    if pair is None or labels is None or golden is None or not material.classes:
        return None
    panels: list[tuple[str, str]] = []
    for column, cells in golden.columns.items():
        numbers = _numbers(cells)
        if numbers is not None and len(panels) < _MOST_COLUMNS:
            panels.append((column, _by_capture(material, pair, labels, column, numbers)))
    if not panels:
        return None
    caption = (
        "Macro-F1 of the images in each fifth, from the least to the greatest value of a column; a point stands at the"
        " middle image of its fifth. A fifth without a class is reckoned without it."
    )
    return Picture("capture", "F1 by capture quality", caption, tuple(panels), _legend(material, pair).key())


def _legend(material: PageInput, pair: tuple[str, str]) -> Legend:
    return Legend.among(pair[::-1], material.ranked())


def _by_capture(
    material: PageInput, pair: tuple[str, str], labels: NDArray[np.int64], column: str, numbers: NDArray[np.float64]
) -> str:
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    values = []
    for name in reversed(pair):
        scores = material.scores(name)
        if scores is None:
            continue
        decided = decisions(scores)
        for part in np.unique(place):
            inside = place == part
            counts = confusion(labels[inside], decided[inside], len(material.classes))
            f1, middle = float(np.nanmean(f1_by_class(counts))), float(np.median(numbers[inside]))
            told = f"{name}: F1 {f1:.3f} where {column} is about {middle:.3g}, {int(inside.sum())} images"
            values.append({"x": middle, "f1": f1, "variant": name, "told": told})
    legend = _legend(material, pair)
    base = alt.Chart(rows(values)).encode(
        x=alt.X("x:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
        y=alt.Y("f1:Q", title="F1", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
        color=legend.colour("variant"),
    )
    lines = base.mark_line(aria=False).encode(strokeDash=legend.dash("variant"))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=legend.shape("variant"), description="told:N"
    )
    chart = (lines + points).properties(width=_NARROW, height=130)
    return draw(chart, f"capture-{column}", f"F1 by {column}")


def _numbers(cells: tuple[str, ...]) -> NDArray[np.float64] | None:
    """A column of numbers that differ enough to be sorted into fifths; ``None`` for texts, codes and constants."""
    try:
        found = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    telling = len(np.unique(found)) > 2 * _BINS and bool(np.isfinite(found).all())
    return found if telling else None


def noise_picture(material: PageInput) -> Picture | None:
    """Signal to quantisation noise of every output, of every variant against its reference, beside what is demanded."""
    values: list[dict[str, Any]] = []
    for variant in material.entry.variants:
        ours, theirs = (material.outputs.get(name or "") for name in (variant.name, variant.reference))
        if ours is None or theirs is None:
            continue
        least = _least_db(material, variant.name)
        for output, array in ours.arrays.items():
            level = _noise(array, theirs.arrays.get(output))
            if level is not None:
                told = f"{output}, {variant.name} against {variant.reference}: {level:.1f} dB"
                told += "" if least is None else f", at least {least:g} demanded"
                values.append(
                    {"output": output, "pair": f"{variant.name} to {variant.reference}", "db": level, "told": told}
                    | {"least": least, "variant": variant.name}
                )
    if not values:
        return None
    legend = Legend.among(tuple(dict.fromkeys(value["variant"] for value in values)), material.ranked())
    several = len({value["output"] for value in values}) > 1
    for value in values:
        value["line"] = f"{value['output']}, {value['pair']}" if several else value["pair"]
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("line:N", title=None, sort=None, axis=alt.Axis(labelLimit=170, labelOverlap=False))
    )
    layers = [
        base.mark_bar(height=14).encode(
            x=alt.X("db:Q", title="SQNR in dB: more is closer"), color=legend.colour("variant"), description="told:N"
        )
    ]
    limited = any(value["least"] is not None for value in values)
    if limited:
        demanded = base.transform_filter("datum.least != null")
        layers.append(demanded.mark_tick(color=INK, thickness=2, size=22, aria=False).encode(x="least:Q"))
    chart = alt.layer(*layers).properties(width=WIDTH - (90 if several else 30), height=alt.Step(28))
    caption = "; ".join(str(value["told"]) for value in values)
    key = (Key("demanded", INK, "tick"),) if limited else ()
    return Picture("noise", "Noise by output", f"{caption}.", (("", draw(chart, "noise", caption)),), key)


def _least_db(material: PageInput, variant: str) -> float | None:
    """The noise ratio that a clause demands of a variant on the host."""
    found = [
        float(row.limit)
        for row in material.record.verdicts_of(material.entry.name)
        if (row.variant, row.check, row.clause, row.target) == (variant, "closeness", "sqnr_db", HOST)
        and isinstance(row.limit, int | float)
    ]
    return found[0] if found else None


def _noise(ours: Array, theirs: Array | None) -> float | None:
    if theirs is None or ours.shape != theirs.shape or not ours.size or ours.dtype.kind not in "fiu":
        return None
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    level = differences.sqnr_db(ours, theirs)
    return round(level, 2) if math.isfinite(level) else None


def mixture_picture(material: PageInput) -> Picture | None:
    """F1 of a user's answers, by how often the phone gives them."""
    stated = material.contract.hybrid if material.contract is not None else None
    labels, classes = material.labels, material.classes
    if stated is None or labels is None or not classes or material.contract is None:
        return None
    names = [stated.of(tier, material.contract.variants) or "" for tier in ("device", "cloud")]
    phone, cloud = (_counts(material, name, labels, len(classes)) for name in names)
    if phone is None or cloud is None:
        return None

    def f1(share: float) -> float:
        return macro_f1(share * phone + (1 - share) * cloud)

    demanded = _demanded_of_mixture(material)
    values = [{"share": share, "f1": f1(share)} for share in np.linspace(0, 1, _CURVE).tolist()]
    values = [value | {"told": f"offline {100 * value['share']:.0f} %: F1 {value['f1']:.4f}"} for value in values]
    here = [{"share": stated.offline_share, "f1": f1(stated.offline_share)}]
    x = alt.X(**percent("share", "share of answers from the phone"))
    y = alt.Y("f1:Q", title="macro-F1", scale=alt.Scale(zero=False, padding=8))
    layers = [
        alt.Chart(rows(values)).mark_line(color=BLUE, aria=False).encode(x=x, y=y),
        alt.Chart(rows(values)).mark_point(filled=True, size=14, color=BLUE, opacity=1).encode(
            x=x, y=y, description="told:N"
        ),
        alt.Chart(rows(here)).mark_point(filled=True, size=110, color=VERMILION, shape="diamond", opacity=1).encode(
            x=x, y=y, description=alt.value("what the contract expects")
        ),
    ]  # fmt: skip
    key = [Key(f"expected: {100 * stated.offline_share:g} % offline", VERMILION, "diamond")]
    caption = (
        f"From {f1(0.0):.4f} when always online to {f1(1.0):.4f} when always offline;"
        f" the contract expects {100 * stated.offline_share:g} % offline, which gives {here[0]['f1']:.4f}."
    )
    if demanded is not None:
        floor = alt.Chart(rows([{"f1": demanded}])).mark_rule(color=INK, strokeDash=[6, 4], aria=False)
        layers.append(floor.encode(y="f1:Q"))
        key.append(Key("demanded", INK, "line"))
        caption += f" At least {demanded:g} is demanded there."
    chart = alt.layer(*layers).properties(width=WIDTH, height=160)
    return Picture("mixture", "The hybrid's F1", caption, (("", draw(chart, "mixture", caption)),), tuple(key))


def _demanded_of_mixture(material: PageInput) -> float | None:
    found = [row.limit for row in material.record.verdicts_of(material.entry.name) if row.clause == "mixture_f1"]
    return float(found[0]) if found and isinstance(found[0], int | float) else None
