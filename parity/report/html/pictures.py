"""The pictures of a page about quality: each drawn from the material, or left out where there is nothing to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

from parity.report.html.charts import BLUE, GREY, VERMILION, WIDTH, Picture, draw, photograph, rows
from parity.stats import differences
from parity.stats.classification import confusion, decisions, flips, macro_f1
from parity.stats.decisions import Labelled, Rules, decide_floor
from parity.stats.measures import class_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from parity.evidence.model import Array
    from parity.report.html.material import Material

MOST_DOTS: Final = 2000
"""Dots of the scatter: every flip, the samples furthest apart, and a seeded choice of the rest."""

MOST_WORST: Final = 12
"""Samples shown whose probabilities moved the most, their decision apart."""

_MOVED: Final = 0.01
_BINS: Final = 5
_MOST_COLUMNS: Final = 6
_CURVE: Final = 21
_ALIKE: Final = "same decision"
_KINDS: Final = (_ALIKE, "right → wrong", "wrong → right", "another decision")


def quality_pictures(material: Material) -> Iterator[Picture]:
    """Every picture about quality that this material gives."""
    makers: tuple[Callable[[Material], Picture | None], ...] = (
        scores_picture, classes_picture, noise_picture, mixture_picture, confusion_picture, capture_picture,
    )  # fmt: skip
    for make in makers:
        picture = make(material)
        if picture is not None:
            yield picture


def scores_picture(material: Material) -> Picture | None:
    """Candidate's against reference's probability of the class that the reference decided for; a dot an image."""
    pair = material.pair()
    chosen = shown_samples(material)
    if pair is None or not len(chosen):
        return None
    name, reference = pair
    ours, theirs = material.probabilities(name), material.probabilities(reference)
    if ours is None or theirs is None or material.golden is None:
        return None
    kinds, which = _kinds(material, name, reference), theirs.argmax(axis=1)
    values = [
        {
            "x": round(float(theirs[i, which[i]]), 4),
            "y": round(float(ours[i, which[i]]), 4),
            "kind": kinds[i],
            "to": photograph(int(i)),
            "told": f"{material.golden.ids[i]}: {reference} {theirs[i, which[i]]:.3f}, {name} {ours[i, which[i]]:.3f}",
        }
        for i in sorted((int(i) for i in chosen), key=lambda i: kinds[i] != _ALIKE)
    ]
    present = [kind for kind in _KINDS if any(v["kind"] == kind for v in values)]
    colours = dict(zip(_KINDS, (BLUE, VERMILION, "#009e73", "#e69f00"), strict=True))
    shapes = dict(zip(_KINDS, ("circle", "cross", "triangle-up", "square"), strict=True))
    dots = (
        alt.Chart(rows(values))
        .mark_point(filled=True, size=42, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title=f"probability in {reference}", scale=alt.Scale(nice=True, zero=False)),
            y=alt.Y("y:Q", title=f"the same class in {name}", scale=alt.Scale(nice=True, zero=False)),
            color=alt.Color("kind:N", title=None, scale=alt.Scale(domain=present, range=[colours[k] for k in present])),
            shape=alt.Shape("kind:N", title=None, scale=alt.Scale(domain=present, range=[shapes[k] for k in present])),
            href="to:N",
            description="told:N",
        )
    )
    ends = rows([{"x": value, "y": value} for value in _ends(values)])
    line = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4]).encode(x="x:Q", y="y:Q")
    total = len(theirs)
    differ = sum(kind != _ALIKE for kind in kinds)
    part = (
        "" if len(values) == total else f" Shown are {len(values)} of {total}: all flips, the furthest, and a sample."
    )
    caption = (
        f"Each dot is an image: on the line both say the same. {differ} of {total} are decided differently.{part}"
        " Point at a dot, tap it or reach it by keyboard to see its photograph."
    )
    svg = draw(
        (line + dots).properties(width=WIDTH, height=WIDTH),
        "scores",
        f"Scores of {name} against {reference}. {caption}",
    )
    return Picture("scores", f"{reference} against {name}, image by image", caption, (("", svg),))


def shown_samples(material: Material) -> NDArray[np.int64]:
    """The samples whose dots are drawn, and whose photographs the page carries; int64, ascending."""
    pair = material.pair()
    none = np.zeros(0, dtype=np.int64)
    if pair is None:
        return none
    ours, theirs = material.probabilities(pair[0]), material.probabilities(pair[1])
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return none
    total = len(ours)
    if total <= MOST_DOTS:
        return np.arange(total)
    differ = np.flatnonzero(ours.argmax(axis=1) != theirs.argmax(axis=1))[: MOST_DOTS // 2]
    furthest = np.argsort(-np.abs(ours - theirs).max(axis=1), kind="stable")[: MOST_DOTS // 4]
    drawn = np.random.default_rng(0).permutation(total)
    chosen = dict.fromkeys(int(i) for i in np.concatenate([differ, furthest, drawn]))
    return np.sort(np.fromiter(chosen, dtype=np.int64)[:MOST_DOTS])


def worst_samples(material: Material) -> NDArray[np.int64]:
    """The samples whose decision is the same although their probabilities moved the most; int64, the furthest first."""
    pair = material.pair()
    ours, theirs = (material.probabilities(name) for name in pair) if pair is not None else (None, None)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return np.zeros(0, dtype=np.int64)
    apart = np.abs(ours - theirs).max(axis=1)
    order = np.argsort(-apart, kind="stable")
    kept = (ours.argmax(axis=1) == theirs.argmax(axis=1)) & (apart > _MOVED)
    found: NDArray[np.int64] = order[kept[order]][:MOST_WORST].astype(np.int64)
    return found


def _kinds(material: Material, name: str, reference: str) -> list[str]:
    """What became of each sample's decision."""
    ours, theirs = material.scores(name), material.scores(reference)
    if ours is None or theirs is None:
        return []
    mine, its = decisions(ours), decisions(theirs)
    if material.labels is None:
        return [_KINDS[3] if differs else _ALIKE for differs in mine != its]
    found = flips(material.labels, mine, its)
    kinds = [_ALIKE] * len(mine)
    for kind, where in zip(_KINDS[1:], (found.harmed, found.mended, found.moved), strict=True):
        for sample in where:
            kinds[int(sample)] = kind
    return kinds


