"""The rows of a merge: one a record, and one for each version that the contract declares and no record answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.contract.matrix import NEWEST
from eyerace_parity.core.places import shown
from eyerace_parity.matrix.document import Runtime
from eyerace_parity.matrix.predictions import bundled_by
from eyerace_parity.matrix.records import Found, is_of, release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.record.document import Environment

Row = tuple[Runtime, Found]
"""A row with the record that it is made of, or without one."""

_FIELDS: Final = ("python", "architecture", "system", "machine")
"""What tells two records of one version apart, the shortest first."""


def rows_of(given: Sequence[Found], declared: Sequence[str], asked: Sequence[str]) -> list[Row]:
    """Give each record its row; oldest version first, the newest last.

    Args:
        given: The records.
        declared: Versions of the matrix.
        asked: Those that are asked for; a record of another declared one is left out.
    """
    seats = _seats(given, declared)
    wanted = [(seat, found) for seat, found in zip(seats, given, strict=True) if not seat or seat in asked]
    rows: list[Row] = []
    for seat, found in wanted:
        version = seat or found.version
        beside = [other for other_seat, other in wanted if (other_seat or other.version) == version]
        rows.append(_free((_runtime(seat, found, beside), found), rows))
    rows += [_empty(version) for version in asked if version not in {runtime.declared for runtime, _ in rows}]
    return sorted(rows, key=lambda row: _order(row[0]))


def _seats(given: Sequence[Found], declared: Sequence[str]) -> list[str]:
    """The declared version that each record answers, or an empty string."""
    seats = [_hint(found, declared) for found in given]
    for number, found in enumerate(given):
        if not seats[number]:
            seats[number] = next((version for version in declared if is_of(found.version, version)), "")
    free = [number for number, seat in enumerate(seats) if not seat and given[number].version]
    if NEWEST in declared and NEWEST not in seats and free:
        top = max(free, key=lambda number: release(given[number].version))
        if all(release(given[top].version) >= release(found.version) for found in given):
            seats[top] = NEWEST
    return seats


def _hint(found: Found, declared: Sequence[str]) -> str:
    """What the file's name says: it counts where the record itself cannot say, or could be two."""
    name = found.file.stem.removeprefix("ort")
    fits = not found.version or name == NEWEST or is_of(found.version, name)
    return name if name in declared and fits else ""


def _runtime(seat: str, found: Found, beside: Sequence[Found]) -> Runtime:
    """Describe a row; where several are of one version, its label says what tells it apart."""
    label = seat or found.version or found.file.stem
    shared = {"declared": seat, "version": found.version, "record": "" if found.absent else shown(found.file)}
    if found.record is None:
        name = found.file.name
        label = name if label == found.file.stem else label if len(beside) == 1 else f"{label} · {name}"
        packages = bundled_by(found.version or seat)
        return Runtime(label=label, **shared, packages=packages, fault=found.fault, next=found.next)
    place = found.record.environment
    others = [other.record.environment for other in beside if other.record is not None and other is not found]
    return Runtime(
        label=" · ".join([label, *_distinguished(place, others)]),
        **shared,
        python=place.python,
        system=place.system,
        architecture=place.architecture,
        machine=place.machine,
        started=found.record.started,
        seconds=found.record.seconds,
        packages=bundled_by(found.version),
    )


def _distinguished(place: Environment, others: Sequence[Environment]) -> list[str]:
    """What tells an environment from others, in as few words as that takes."""
    words, alike = [], list(others)
    for field in _FIELDS:
        own = getattr(place, field)
        apart = [other for other in alike if getattr(other, field) != own]
        if apart:
            words.append(f"Python {own}" if field == "python" else str(own))
            alike = [other for other in alike if getattr(other, field) == own]
    return words


def _free(row: Row, rows: Sequence[Row]) -> Row:
    """Refuse a record whose place is taken: of two that tell different things, neither is to be believed unseen."""
    runtime, found = row
    taken = {other.label: other.record for other, _ in rows}
    if runtime.label not in taken:
        return row
    number = 2
    while f"{runtime.label} · {number}" in taken:
        number += 1
    fault = f"it is of the same runtime, Python and machine as {taken[runtime.label]}"
    refused = found.refused(fault, "name one of both only")
    told = {"label": f"{runtime.label} · {number}", "fault": refused.fault, "next": refused.next}
    return runtime.model_copy(update=told), refused


def _empty(version: str) -> Row:
    fault = "there is none, though the matrix declares this version"
    step = (
        f"run `tox run -e ort{version}`, and see what it says: whether that version can be installed for this Python, "
        "or tox.ini has no such environment"
    )
    packages = bundled_by(version)
    return Runtime(label=version, declared=version, packages=packages, fault=fault, next=step), Found()


def _order(runtime: Runtime) -> tuple[bool, tuple[int, ...], str]:
    return (runtime.declared == NEWEST, release(runtime.version or runtime.declared), runtime.label)
