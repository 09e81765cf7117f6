"""A merged record on a terminal: which runtime bears which variant where, why not, and what each runtime changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parity.places import listed
from parity.report.console import Canvas
from parity.report.words import quantity, signs_for
from parity.result import HOST, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parity.report.merged import Cell, Changes, Merged, Runtime
    from parity.report.words import Signs

_GOOD: Final = "green"
_BAD: Final = "bold red"
_UNASKED: Final = "dim"
_UNKNOWN: Final = "–"  # noqa: RUF001 - as a table writes what is not known
_TIMES: Final = "×"  # noqa: RUF001 - a factor
_PAST: Final = {
    "held": "is held",
    "broken": "is broken",
    "error": "is in error",
    "unproven": "is unproven",
    "unjudged": "was not judged in full",
    "missing": "has no record",
}


def draw_matrix(merged: Merged, *, width: int, colour: bool, encoding: str | None) -> str:
    """Draw a merged record.

    Args:
        merged: The merged record.
        width: Columns of the terminal.
        colour: Whether the stream takes escape sequences.
        encoding: Encoding of the stream.
    """
    signs = signs_for(encoding)
    canvas = Canvas(width=width, colour=colour)
    canvas.print(_marks(merged, signs))
    for variant in dict.fromkeys(cell.variant for cell in merged.cells):
        table = _changes(merged, variant, signs)
        if table is not None:
            canvas.print()
            canvas.print(table)
    canvas.print()
    canvas.print(Text(signs.text(verdict_line(merged)), style=_GOOD if merged.outcome == "held" else _BAD))
    for paragraph in (*_told(merged, signs, agrees=False), *_told(merged, signs, agrees=True)):
        canvas.print(paragraph)
    return canvas.text


def verdict_line(merged: Merged) -> str:
    """The whole in one line."""
    agreeing = sum(cell.agrees for cell in merged.cells)
    line = (
        f"{merged.contract}: {'HELD' if merged.outcome == 'held' else 'NOT HELD'} on {_versions(merged)}; "
        f"{agreeing} of {len(merged.cells)} cells are as expected"
    )
    left = [version for version in merged.versions if version not in merged.asked]
    return f"{line}; not asked for: {listed(left, most=40)}" if left else line


def _versions(merged: Merged) -> str:
    number = len(merged.runtimes)
    runtimes = "1 runtime" if number == 1 else f"{number} runtimes"
    if not merged.versions:
        return f"{runtimes}, of which the contract declares none"
    left = len(merged.versions) - len(merged.asked)
    return f"{len(merged.asked)} of {len(merged.versions)} declared versions" if left else runtimes


# ---- tables ----------------------------------------------------------------------------------------------------------


def _marks(merged: Merged, signs: Signs) -> Table:
    places = list(dict.fromkeys((cell.variant, cell.target) for cell in merged.cells))
    packaged = any(runtime.packages for runtime in merged.runtimes)
    titles = [variant if target == HOST else f"{variant} {target}" for variant, target in places]
    table = _table(["onnxruntime", *titles, *(["bundled by"] if packaged else [])], signs)
    for runtime in merged.runtimes:
        cells = {(cell.variant, cell.target): cell for cell in merged.cells_of(runtime.label)}
        row = [_name(runtime, signs), *(_mark(cells[place], signs) for place in places)]
        table.add_row(*row, *([Text(signs.text("\n".join(runtime.packages)))] if packaged else []))
    return table


def _mark(cell: Cell, signs: Signs) -> Text:
    word = "no record" if cell.observed == "missing" else cell.observed
    if not cell.agrees:
        return Text(f"{signs.status[Status.BROKEN]} {word}", style=_BAD)
    if cell.expected == "fails":
        return Text(f"{signs.status[Status.HELD]} fails as expected", style=_GOOD)
    if cell.expected == "anything":
        return Text(f"{signs.unjudged} {word}", style=_UNASKED)
    return Text(f"{signs.status[Status.HELD]} {word}", style=_GOOD)


def _changes(merged: Merged, variant: str, signs: Signs) -> Table | None:
    """What each runtime changes of a variant, beside the newest."""
    rows = [
        (runtime, cell.changes)
        for runtime in merged.runtimes
        for cell in merged.cells_of(runtime.label)
        if cell.variant == variant and cell.changes is not None
    ]
    if not rows:
        return None
    clauses = list(dict.fromkeys(number.clause for _, changes in rows for number in changes.closeness))
    newest = next((runtime.version for runtime in merged.runtimes if runtime.label == merged.newest), "")
    peers = {changes.time_versus for _, changes in rows if changes.time_versus}
    time = f"time of {peers.pop()}" if len(peers) == 1 else ""
    header = [variant, "loads", *clauses, f"bits of {newest}", "flips", "F1", "memory", time or "time"]
    table = _table(header, signs)
    for runtime, changes in rows:
        numbers = _numbers(changes, clauses, peer="" if time else changes.time_versus)
        table.add_row(_name(runtime, signs), *(Text(signs.text(text)) for text in numbers))
    return table


def _numbers(changes: Changes, clauses: Sequence[str], *, peer: str) -> Iterator[str]:
    yield _yes(changes.loads)
    closeness = {number.clause: quantity(number.value, number.unit) for number in changes.closeness}
    yield from (closeness.get(clause, _UNKNOWN) for clause in clauses)
    yield {None: _UNKNOWN, True: "equal", False: "differ"}[changes.equal]
    yield _UNKNOWN if changes.flips is None else f"{changes.flips} of {changes.samples}"
    yield _UNKNOWN if changes.f1 is None else quantity(changes.f1, "")
    yield _UNKNOWN if changes.memory is None else quantity(changes.memory, "bytes")
    ratio = _UNKNOWN if changes.time_ratio is None else f"{_TIMES} {quantity(changes.time_ratio, '', digits=3)}"
    yield f"{ratio} of {peer}" if peer and changes.time_ratio is not None else ratio


def _yes(answer: bool | None) -> str:  # noqa: FBT001 - it is the answer itself
    return _UNKNOWN if answer is None else "yes" if answer else "no"


def _name(runtime: Runtime, signs: Signs) -> Text:
    exact = f" ({runtime.version})" if runtime.version and runtime.version not in runtime.label else ""
    return Text(signs.text(f"{runtime.label}{exact}"), style="" if not runtime.fault else _BAD)


def _table(titles: Sequence[str], signs: Signs) -> Table:
    table = Table(
        box=box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n") if signs.plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
    )
    for title in titles:
        table.add_column(signs.text(title), overflow="fold")
    return table


# ---- reasons ---------------------------------------------------------------------------------------------------------


def _told(merged: Merged, signs: Signs, *, agrees: bool) -> Iterator[Padding]:
    """Why, once a reason: one missing operator must not fill the screen, version by version."""
    for cells in _alike([cell for cell in merged.cells if cell.agrees == agrees and not (agrees and _is_held(cell))]):
        first = cells[0]
        style = _BAD if not agrees else _GOOD if first.expected == "fails" else _UNASKED
        sign = signs.unjudged if first.expected == "anything" and agrees else _sign(signs, agrees=agrees)
        text = Text(f"{sign} ", style=style)
        text.append(signs.text(f"{_whose(cells)} on {_labels(merged, cells)}"), style="bold")
        text.append(signs.text(f" {_PAST[first.observed]}{_expectation(first)}: {first.reason}"))
        if first.predicted == "refused" and first.observed != "missing":
            text.append("\npredicted from the file: ", style="bold")
            text.append(signs.text(cells[-1].prediction))
        if first.next:
            text.append("\nnext: ", style="bold")
            text.append(signs.text(first.next))
        yield Padding(text, (0, 0, 0, 2))


def _is_held(cell: Cell) -> bool:
    """Whether nothing need be said: what is held as expected has no reason, what is held against it has one."""
    return cell.observed == "held"


def _alike(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Put together what differs in its runtime only, and then what differs in its variant only."""
    by_variant: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        by_variant.setdefault((cell.variant, cell.target, *_likeness(cell)), []).append(cell)
    by_reason: dict[tuple[object, ...], list[Cell]] = {}
    for found in by_variant.values():
        place = (tuple(cell.runtime for cell in found), *_likeness(found[0]))
        by_reason.setdefault(place, []).extend(found)
    return list(by_reason.values())