def _ends(values: list[dict[str, Any]]) -> tuple[float, float]:
    numbers = [value[axis] for value in values for axis in ("x", "y")]
    return min(numbers), max(numbers)


def confusion_picture(material: Material) -> Picture | None:
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


def _counts(material: Material, name: str, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64] | None:
    scores = material.scores(name)
    return None if scores is None else confusion(labels, decisions(scores), classes)


def _matrix(counts: NDArray[np.int64], classes: tuple[str, ...], name: str, label: str, *, signed: bool) -> str:
    """A matrix of counts; of a difference, colour tells the side and the sign is written."""
    values = [
        {
            "label": classes[row],
            "decision": classes[column],
            "count": int(counts[row, column]),
            "weight": _weight(counts, row, column, signed=signed),
            "shown": f"{counts[row, column]:+d}" if signed and counts[row, column] else str(counts[row, column]),
            "told": f"{classes[row]} taken for {classes[column]}: {counts[row, column]}",
        }
        for row in range(len(classes))
        for column in range(len(classes))
    ]
    place = {
        "x": alt.X("decision:N", sort=list(classes), title="decision", axis=alt.Axis(labelAngle=-40)),
        "y": alt.Y("label:N", sort=list(classes), title="label"),
    }
    colours = [BLUE, "#80808018", VERMILION] if signed else ["#80808018", BLUE]
    scale = alt.Scale(domain=[-1, 0, 1] if signed else [0, 1], range=colours)
    base = alt.Chart(rows(values))
    cells = base.mark_rect(stroke="#80808055").encode(
        **place, color=alt.Color("weight:Q", legend=None, scale=scale), description="told:N"
    )
    strong = alt.condition("abs(datum.weight) > 0.55", alt.value("#ffffff"), alt.value("currentColor"))
    numbers = base.mark_text(aria=False).encode(**place, text="shown:N", color=strong)
    edge = max(32, min(56, 260 // max(len(classes), 1)))
    return draw((cells + numbers).properties(width=edge * len(classes), height=edge * len(classes)), name, label)


def _weight(counts: NDArray[np.int64], row: int, column: int, *, signed: bool) -> float:
    """Depth of a cell's colour: its share of the row, or of the largest difference, from -1 to 1."""
    whole = float(np.abs(counts).max()) if signed else float(counts[row].sum())
    return round(float(counts[row, column]) / whole, 3) if whole else 0.0


def classes_picture(material: Material) -> Picture | None:
    """F1 of every class with the bounds that the samples prove, both variants beside each other."""
    pair, labels, classes = material.pair(), material.labels, material.classes
    if pair is None or labels is None or not classes or material.golden is None:
        return None
    confidence = _confidence(material)
    values = []
    for name in reversed(pair):
        scores = material.scores(name)
        if scores is None:
            return None
        for index, label in enumerate(classes):
            samples = Labelled(labels, scores, clusters=material.golden.clusters)
            found = decide_floor(class_f1(len(classes), index), samples, 0.5, Rules(confidence, 1 - confidence, 2000))
            if math.isfinite(found.value) and found.bounds is not None:
                low, high = found.bounds.lower, found.bounds.upper
                told = f"{label} in {name}: F1 {found.value:.3f}, from {low:.3f} to {high:.3f}"
                value = {"class": label, "variant": name, "f1": found.value, "low": low, "high": high, "told": told}
                values.append(value)
    if not values:
        return None
    base = alt.Chart(rows(values))
    where = {
        "y": alt.Y("class:N", sort=list(classes), title=None),
        "yOffset": alt.YOffset("variant:N", sort=[pair[1], pair[0]]),
        "color": alt.Color("variant:N", title=None, sort=[pair[1], pair[0]]),
    }
    bars = base.mark_rule(strokeWidth=2).encode(
        **where, x=alt.X("low:Q", title="F1", scale=alt.Scale(zero=False)), x2="high:Q", description="told:N"
    )
    dots = base.mark_point(filled=True, size=70, aria=False).encode(
        **where, x="f1:Q", shape=alt.Shape("variant:N", legend=None)
    )
    caption = (
        f"The point is the F1 on this set; the line is where it may truly lie, each end alone proven to"
        f" {confidence:.0%}."
    )
    chart = (bars + dots).properties(width=WIDTH, height=46 * len(classes))
    return Picture("classes", "F1 by class", caption, (("", draw(chart, "classes", f"F1 by class. {caption}")),))


def _confidence(material: Material) -> float:
    stated = getattr(material.contract, "statistics", None)
    found: float = getattr(stated, "confidence", 0.95)
    return found


def capture_picture(material: Material) -> Picture | None:
    """How right both are, by what the table of labels says of each image's capture."""
    pair, labels, golden = material.pair(), material.labels, material.photographs
    if pair is None or labels is None or golden is None:
        return None
    panels: list[tuple[str, str]] = []
    for column, cells in golden.columns.items():
        numbers = _numbers(cells)
        if numbers is not None and len(panels) < _MOST_COLUMNS:
            panels.append((column, _by_capture(material, pair, labels, column, numbers)))
    if not panels:
        return None
    caption = "Share of right decisions, by fifths of the images from the least to the greatest value of each column."
    return Picture("capture", "By capture quality", caption, tuple(panels))


def _by_capture(
    material: Material, pair: tuple[str, str], labels: NDArray[np.int64], column: str, numbers: NDArray[np.float64]
) -> str:
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    values = []
    for name in reversed(pair):
        scores = material.scores(name)
        right = decisions(scores) == labels if scores is not None else np.zeros(len(labels), bool)
        for part in np.unique(place):
            inside = place == part
            share, middle = float(right[inside].mean()), float(np.median(numbers[inside]))
            told = f"{name}: {share:.1%} right where {column} is about {middle:.3g}, {int(inside.sum())} images"
            values.append({"x": middle, "right": share, "variant": name, "told": told})
    chart = (
        alt.Chart(rows(values))
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=60))
        .encode(
            x=alt.X("x:Q", title=column, scale=alt.Scale(zero=False)),
            y=alt.Y("right:Q", title="right", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False)),
            color=alt.Color("variant:N", title=None, sort=[pair[1], pair[0]]),
            strokeDash=alt.StrokeDash("variant:N", legend=None, sort=[pair[1], pair[0]]),
            description="told:N",
        )
        .properties(width=WIDTH // 2, height=130)
    )
    return draw(chart, f"capture-{column}", f"Share of right decisions by {column}")


