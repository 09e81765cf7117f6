"""Which records take part in a merge: those of the very contract, golden set and artefacts that it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.compatibility.flutter import packages_with
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.core.errors import MeasurementError, RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import join_names
from eyerace_parity.extensions.matrix.document import MatrixRuntime
from eyerace_parity.extensions.matrix.files import is_absence, read_absence
from eyerace_parity.extensions.matrix.section import NEWEST, cell_of
from eyerace_parity.measure.context import MISSING, artefact_digest
from eyerace_parity.record.compose import measurement_digest
from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.record.document import Environment, EvidenceEntry, Record

_RUNTIME: Final = "onnxruntime "
_OURS: Final = "run the matrix again with the contract, the golden set and the files that ship"


@dataclass(frozen=True, slots=True)
class MatrixInput:
    """A record that was given, or why it does not count.

    Attributes:
        file: Its file.
        record: The record, if it is sound and of the right bundle.
        absent: Whether there is no such file, or it only says why there is no record.
        version: Version of ONNX Runtime that it speaks of, as far as that could be read.
        fault: Why it does not count; empty if it does.
        next: What to do about that.
    """

    file: Path = Path()
    record: Record | None = None
    absent: bool = False
    version: str = ""
    fault: str = ""
    next: str = ""

    def refused(self, fault: str, step: str) -> MatrixInput:
        """The same, not to be counted."""
        return replace(self, record=None, fault=f"{display_path(self.file)}: {fault}", next=step)


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparing: ``1.22.1`` is (1, 22, 1), ``1.33.0.dev3`` is (1, 33, 0)."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def is_of(version: str, declared: str) -> bool:
    """Whether a version is the declared one, or a patch release of it."""
    wanted = release(declared)
    return bool(wanted) and release(version)[: len(wanted)] == wanted


def open_records(contract: Contract, files: Sequence[Path]) -> list[MatrixInput]:
    """Read records and hold them to a contract, its golden set, and its artefacts.

    What the contract or the disk does not say of golden set and artefacts, the first sound record says for all.

    Args:
        contract: The contract as it stands now.
        files: The records.
    """
    given = [_open(contract, file) for file in files]
    golden, artefacts = contract.golden.digest or "", artefacts_here(contract)
    for number, found in enumerate(given):
        if found.record is None:
            continue
        own = next((e.provenance.golden for e in _own(found.record) if e.provenance and e.provenance.golden), "")
        known = dict(measured_artefacts(found.record)) | artefacts
        fault = _other_golden(found.record, golden or own) or _other_artefact(found.record, known)
        if fault:
            given[number] = found.refused(fault, _OURS)
        else:
            golden, artefacts = golden or own, known
    return given


def artefacts_here(contract: Contract) -> dict[str, str]:
    """Digests of the files that ONNX Runtime executes, of those that are here."""
    found = {}
    for name, variant in contract.variants.items():
        if variant.in_onnxruntime:
            try:
                found[name] = artefact_digest(contract, name)
            except MeasurementError:
                continue
    return {name: digest for name, digest in found.items() if digest != MISSING}


def measured_artefacts(record: Record) -> Iterator[tuple[str, str]]:
    """Variants with the digests of the files that a run measured; a torch variant is none of these."""
    for entry in _own(record):
        source = entry.provenance
        if source is not None and source.runtime.startswith(_RUNTIME) and source.artefact not in {"", MISSING}:
            yield entry.variant, source.artefact


def _own(record: Record) -> Iterator[EvidenceEntry]:
    return (entry for entry in record.evidence.values() if not entry.baseline)


def _open(contract: Contract, file: Path) -> MatrixInput:
    found = MatrixInput(file)
    try:
        if is_absence(file):
            word = read_absence(file)
            return replace(found, absent=True, fault=word.reason, next=word.next)
        record = read_record(file)
    except RecordError as error:
        return replace(found, absent=not file.exists(), fault=error.reason, next=_again(file))
    found = replace(found, record=record, version=_version_of(record))
    if fault := _other_contract(contract, record):
        return found.refused(fault, _OURS)
    if record.interrupted:
        return found.refused(f"its run ended early: {record.interrupted}", _again(file))
    if not release(found.version):
        return found.refused("it names no version of onnxruntime", _again(file))
    return found


def _again(file: Path) -> str:
    if file.stem.startswith("ort"):
        return f"run `tox run -e {file.stem}` again, and see what it says"
    return "write it again with --eyerace-parity-matrix, or leave it out"


def _version_of(record: Record) -> str:
    for entry in _own(record):
        if entry.provenance is not None and entry.provenance.runtime.startswith(_RUNTIME):
            return entry.provenance.runtime.removeprefix(_RUNTIME)
    return record.environment.packages.get("onnxruntime", "")


def _other_contract(contract: Contract, record: Record) -> str:
    """Say in what a record's contract is not the one at hand; empty where it is."""
    entry = next((entry for entry in record.contracts if entry.name == contract.name), None)
    if entry is None:
        return f"it is of the contract {join_names(entry.name for entry in record.contracts)}, not of {contract.name}"
    if contract.golden.digest and (fault := _other_golden(record, contract.golden.digest)):
        return fault
    if entry.substance not in {measurement_digest(contract), measurement_digest(cell_of(contract))}:
        return "it is of another contract of that name: its paths, interface, preprocessing, session or targets differ"
    if entry.digest != contract.digest:
        states = f"{_brief(entry.digest)} and not {_brief(contract.digest)}"
        return f"it was judged by another state of the contract, {states}: its limits or its matrix differ"
    return ""