def _likeness(cell: Cell) -> tuple[str, ...]:
    # Predictions of several versions differ in the version that they name, and in nothing that must be read twice.
    return (cell.observed, cell.expected, cell.reason, cell.next, cell.predicted)


def _sign(signs: Signs, *, agrees: bool) -> str:
    return signs.status[Status.HELD if agrees else Status.BROKEN]


def _whose(cells: Sequence[Cell]) -> str:
    whose = dict.fromkeys(cell.variant if cell.target == HOST else f"{cell.variant} [{cell.target}]" for cell in cells)
    return listed(whose)


def _labels(merged: Merged, cells: Sequence[Cell]) -> str:
    """Name rows, three or more beside one another as a span."""
    order = [runtime.label for runtime in merged.runtimes]
    places = sorted({order.index(cell.runtime) for cell in cells})
    spans: list[list[int]] = []
    for place in places:
        if spans and place == spans[-1][-1] + 1:
            spans[-1].append(place)
        else:
            spans.append([place])
    told: list[str] = []
    for span in spans:
        names = [order[place] for place in span]
        told += [f"{names[0]} to {names[-1]}"] if len(names) > 2 else names  # noqa: PLR2004 - two are named
    return listed(told)


def _expectation(cell: Cell) -> str:
    if cell.expected == "fails":
        told = listed(repr(word) for word in cell.words)
        return ", as expected" if cell.agrees else f", expected to fail with {told}"
    if cell.expected == "anything":
        return ", of which the contract expects nothing"
    return ""