def _numbers(cells: tuple[str, ...]) -> NDArray[np.float64] | None:
    """A column of numbers that differ enough to be sorted into fifths; ``None`` for texts, codes and constants."""
    try:
        found = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    telling = len(np.unique(found)) > 2 * _BINS and bool(np.isfinite(found).all())
    return found if telling else None


def noise_picture(material: Material) -> Picture | None:
    """Signal to quantisation noise of every output, of every variant against its reference."""
    values: list[dict[str, Any]] = []
    for variant in material.entry.variants:
        ours, theirs = (material.outputs.get(name or "") for name in (variant.name, variant.reference))
        if ours is None or theirs is None:
            continue
        for output, array in ours.arrays.items():
            level = _noise(array, theirs.arrays.get(output))
            if level is not None:
                told = f"{output}, {variant.name} against {variant.reference}: {level:.1f} dB"
                values.append(
                    {"output": output, "pair": f"{variant.name} : {variant.reference}", "db": level, "told": told}
                )
    if not values:
        return None
    chart = (
        alt.Chart(rows(values))
        .mark_bar(height=14, color=BLUE)
        .encode(
            x=alt.X("db:Q", title="SQNR in dB (more is closer)"),
            y=alt.Y("pair:N", title=None, axis=alt.Axis(labelLimit=160)),
            row=alt.Row("output:N", title=None, header=alt.Header(labelColor="currentColor")),
            description="told:N",
        )
        .properties(width=WIDTH, height=alt.Step(28))
    )
    caption = "; ".join(str(value["told"]) for value in values)
    return Picture("noise", "Noise by output", caption, (("", draw(chart, "noise", caption)),))