def _other_golden(record: Record, wanted: str) -> str:
    for entry in _own(record):
        measured = entry.provenance.golden if entry.provenance is not None else ""
        if wanted and measured and measured != wanted:
            return f"it was measured on another golden set, {_brief(measured)} and not {_brief(wanted)}"
    return ""


def _other_artefact(record: Record, wanted: Mapping[str, str]) -> str:
    for name, digest in measured_artefacts(record):
        if digest != wanted.get(name, digest):
            return f"its artefact {name} is another file, {_brief(digest)} and not {_brief(wanted[name])}"
    return ""


def _brief(digest: str) -> str:
    return digest[:19]


Row = tuple[MatrixRuntime, MatrixInput]
"""A row with the record that it is made of, or without one."""


_FIELDS: Final = ("python", "architecture", "system", "machine")
"""What tells two records of one version apart, the shortest first."""


def rows_of(given: Sequence[MatrixInput], declared: Sequence[str], asked: Sequence[str]) -> list[Row]:
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


def _seats(given: Sequence[MatrixInput], declared: Sequence[str]) -> list[str]:
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


def _hint(found: MatrixInput, declared: Sequence[str]) -> str:
    """What the file's name says: it counts where the record itself cannot say, or could be two."""
    name = found.file.stem.removeprefix("ort")
    fits = not found.version or name == NEWEST or is_of(found.version, name)
    return name if name in declared and fits else ""


def _runtime(seat: str, found: MatrixInput, beside: Sequence[MatrixInput]) -> MatrixRuntime:
    """Describe a row; where several are of one version, its label says what tells it apart."""
    label = seat or found.version or found.file.stem
    shared = {"declared": seat, "version": found.version, "record": "" if found.absent else display_path(found.file)}
    if found.record is None:
        name = found.file.name
        label = name if label == found.file.stem else label if len(beside) == 1 else f"{label} · {name}"
        packages = _bundled_by(found.version or seat)
        return MatrixRuntime(label=label, **shared, packages=packages, fault=found.fault, next=found.next)
    place = found.record.environment
    others = [other.record.environment for other in beside if other.record is not None and other is not found]
    return MatrixRuntime(
        label=" · ".join([label, *_distinguished(place, others)]),
        **shared,
        python=place.python,
        system=place.system,
        architecture=place.architecture,
        machine=place.machine,
        started=found.record.started,
        seconds=found.record.seconds,
        packages=_bundled_by(found.version),
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
    changes = {"label": f"{runtime.label} · {number}", "fault": refused.fault, "next": refused.next}
    return runtime.model_copy(update=changes), refused


def _empty(version: str) -> Row:
    fault = "there is none, though the matrix declares this version"
    step = (
        f"run `tox run -e ort{version}`, and see what it says: whether that version can be installed for this Python, "
        "or tox.ini has no such environment"
    )
    packages = _bundled_by(version)
    return MatrixRuntime(label=version, declared=version, packages=packages, fault=fault, next=step), MatrixInput()


def _order(runtime: MatrixRuntime) -> tuple[bool, tuple[int, ...], str]:
    return (runtime.declared == NEWEST, release(runtime.version or runtime.declared), runtime.label)


def _bundled_by(version: str) -> tuple[str, ...]:
    """Flutter packages that bundle a version of ONNX Runtime; none of one that has no number yet."""
    try:
        return packages_with(Version.parse(version))
    except ValueError:
        return ()
