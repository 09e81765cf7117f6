"""The picture of a page in which each image is a dot, and the choice of images that the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

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
from eyerace_parity.stats.classification import decisions, flips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.report.html.material import PageInput

MOST_DOTS: Final = 2000
"""Dots of the scatter: every flip, the samples furthest apart, and a seeded choice of the rest."""

MOST_WORST: Final = 12
"""Samples shown whose probabilities moved the most, their decision apart."""

_MOVED: Final = 0.01
_ALIKE: Final = "same decision"
_KINDS: Final = {
    _ALIKE: Key(_ALIKE, BLUE, "circle"),
    "right → wrong": Key("right → wrong", VERMILION, "cross"),
    "wrong → right": Key("wrong → right", GREEN, "triangle-up"),
    "wrong both times": Key("wrong both times", PURPLE, "square"),
    "another decision": Key("another decision", VERMILION, "square"),
}


def scores_picture(material: PageInput) -> Picture | None:
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
    # Flips last: they lie on top, and a keyboard meets them first.
    values = [
        {
            "x": round(float(theirs[i, which[i]]), 4),
            "y": round(float(ours[i, which[i]]), 4),
            "kind": kinds[i],
            "to": photograph(int(i)),
            "told": _told(material, i, kinds[i], (reference, theirs[i]), (name, ours[i])),
        }
        for i in sorted((int(i) for i in chosen), key=lambda i: kinds[i] != _ALIKE)
    ]
    key = tuple(kind for word, kind in _KINDS.items() if any(v["kind"] == word for v in values))
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
            description="told:N",
        )
    )
    ends = rows([{"x": value, "y": value} for value in _ends(values)])
    line = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4], aria=False).encode(x="x:Q", y="y:Q")
    total = len(theirs)
    differ = sum(kind != _ALIKE for kind in kinds)
    part = (
        "" if len(values) == total else f" Shown are {len(values)} of {total}: all flips, the furthest, and a sample."
    )
    caption = (
        f"Each dot is an image: on the line both say the same. {differ} of {total} are decided differently.{part}"
        " Point at a dot, tap it or reach it by keyboard (arrows lead from one to the next) to see its photograph."
    )
    svg = draw(
        (line + dots).properties(width=WIDTH, height=WIDTH),
        "scores",
        f"Scores of {name} against {reference}. {caption}",
    )
    return Picture("scores", f"{reference} against {name}, image by image", caption, (("", svg),), key)


def shown_samples(material: PageInput) -> NDArray[np.int64]:
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


def worst_samples(material: PageInput) -> NDArray[np.int64]:
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


def _kinds(material: PageInput, name: str, reference: str) -> list[str]:
    """What became of each sample's decision."""
    ours, theirs = material.scores(name), material.scores(reference)
    if ours is None or theirs is None:
        return []
    mine, its = decisions(ours), decisions(theirs)
    _, harmed, mended, moved, unlabelled = _KINDS
    if material.labels is None:
        return [unlabelled if differs else _ALIKE for differs in mine != its]
    found = flips(material.labels, mine, its)
    kinds = [_ALIKE] * len(mine)
    for kind, where in ((harmed, found.harmed), (mended, found.mended), (moved, found.moved)):
        for sample in where:
            kinds[int(sample)] = kind
    return kinds


def _told(material: PageInput, sample: int, kind: str, *sides: tuple[str, NDArray[np.float64]]) -> str:
    """What a dot says: the image, its label, what each decides and how surely."""
    classes, golden = material.classes, material.golden
    words = [golden.ids[sample]] if golden is not None else []
    if golden is not None and golden.labels is not None and classes:
        words[0] += f" is {classes[int(golden.labels[sample])]}"
    for name, probabilities in sides:
        decided = int(probabilities.argmax())
        called = classes[decided] if decided < len(classes) else f"class {decided}"
        words.append(f"{name}: {called} {probabilities[decided]:.2f}")
    return "; ".join([*words, *([kind] if kind != _ALIKE else [])])


def _ends(values: list[dict[str, Any]]) -> tuple[float, float]:
    numbers = [value[axis] for value in values for axis in ("x", "y")]
    return min(numbers), max(numbers)