def _noise(ours: Array, theirs: Array | None) -> float | None:
    if theirs is None or ours.shape != theirs.shape or not ours.size or ours.dtype.kind not in "fiu":
        return None
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    level = differences.sqnr_db(ours, theirs)
    return round(level, 2) if math.isfinite(level) else None


def mixture_picture(material: Material) -> Picture | None:
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

    values = [{"share": share, "f1": f1(share)} for share in np.linspace(0, 1, _CURVE).tolist()]
    values = [value | {"told": f"offline {value['share']:.0%}: F1 {value['f1']:.4f}"} for value in values]
    here = [{"share": stated.offline_share, "f1": f1(stated.offline_share)}]
    axes = {
        "x": alt.X("share:Q", title="share of answers from the phone", axis=alt.Axis(format="%")),
        "y": alt.Y("f1:Q", title="macro-F1", scale=alt.Scale(zero=False)),
    }
    curve = alt.Chart(rows(values)).mark_line(color=BLUE).encode(**axes, description="told:N")
    spot = alt.Chart(rows(here)).mark_point(filled=True, size=110, color=VERMILION, shape="diamond").encode(**axes)
    caption = (
        f"From {f1(0.0):.4f} when always online to {f1(1.0):.4f} when always offline;"
        f" the contract expects {stated.offline_share:.0%} offline, which gives {here[0]['f1']:.4f}."
    )
    chart = (curve + spot).properties(width=WIDTH, height=170)
    return Picture("mixture", "The hybrid's F1", caption, (("", draw(chart, "mixture", caption)),))
