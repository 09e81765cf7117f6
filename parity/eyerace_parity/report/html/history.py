"""The picture of a page about the releases before: quality and size over all that was ever accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from eyerace_parity.core.numbers import format_quantity
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.quality import Quality
from eyerace_parity.release.history import AcceptedRelease
from eyerace_parity.report.html.charts import WIDTH, Legend, Picture, draw, rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.report.view.pictures import PictureData

_THIS: Final = "this run"
_MOST: Final = 24


def history_picture(data: PictureData) -> Picture | None:
    """F1 and size of every release and of this run; nothing where none was ever accepted."""
    accepted = data.accepted
    if not accepted:
        return None
    steps = [*accepted[-_MOST:], _this(data)]
    panels = [
        (title, drawing)
        for title, key in (("macro-F1", "f1"), ("bytes", "bytes"))
        if (drawing := _drawn(steps, title, key, data.ranked())) is not None
    ]
    if not panels:
        return None
    golden = steps[-1].golden
    foreign = [step.name for step in accepted if step.golden and golden and step.golden != golden]
    caption = f"All {len(accepted)} that were accepted, in their order, and this run last."
    if len(accepted) == 1:
        caption = f"{accepted[0].name} was accepted; this run comes last."
    if len(accepted) > _MOST:
        caption += f" Shown are the last {_MOST}."
    if foreign:
        caption += f" On another golden set, and so not to be compared: {', '.join(foreign)}."
    legend = Legend.among(_drawn_variants(steps, data.ranked()), data.ranked())
    return Picture("history", "Accepted releases", caption, tuple(panels), legend.key())


def _this(data: PictureData) -> AcceptedRelease:
    """The run itself, as a release would tell of it."""
    known = data.by_variant(Quality)
    f1 = {name: fact.macro_f1 for name, fact in known.items() if fact.macro_f1 is not None}
    sizes = {name: files.bytes for name, files in data.by_variant(Files).items()}
    golden = next((fact.provenance.golden for fact in known.values()), "")
    return AcceptedRelease(_THIS, golden, f1, sizes)


def _drawn_variants(steps: Sequence[AcceptedRelease], known: Sequence[str]) -> tuple[str, ...]:
    """The variants with any number, in their order; one that the contract no longer has is left out."""
    numbered = {name for step in steps for name in (*step.f1, *step.bytes)}
    return tuple(name for name in known if name in numbered)


def _drawn(steps: Sequence[AcceptedRelease], title: str, key: str, known: Sequence[str]) -> str | None:
    values: list[dict[str, Any]] = []
    for step in steps:
        numbers: Mapping[str, float] = getattr(step, key)
        for variant, value in numbers.items():
            if variant not in known:
                continue
            shown = format_quantity(value, "bytes") if key == "bytes" else f"{value:.4f}"
            text = f"{step.name}, {variant}: {shown}"
            values.append({"release": step.name, "variant": variant, "value": value, "text": text})
    if len({value["release"] for value in values}) < 2:  # noqa: PLR2004 - one is no history
        return None
    legend = Legend.among(_drawn_variants(steps, known), known)
    scale, axis = alt.Scale(zero=key == "bytes"), alt.Axis(tickCount=5)
    if key == "bytes":
        axis = alt.Axis(tickCount=5, format="~s")
    base = alt.Chart(rows(values)).encode(
        x=alt.X("release:N", title=None, sort=[step.name for step in steps], axis=alt.Axis(labelAngle=-35)),
        y=alt.Y("value:Q", title=title, scale=scale, axis=axis),
        color=legend.colour("variant"),
    )
    lines = base.mark_line(aria=False).encode(strokeDash=legend.dash("variant"))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=legend.shape("variant"), description="text:N"
    )
    chart = (lines + points).properties(width=WIDTH - 30, height=130)
    return draw(chart, f"history-{key}", f"{title} over the accepted releases")
