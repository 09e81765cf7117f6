"""The pictures of a page about cost: time, instructions and size, each drawn from numeric evidence in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

from parity.evidence.model import Timing
from parity.report.html.charts import BLUE, VERMILION, WIDTH, Picture, draw, rows
from parity.report.words import quantity
from parity.result import Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from parity.report.document import VerdictEntry
    from parity.report.html.material import Material

_BINS: Final = 40
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def cost_pictures(material: Material) -> Iterator[Picture]:
    """Every picture about cost that this material gives."""
    makers: tuple[Callable[[Material], Picture | None], ...] = (latency_picture, instructions_picture)
    for make in makers:
        picture = make(material)
        if picture is not None:
            yield picture


def latency_picture(material: Material) -> Picture | None:
    """Every steady run of every variant that was timed, with its budgets."""
    panels, told = [], []
    seen = set()
    for entry, timing in material.documents(Timing):
        name = timing.provenance.variant
        if name in seen or entry.baseline or not timing.runs.cpu_ms:
            continue
        seen.add(name)
        times = np.asarray(timing.runs.cpu_ms)
        budgets = [row for row in _budgets(material, name) if isinstance(row.limit, int | float)]
        summary = ", ".join(f"{word} {np.quantile(times, share):.2f} ms" for word, share in _QUANTILES.items())
        sentence = f"{name}: {len(times)} runs at {timing.threads} thread, process CPU time {summary}"
        told.append(sentence)
        panels.append((name, _histogram(times.tolist(), budgets, f"latency-{name}", sentence)))
    if not panels:
        return None
    caption = f"{'. '.join(told)}. The line is the budget; one beyond the drawing is named at its edge."
    return Picture("latency", "Time of an inference", caption, tuple(panels))


def _budgets(material: Material, variant: str) -> list[VerdictEntry]:
    rows_ = material.record.verdicts_of(material.entry.name)
    return [r for r in rows_ if r.variant == variant and r.check == "latency" and r.unit == "ms"]


def _histogram(times: Sequence[float], budgets: Sequence[VerdictEntry], name: str, label: str) -> str:
    """Counts of runs by time, and a rule a budget; a budget far beyond is told in words, not in an empty drawing."""
    low, high = min(times), max(times)
    room = 1.5 * high
    counts, edges = np.histogram(times, bins=_BINS)
    bars = [
        {
            "from": round(float(a), 4),
            "to": round(float(b), 4),
            "runs": int(n),
            "told": f"{n} runs of {a:.2f} to {b:.2f} ms",
        }
        for n, a, b in zip(counts, edges[:-1], edges[1:], strict=True)
        if n
    ]
    near = [row for row in budgets if isinstance(row.limit, int | float) and row.limit <= room]
    far = [row for row in budgets if row not in near]
    right = max([high, *(float(row.limit) for row in near if isinstance(row.limit, int | float))])
    scale = alt.Scale(domain=[low, right], nice=True)
    parts: list[alt.Chart] = [
        alt.Chart(rows(bars))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("from:Q", title="ms", scale=scale), x2="to:Q", y=alt.Y("runs:Q", title="runs"), description="told:N"
        )
    ]
    if near:
        lines = [{"at": row.limit, "name": f"{row.clause} {row.limit:g}"} for row in near]
        base = alt.Chart(rows(lines))
        parts += [
            base.mark_rule(color=VERMILION, strokeWidth=2, strokeDash=[6, 3]).encode(x="at:Q", description="name:N"),
            base.mark_text(align="right", dx=-4, baseline="top", aria=False).encode(
                x="at:Q", y=alt.value(4), text="name:N"
            ),
        ]
    if far:
        words = ", ".join(f"{row.clause} {quantity(row.limit or 0, row.unit)} ms" for row in far)
        note = rows([{"name": f"budget {words} →"}])
        parts.append(
            alt.Chart(note)
            .mark_text(align="right", baseline="top", aria=False)
            .encode(x=alt.value(WIDTH), y=alt.value(4), text="name:N")
        )
    return draw(alt.layer(*parts).properties(width=WIDTH, height=150), name, label)


def instructions_picture(material: Material) -> Picture | None:
    """Instructions of an inference by target, beside the limit and the accepted release."""
    wanted = [
        row
        for row in material.record.verdicts_of(material.entry.name)
        if row.check == "arm64" and row.unit == "instructions" and isinstance(row.value, int | float)
    ]
    if not wanted:
        return None
    values: list[dict[str, Any]] = []
    for row in wanted:
        told = f"{row.variant} {row.clause} on {row.target}: {_millions(row.value)}"
        values.append(
            {
                "where": f"{row.variant} {row.clause}",
                "target": row.target,
                "n": row.value,
                "limit": row.limit if row.relation is Relation.AT_MOST else None,
                "told": told + (f", at most {_millions(row.limit)}" if row.limit else ""),
            }
        )
    base = alt.Chart(rows(values))
    x = alt.X("n:Q", title="instructions", axis=alt.Axis(format="~s"))
    bars = base.mark_bar(color=BLUE, height=14).encode(x=x, y=alt.Y("target:N", title=None), description="told:N")
    ticks = base.mark_tick(color=VERMILION, thickness=3, size=22, aria=False).encode(x="limit:Q", y="target:N")
    panels: list[tuple[str, str]] = []
    for where in dict.fromkeys(value["where"] for value in values):
        chosen = alt.datum.where == where
        chart = (bars.transform_filter(chosen) + ticks.transform_filter(chosen)).properties(
            width=WIDTH, height=alt.Step(26)
        )
        panels.append((str(where), draw(chart, f"instructions-{len(panels)}", f"Instructions of {where} by target")))
    caption = (
        "; ".join(str(value["told"]) for value in values) + ". The mark is the limit. These are counts, not times."
    )
    return Picture("instructions", "Instructions by target", caption, tuple(panels))


def _millions(value: float | str | None) -> str:
    return f"{value / 1e6:.1f} M" if isinstance(value, int | float) else str(value)
