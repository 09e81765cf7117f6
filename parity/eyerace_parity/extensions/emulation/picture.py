"""The page's picture of instructions by target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from eyerace_parity.core.numbers import format_quantity
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.report.html.charts import INK, PURPLE, WIDTH, Key, Picture, draw, rows, variant_colour

if TYPE_CHECKING:
    from eyerace_parity.report.view.pictures import PictureData


def instructions_picture(data: PictureData) -> Picture | None:
    """Instructions of an inference by target, beside the limit and the accepted release."""
    found = [(entry, counted) for entry, counted in data.documents(InstructionCounts) if counted.steady]
    before = {(entry.variant, entry.target): max(one.steady) for entry, one in found if entry.baseline}
    values: list[dict[str, Any]] = []
    for entry, counted in found:
        if entry.baseline:
            continue
        now, then = max(counted.steady), before.get((entry.variant, entry.target))
        limit = _limit(data, entry.variant, entry.target, then)
        text = f"{entry.variant} on {entry.target}: {format_quantity(now, 'instructions')}"
        growth = _growth(data, entry.variant, entry.target)
        text += f", the accepted release {format_quantity(then, 'instructions')}" if then else ""
        text += f" ({growth:+.2%})" if then and growth is not None else ""
        text += f", at most {format_quantity(limit, 'instructions')}" if limit else ""
        values.append(
            {"variant": entry.variant, "target": entry.target, "n": now, "then": then, "limit": limit, "text": text}
        )
    if not values:
        return None
    panels: list[tuple[str, str]] = []
    for variant in dict.fromkeys(str(value["variant"]) for value in values):
        colour = variant_colour(data, variant)
        base = alt.Chart(rows([value for value in values if value["variant"] == variant])).encode(
            y=alt.Y("target:N", title=None, axis=alt.Axis(labelOverlap=False))
        )
        x = alt.X("n:Q", title="instructions of an inference", axis=alt.Axis(format="~s", tickCount=5))
        chart = alt.layer(
            base.mark_bar(color=colour, height=14).encode(x=x, description="text:N"),
            base.mark_tick(color=INK, thickness=2, size=22, aria=False).encode(x="limit:Q"),
            base.mark_point(filled=True, shape="diamond", size=80, color=PURPLE, opacity=1, aria=False).encode(
                x="then:Q"
            ),
        ).properties(width=WIDTH - 30, height=alt.Step(28))
        panels.append((variant, draw(chart, f"instructions-{len(panels)}", f"Instructions of {variant} by target")))
    key = [Key("limit", INK, "tick")] if any(value["limit"] for value in values) else []
    key += [Key("accepted release", PURPLE, "diamond")] if before else []
    caption = f"{'; '.join(str(value['text']) for value in values)}. These are counts, not times."
    return Picture("instructions", "Instructions by target", caption, tuple(panels), tuple(key))


def _growth(data: PictureData, variant: str, target: str) -> float | None:
    """The share by which instructions grew since the accepted release, as the clause says it."""
    found = [row.value for row in data.verdicts if (row.variant, row.target) == (variant, target)
             and row.clause == "instructions_growth" and isinstance(row.value, int | float)]  # fmt: skip
    return float(found[0]) if found else None


def _limit(data: PictureData, variant: str, target: str, then: int | None) -> float | None:
    """The most that any clause allows: a budget, or the accepted release's number and what it may grow by."""
    found = data.limits(variant, "instructions", "instructions_growth", target=target)
    growth = found.pop("instructions_growth", None)
    grown = [then * (1 + growth)] if then and growth is not None else []
    return min([*found.values(), *grown], default=None)
