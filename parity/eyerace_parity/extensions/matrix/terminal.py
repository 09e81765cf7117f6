"""A merged record on a terminal: which runtime bears which variant where, why not, and what each runtime changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eyerace_parity.core.numbers import FACTOR, format_quantity
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.extensions.matrix.reasons import in_a_word, reasons
from eyerace_parity.report.tables import TextConsole
from eyerace_parity.report.view.words import signs_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eyerace_parity.extensions.matrix.document import MatrixCell, MatrixRuntime, MergedRecord, RuntimeChanges
    from eyerace_parity.report.view.words import StatusSigns

_GOOD: Final = "green"
_BAD: Final = "bold red"
_UNASKED: Final = "dim"
_UNKNOWN: Final = "–"  # noqa: RUF001 - as a table writes what is not known
_YES: Final = {None: _UNKNOWN, True: "yes", False: "no"}
_BITS: Final = {None: _UNKNOWN, True: "equal", False: "differ"}
_ENDLESS: Final = 10_000
"""Columns that no table needs, for asking how many it would take."""


def draw_matrix(merged: MergedRecord, *, width: int, colour: bool, encoding: str | None) -> str:
    """Draw a merged record.

    Args:
        merged: The merged record.
        width: Columns of the terminal.
        colour: Whether the stream takes escape sequences.
        encoding: Encoding of the stream.
    """
    signs = signs_for(encoding)
    canvas = TextConsole(width=width, colour=colour)
    _print_tables(canvas, signs, _names(merged, signs), [_marks(merged, signs), _packages(merged, signs)])
    for variant in dict.fromkeys(cell.variant for cell in merged.cells):
        _print_changes(canvas, merged, variant, signs)
    for variant, target in dict.fromkeys((cell.variant, cell.target) for cell in merged.cells if cell.numbers):
        _print_numbers(canvas, merged, (variant, target), signs)
    canvas.print(Text(signs.text(verdict_line(merged)), style=_GOOD if merged.outcome == "held" else _BAD))
    for paragraph in (*_told(merged, signs, agrees=False), *_told(merged, signs, agrees=True)):
        canvas.print(paragraph)
    return canvas.text


def verdict_line(merged: MergedRecord) -> str:
    """The whole in one line."""
    agreeing = sum(cell.agrees for cell in merged.cells)
    line = (
        f"{merged.contract}: {'HELD' if merged.outcome == 'held' else 'NOT HELD'} on {_versions(merged)}; "
        f"{agreeing} of {len(merged.cells)} cells are as expected"
    )
    left = [version for version in merged.versions if version not in merged.asked]
    return f"{line}; not asked for: {join_names(left, most=40)}" if left else line


def _versions(merged: MergedRecord) -> str:
    number = len(merged.runtimes)
    runtimes = "1 runtime" if number == 1 else f"{number} runtimes"
    if not merged.versions:
        return f"{runtimes}, of which the contract declares none"
    left = len(merged.versions) - len(merged.asked)
    return f"{len(merged.asked)} of {len(merged.versions)} declared versions" if left else runtimes


# ---- tables ----------------------------------------------------------------------------------------------------------


_Column = tuple[str, "list[Text]"]
"""A title, and a cell for each row."""


def _print_tables(canvas: TextConsole, signs: StatusSigns, names: _Column, groups: Sequence[Sequence[_Column]]) -> None:
    """Print rows in one table, or where that is too wide for the terminal, in one for each group of columns."""
    shown = [group for group in groups if group]
    for parts in ([[column for group in shown for column in group]], shown):
        tables = [_table([names, *part], signs) for part in parts]
        room = canvas.options.update(width=_ENDLESS)
        if all(Measurement.get(canvas, room, table).maximum <= canvas.width for table in tables):
            break
    for table in tables:
        canvas.print(table)
        canvas.print()


def _table(columns: Sequence[_Column], signs: StatusSigns) -> Table:
    table = Table(
        box=box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n") if signs.plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
    )
    for title, _ in columns:
        table.add_column(signs.text(title), overflow="fold")
    for row in zip(*(cells for _, cells in columns), strict=True):
        # A row that says nothing beside its name is left out: of the packages, where they stand alone.
        if any(row[1:]):
            table.add_row(*row)
    return table


def _names(merged: MergedRecord, signs: StatusSigns) -> _Column:
    """The rows by the exact version, where one is known; red where there is no sound record."""

    def name(runtime: MatrixRuntime) -> str:
        if not runtime.version or runtime.version in runtime.label:
            return runtime.label
        exact = runtime.label.replace(runtime.declared, runtime.version, 1) if _names_patch(runtime) else ""
        return exact or f"{runtime.label} ({runtime.version})"

    return "onnxruntime", [Text(signs.text(name(each)), style=_BAD if each.fault else "") for each in merged.runtimes]


def _names_patch(runtime: MatrixRuntime) -> bool:
    """Whether a row is called by a version of which its own is a patch release: 1.22 by 1.22.1."""
    return bool(runtime.declared) and f"{runtime.version}.".startswith(f"{runtime.declared}.")


def _marks(merged: MergedRecord, signs: StatusSigns) -> list[_Column]:
    """What became of each variant on each target."""
    columns: dict[tuple[str, str], list[Text]] = {}
    for runtime in merged.runtimes:
        for cell in merged.cells_of(runtime.label):
            columns.setdefault((cell.variant, cell.target), []).append(_mark(cell, runtime, signs))
    return [
        (variant if target == HOST else f"{variant}\n{target}", cells) for (variant, target), cells in columns.items()
    ]


def _packages(merged: MergedRecord, signs: StatusSigns) -> list[_Column]:
    """The apps that have each runtime on board; nothing where none has any."""
    bundled = [Text(signs.text("\n".join(runtime.packages))) for runtime in merged.runtimes]
    return [("bundled by", bundled)] if any(bundled) else []


def _mark(cell: MatrixCell, runtime: MatrixRuntime, signs: StatusSigns) -> Text:
    word = in_a_word(cell, runtime)
    if not cell.agrees:
        return Text(f"{signs.status[Status.BROKEN]} {word}", style=_BAD)
    if cell.expected == "anything":
        return Text(f"{signs.unjudged} {word}", style=_UNASKED)
    return Text(f"{signs.status[Status.HELD]} {word}", style=_GOOD)


def _print_changes(canvas: TextConsole, merged: MergedRecord, variant: str, signs: StatusSigns) -> None:
    """Print what each runtime changes of a variant, beside the newest."""
    rows = [
        (Text(signs.text(cell.runtime)), cell.changes)
        for cell in merged.cells
        if cell.variant == variant and cell.changes is not None
    ]
    if not rows:
        return
    newest = next((runtime.version for runtime in merged.runtimes if runtime.label == merged.newest), "")
    samples = {changes.samples for _, changes in rows} - {None}
    alike = samples.pop() if len(samples) == 1 else None
    of = f", of {alike} samples" if alike is not None else ""
    title = f"{variant}: bits, flips and time beside onnxruntime {newest}{of}"
    canvas.print(Text(signs.text(title), style="bold"))
    groups = [
        [(head, [Text(signs.text(describe(changes))) for _, changes in rows]) for head, describe in group]
        for group in (_answers([changes for _, changes in rows]), _beside(newest, alone=alike is None))
    ]
    _print_tables(canvas, signs, ("onnxruntime", [name for name, _ in rows]), groups)


def _print_numbers(canvas: TextConsole, merged: MergedRecord, place: tuple[str, str], signs: StatusSigns) -> None:
    """Print what was measured of a variant on a target, by runtime."""
    cells = [cell for cell in merged.cells if (cell.variant, cell.target) == place and cell.numbers]
    columns = []
    for clause in dict.fromkeys(number.clause for cell in cells for number in cell.numbers):
        found = ({number.clause: number for number in cell.numbers}.get(clause) for cell in cells)
        texts = [_UNKNOWN if number is None else format_quantity(number.value, number.unit) for number in found]
        columns.append((clause, [Text(signs.text(text)) for text in texts]))
    canvas.print(Text(signs.text(f"{place[0]} on {place[1]}"), style="bold"))
    _print_tables(canvas, signs, ("onnxruntime", [Text(signs.text(cell.runtime)) for cell in cells]), [columns])


def _answers(rows: Sequence[RuntimeChanges]) -> list[tuple[str, Callable[[RuntimeChanges], str]]]:
    """Whether it loads, how near it is to its reference, and its F1."""

    def nearness(clause: str) -> Callable[[RuntimeChanges], str]:
        def describe(changes: RuntimeChanges) -> str:
            return next((format_quantity(n.value, n.unit) for n in changes.closeness if n.clause == clause), _UNKNOWN)

        return describe

    clauses = dict.fromkeys(number.clause for changes in rows for number in changes.closeness)
    return [
        ("loads", lambda changes: _YES[changes.loads]),
        *((clause, nearness(clause)) for clause in clauses),
        ("F1", lambda changes: _UNKNOWN if changes.f1 is None else format_quantity(changes.f1, "")),
    ]


def _beside(newest: str, *, alone: bool) -> list[tuple[str, Callable[[RuntimeChanges], str]]]:
    """What it changes beside the newest runtime; ``alone`` where each row must say of how many samples."""

    def flips(changes: RuntimeChanges) -> str:
        if changes.flips is None:
            return _UNKNOWN
        return f"{changes.flips} of {changes.samples}" if alone else str(changes.flips)

    def time(changes: RuntimeChanges) -> str:
        if changes.time_ratio is None:
            return _UNKNOWN
        ratio = f"{FACTOR} {format_quantity(changes.time_ratio, '', digits=3)}"
        return ratio if changes.time_versus == newest else f"{ratio} of {changes.time_versus}"

    return [
        ("bits", lambda changes: _BITS[changes.equal]),
        ("flips", flips),
        ("memory", lambda changes: _UNKNOWN if changes.memory is None else format_quantity(changes.memory, "bytes")),
        ("time", time),
    ]


# ---- reasons ---------------------------------------------------------------------------------------------------------


def _told(merged: MergedRecord, signs: StatusSigns, *, agrees: bool) -> Iterator[Padding]:
    """Why, once a reason."""
    for alike in reasons(merged, agrees=agrees):
        first = alike.first
        style = _BAD if not agrees else _GOOD if first.expected == "fails" else _UNASKED
        sign = signs.unjudged if first.expected == "anything" and agrees else _sign(signs, agrees=agrees)
        text = Text(f"{sign} ", style=style)
        text.append(signs.text(f"{alike.whose} on {alike.where}"), style="bold")
        text.append(signs.text(f" {alike.became}{_expectation(first)}: {alike.reason}"))
        if first.predicted == "refused" and first.observed != "missing":
            text.append("\npredicted from the file: ", style="bold")
            text.append(signs.text(alike.prediction))
        if alike.next:
            text.append("\nnext: ", style="bold")
            text.append(signs.text(alike.next))
        yield Padding(text, (0, 0, 0, 2))


def _sign(signs: StatusSigns, *, agrees: bool) -> str:
    return signs.status[Status.HELD if agrees else Status.BROKEN]


def _expectation(cell: MatrixCell) -> str:
    if cell.expected == "fails":
        words = join_names(repr(word) for word in cell.words)
        return ", as expected" if cell.agrees else f", expected to fail with {words}"
    if cell.expected == "anything":
        return ", of which the contract expects nothing"
    return ""
