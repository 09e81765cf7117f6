"""Why cells of a matrix are what they are, each reason once: one missing operator must not fill a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import HOST
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eyerace_parity.extensions.matrix.document import MatrixCell, MatrixRuntime, MergedRecord

_SPAN: Final = 3
"""So many rows beside one another are named as a span."""

_BECAME: Final = {
    "held": "is held",
    "broken": "is broken",
    "error": "is in error",
    "unproven": "is unproven",
    "unjudged": "was not judged in full",
    "no record": "has no record",
    "refused": "has a record that is refused",
}


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """Cells that share a reason.

    Attributes:
        first: One of them, for all that they share.
        whose: Their variants and targets, in words.
        where: Their rows, in words.
        became: What became of them, as a sentence goes on.
        reason: Why.
        prediction: What is known from the file alone, of the newest of these rows.
        next: What to do, for all of them.
    """

    first: MatrixCell
    whose: str
    where: str
    became: str
    reason: str
    prediction: str
    next: str


def reasons(merged: MergedRecord, *, agrees: bool) -> Iterator[ReasonGroup]:
    """Tell why cells do not agree, or of those that do, why they failed as expected or were not expected to hold.

    What is held as expected has no reason, and is left out.
    """
    rows = {runtime.label: runtime for runtime in merged.runtimes}
    cells = [cell for cell in merged.cells if cell.agrees == agrees and not (agrees and cell.observed == "held")]
    for group in _grouped(cells, rows):
        first = group[0]
        named = list(dict.fromkeys(cell.runtime for cell in group))
        # What is said of one file is not said of all.
        own = f"{rows[first.runtime].record}: "
        reason = first.reason if len(named) == 1 else first.reason.removeprefix(own)
        step = first.next.replace(_environment(first.runtime), ",".join(map(_environment, named)))
        became = _BECAME[in_a_word(first, rows[first.runtime]) if first.observed == "missing" else first.observed]
        yield ReasonGroup(first, _whose(group), _where(list(rows), named), became, reason, group[-1].prediction, step)


def in_a_word(cell: MatrixCell, runtime: MatrixRuntime) -> str:
    """What became of a cell, as it stands in a table."""
    if cell.observed == "missing":
        return "refused" if runtime.record else "no record"
    return "fails as expected" if cell.agrees and cell.expected == "fails" else cell.observed


def _grouped(cells: Sequence[MatrixCell], rows: Mapping[str, MatrixRuntime]) -> list[list[MatrixCell]]:
    """Put together what differs in its runtime only, and then what differs in its variant only."""
    by_variant: dict[tuple[str, ...], list[MatrixCell]] = {}
    for cell in cells:
        by_variant.setdefault((cell.variant, cell.target, *_likeness(cell, rows)), []).append(cell)
    by_reason: dict[tuple[object, ...], list[MatrixCell]] = {}
    for found in by_variant.values():
        place = (tuple(cell.runtime for cell in found), *_likeness(found[0], rows))
        by_reason.setdefault(place, []).extend(found)
    return list(by_reason.values())


def _likeness(cell: MatrixCell, rows: Mapping[str, MatrixRuntime]) -> tuple[str, ...]:
    # Predictions of several versions differ in the version that they name, and in nothing that must be read twice.
    reason = cell.reason.removeprefix(f"{rows[cell.runtime].record}: ")
    return (cell.observed, cell.expected, reason, cell.next.replace(_environment(cell.runtime), ""), cell.predicted)


def _environment(label: str) -> str:
    """How a step names the environment of a row."""
    return f"ort{label}"


def _whose(cells: Sequence[MatrixCell]) -> str:
    whose = dict.fromkeys(cell.variant if cell.target == HOST else f"{cell.variant} [{cell.target}]" for cell in cells)
    return join_names(whose)


def _where(order: Sequence[str], labels: Sequence[str]) -> str:
    """Name rows, three or more beside one another as a span."""
    spans: list[list[int]] = []
    for place in sorted(order.index(label) for label in labels):
        if spans and place == spans[-1][-1] + 1:
            spans[-1].append(place)
        else:
            spans.append([place])
    shown: list[str] = []
    for span in spans:
        names = [order[place] for place in span]
        shown += [f"{names[0]} to {names[-1]}"] if len(names) >= _SPAN else names
    return join_names(shown)
