"""The pictures of a page about cost: time and size, each drawn from numeric evidence in the record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

from eyerace_parity.core.numbers import format_quantity
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.evidence.quality import TimeQuantiles
from eyerace_parity.report.html.charts import INK, WIDTH, Key, Legend, Picture, draw, rows, variant_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eyerace_parity.evidence.artefacts import LayerSize
    from eyerace_parity.evidence.costs import Series
    from eyerace_parity.report.view.pictures import PictureData

_BINS: Final = 40
_LAYERS: Final = 14
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_OTHERS: Final = "all others"
_ROOM: Final = 1.6  # a budget so many times beyond the slowest run is stated in words, not in an empty drawing


def cost_pictures(data: PictureData) -> Iterator[Picture]:
    """Every picture about cost that this material gives."""
    makers: tuple[Callable[[PictureData], Picture | None], ...] = (
        latency_picture,
        layers_picture,
    )
    for make in makers:
        picture = make(data)
        if picture is not None:
            yield picture


# ---- time ------------------------------------------------------------------------------------------------------------


def latency_picture(data: PictureData) -> Picture | None:
    """Every steady run of every variant that was timed; its quantiles with what the runs prove of them, and budgets.

    The variant that it was timed in turns with stands beside it, to the same scale.
    """
    panels: list[tuple[str, str]] = []
    sentences: list[str] = []
    seen = set()
    budgeted = False
    known = {(piece.variant, piece.target, piece.versus): found for piece, found in data.documents(TimeQuantiles)}
    for entry, timing in data.documents(Timing):
        name = entry.variant
        proven = known.get((entry.variant, entry.target, entry.versus))
        if proven is None or name in seen or entry.baseline or not (times := _times(timing.runs, proven.clock)):
            continue
        seen.add(name)
        budgets = data.limits(name, *_QUANTILES)
        budgeted |= bool(budgets)
        words = [word for word in _QUANTILES if word in budgets] or list(_QUANTILES)
        others = _times(timing.versus_runs, proven.clock) if timing.versus_runs is not None else []
        most = max([*times, *others])
        for who, runs, limits in ((name, times, budgets), (timing.versus, others, {})):
            if not runs:
                continue
            marks = [_mark(word, who, proven, limits.get(word)) for word in words]
            sentence = f"{who}: {len(runs)} runs, {'; '.join(str(mark['text']) for mark in marks)}"
            sentences.append(sentence)
            colour = variant_colour(data, who)
            scale = (min([*times, *others]), most)
            beyond = [
                f"{mark['name']} {mark['budget']:g} ms" for mark in marks if mark["budget"] and not _near(mark, most)
            ]
            heading = who if who == name else f"{who}, in turns with {name}"
            heading += f"; budget beyond the drawing: {', '.join(beyond)}" if beyond else ""
            drawing = _histogram(
                runs, marks, name=f"latency-{len(panels)}", label=sentence, colour=colour, within=scale
            )
            panels.append((heading, drawing))
        kind = "Process CPU time" if proven.clock == "cpu" else "Wall time"
        threads = "1 thread" if timing.threads == 1 else f"{timing.threads} threads"
        sentences[-1] += f". {kind}, {threads}"
    if not panels:
        return None
    how = "Below the runs: each quantile and the interval that they prove it to lie in, each end alone."
    caption = f"{'. '.join(sentences)}. {how}"
    key = (Key("budget", INK, "tick"),) if budgeted else ()
    return Picture("latency", "Time of an inference", caption, tuple(panels), key)


def _times(series: Series, clock: str) -> list[float]:
    """Times in ms, nothing where they are no times."""
    times = series.cpu_ms if clock == "cpu" else series.wall_ms
    return list(times) if times and bool(np.isfinite(times).all()) else []


def _mark(word: str, series: str, found: TimeQuantiles, budget: float | None) -> dict[str, Any]:
    """A quantile with the interval that is proven, and its budget; an end that is not proven is left open."""
    one = next(
        one
        for one in found.quantiles
        if (one.series, one.clock, one.quantile) == (series, found.clock, _QUANTILES[word])
    )
    at, low, high = one.value, one.low, one.high
    ends = f"{'?' if low is None else f'{low:.2f}'} to {'?' if high is None else f'{high:.2f}'}"
    text = f"{word} {at:.2f} ms, proven {ends}" + (f", budget {budget:g} ms" if budget is not None else "")
    return {
        "name": word, "at": at, "low": at if low is None else low, "high": at if high is None else high,
        "budget": budget, "text": text,
    }  # fmt: skip


def _near(mark: dict[str, Any], slowest: float) -> bool:
    """Whether a budget is near enough to be drawn."""
    return mark["budget"] is not None and bool(mark["budget"] <= _ROOM * slowest)


def _histogram(
    times: Sequence[float],
    marks: Sequence[dict[str, Any]],
    *,
    name: str,
    label: str,
    colour: str,
    within: tuple[float, float],
) -> str:
    """Counts of runs by time, and below them, on the same axis, the quantiles with their intervals and budgets."""
    low, high = within
    counts, edges = np.histogram(times, bins=_BINS, range=within if high > low else None)
    bars = [
        {
            "from": round(float(a), 4),
            "to": round(float(b), 4),
            "runs": int(n),
            "text": f"{n} runs of {a:.2f} to {b:.2f} ms",
        }
        for n, a, b in zip(counts, edges[:-1], edges[1:], strict=True)
        if n
    ]
    near = [mark["budget"] for mark in marks if _near(mark, high)]
    scale = alt.Scale(domain=[low, max([high, *near])], nice=True)
    above = (
        alt.Chart(rows(bars))
        .mark_bar(color=colour)
        .encode(
            x=alt.X("from:Q", bin="binned", title=None, axis=alt.Axis(labels=False, ticks=False), scale=scale),
            x2="to:Q",
            y=alt.Y("runs:Q", title="runs", axis=alt.Axis(tickCount=4)),
            description="text:N",
        )
    )
    above = above.properties(width=WIDTH, height=100)
    lines = [mark | {"line": mark["budget"] if _near(mark, high) else None} for mark in marks]
    base = alt.Chart(rows(lines)).encode(y=alt.Y("name:N", title=None, sort=list(_QUANTILES)))
    x = alt.X("low:Q", title="ms", scale=scale)
    below = alt.layer(
        base.mark_rule(color=colour, strokeWidth=5, opacity=0.45).encode(x=x, x2="high:Q", description="text:N"),
        base.mark_point(filled=True, size=60, color=colour, opacity=1, aria=False).encode(x=alt.X("at:Q", scale=scale)),
        base.mark_tick(color=INK, thickness=2, size=18, aria=False).encode(x=alt.X("line:Q", scale=scale)),
    ).properties(width=WIDTH, height=alt.Step(22))
    return draw(alt.vconcat(above, below, spacing=6), name, label)


# ---- size ------------------------------------------------------------------------------------------------------------


def layers_picture(data: PictureData) -> Picture | None:
    """What the largest layers take of the file, a variant beside the one that it is compared with."""
    graphs = {e.variant: g for e, g in data.documents(Graph) if not e.baseline and g.layers}
    shown = [(v.name, v.reference) for v in data.entry.variants if v.name in graphs]
    if not shown:
        return None
    name, reference = next((pair for pair in reversed(shown) if pair[1] in graphs), shown[-1])
    names = [name, *([reference] if reference and reference in graphs else [])]
    known = [layer.name for layer in graphs[names[-1]].layers]
    sizes = {one: _weights(graphs[one].layers, known) for one in names}
    first = sorted(sizes[name], key=lambda layer: -max(sizes[one][layer].bytes for one in names if layer in sizes[one]))
    layers = first[:_LAYERS]
    labels = _labels(layers)
    values: list[dict[str, Any]] = []
    for one in names:
        whole = sum(layer.bytes for layer in graphs[one].layers) + graphs[one].layers_rest
        found = [(layer, sizes[one][layer]) for layer in layers if layer in sizes[one]]
        for layer, weight in found:
            text = (
                f"{layer} in {one}: {format_quantity(weight.bytes, 'bytes')}, {weight.operator} {weight.dtype}".rstrip()
            )
            values.append({"layer": labels[layer], "variant": one, "bytes": weight.bytes, "text": text})
        rest = whole - sum(weight.bytes for _, weight in found)
        if rest:
            text = f"all others in {one}: {format_quantity(rest, 'bytes')}"
            values.append({"layer": _OTHERS, "variant": one, "bytes": rest, "text": text})
    order = [*labels.values(), _OTHERS]
    legend = Legend.among(names[::-1], data.ranked())
    chart = (
        alt.Chart(rows(values))
        .mark_bar()
        .encode(
            x=alt.X("bytes:Q", title="bytes", axis=alt.Axis(format="~s", tickCount=4)),
            y=alt.Y("layer:N", title=None, sort=order, axis=alt.Axis(labelLimit=150, labelOverlap=False)),
            yOffset=alt.YOffset("variant:N", sort=names[::-1]),
            color=legend.colour("variant"),
            description="text:N",
        )
        .properties(width=WIDTH - 100, height=alt.Step(10 if len(names) > 1 else 16))
    )
    wholes = ", ".join(
        f"{one} {format_quantity(sum(x.bytes for x in graphs[one].layers) + graphs[one].layers_rest, 'bytes')}"
        for one in names
    )
    caption = f"Stored tensors by the operator that uses them: {wholes}. Layers of one name stand together."
    drawing = draw(chart, "layers", caption)
    return Picture("layers", "Size by layer", caption, (("", drawing),), legend.key("square"))


def _weights(layers: Sequence[LayerSize], known: Sequence[str]) -> dict[str, LayerSize]:
    """Layers by the name that they have in the reference: a quantiser adds to it, and splits one layer into several.

    Of ``/head/Conv`` it makes ``/head/Conv_quant``, of a ``Gemm`` a ``Gemm_MatMul`` and a ``Gemm_Add``.
    """
    found: dict[str, LayerSize] = {}
    for layer in layers:
        origins = [name for name in known if layer.name == name or layer.name.startswith(f"{name}_")]
        name = max(origins, key=len, default=layer.name)
        before = found.get(name)
        weight = layer.bytes + (before.bytes if before is not None else 0)
        found[name] = (before or layer).model_copy(update={"bytes": weight})
    return found


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Names as short as exporters' repetitions allow, e.g. ``blocks.1/project.0`` of ``/blocks/blocks.1/project/…``."""
    short: dict[str, str] = {}
    for name in names:
        parts = [part for part in name.split("/") if part]
        kept = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")]
        short[name] = "/".join(kept[:-1] if len(kept) > 1 else kept) or name
    # What two layers would share says nothing of either.
    taken = Counter(short.values())
    return {name: label if taken[label] == 1 and label != _OTHERS else name for name, label in short.items()}
