"""The label table: a CSV file with a header and one row per image."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import GoldenError
from eyerace_parity.core.files import FileTooLarge, display_path, read_bytes
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.golden.base import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES: Final = 1 << 28
"""Largest label table in bytes. A larger file is no label table."""

FILE: Final = "file"
LABEL: Final = "label"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row of the table.

    Attributes:
        file: Path below the image folder, with forward slashes.
        label: Name of the class.
        cluster: Name of the cluster; empty if the contract names no cluster column.
        others: The other cells, in header order.
        line: Line number, from 1.
    """

    file: str
    label: str
    cluster: str
    others: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The whole table.

    Attributes:
        path: The CSV file.
        rows: Rows sorted by ``file``, so that the order of lines does not matter.
        header: Column names of :attr:`LabelRow.others`.
    """

    path: Path
    rows: tuple[LabelRow, ...]
    header: tuple[str, ...]

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The other columns by name, in row order."""
        return {name: tuple(row.others[place] for row in self.rows) for place, name in enumerate(self.header)}


_SETTLED: Final = 2.0
"""Seconds after which a new write must change a file's time. The coarsest file system, FAT, stores steps of 2 s."""

_MOST_TABLES: Final = 8

_lock: Final = Lock()

_tables: OrderedDict[tuple[object, ...], LabelTable] = OrderedDict()


def read_table(path: Path, classes: Sequence[str], cluster: str | None) -> LabelTable:
    """Read and check a label table. The result is cached in the process while the file does not change.

    A file that was written less than 2 s ago is not cached, because another write might not change its time.

    Args:
        path: The CSV file, UTF-8.
        classes: Valid labels.
        cluster: Column with cluster names, or ``None``.

    Returns:
        The checked table. It does not check whether the image files exist.

    Raises:
        GoldenError: The table is missing, damaged, empty or invalid; the message names all wrong lines of a kind.
    """
    try:
        state = path.stat()
        # What changes with every write.
        marks = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
    except OSError:
        return _read(path, classes, cluster)  # reading the file gives the error message
    key = (path.absolute(), marks, tuple(classes), cluster)
    with _lock:
        if (known := _tables.get(key)) is None:
            known = _read(path, classes, cluster)
            if time.time() - state.st_mtime > _SETTLED:
                _tables[key] = known
                if len(_tables) > _MOST_TABLES:
                    _tables.popitem(last=False)
        return known


def _read(path: Path, classes: Sequence[str], cluster: str | None) -> LabelTable:
    place = display_path(path)
    cells = _cells(path)
    if not cells:
        raise GoldenError(
            f"{place} is empty", next_step=f"give it a header with {FILE!r} and {LABEL!r}, a row an image"
        )
    header = [name.strip() for name in cells[0][1]]
    _check_header(header, cluster, f"{place}:{cells[0][0]}")
    ragged = [
        f"{place}:{line}: {len(row)} cells, but the header has {len(header)}"
        for line, row in cells[1:]
        if len(row) != len(header)
    ]
    refuse(ragged, "quote a cell that holds a comma")
    if len(cells) == 1:
        raise GoldenError(f"{place} has a header and no rows: the golden set is empty", next_step="add a row an image")
    others = [number for number, name in enumerate(header) if name not in {FILE, LABEL}]
    file, label = header.index(FILE), header.index(LABEL)
    group = header.index(cluster) if cluster else None
    rows = [
        LabelRow(
            row[file],
            row[label],
            "" if group is None else row[group],
            tuple(row[number] for number in others),
            line,
        )
        for line, row in cells[1:]
    ]
    refuse(_label_problems(rows, classes, place), "correct the label, or name the class in the contract")
    refuse(_file_problems(rows, place), "name each image once, by its path below the folder of images")
    if group is not None:
        without = [f"{place}:{row.line}: {row.file} has no {cluster!r}" for row in rows if not row.cluster.strip()]
        refuse(without, f"fill the column {cluster!r}, or drop golden.cluster")
    rows.sort(key=lambda row: row.file)
    return LabelTable(path, tuple(rows), tuple(header[number] for number in others))


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """Return all rows that are not blank, each with its last line number."""
    place = display_path(path)
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        beside = [other.name for other in path.parent.glob("*.csv")] if path.parent.is_dir() else []
        raise GoldenError(
            f"{place}: there is no such table of labels{did_you_mean(path.name, beside)}",
            next_step="set golden.labels to the CSV that has them",
        ) from None
    except UnicodeDecodeError as error:
        raise GoldenError(
            f"{place}: byte {error.start} is not UTF-8, so this is no table of labels", next_step="save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise GoldenError(f"{place}:{reader.line_num}: not CSV: {error}", next_step="correct the line") from None
    except FileTooLarge:
        raise GoldenError(f"{place} has more than {MAX_BYTES} bytes: it is no table of labels") from None
    except OSError as error:
        raise GoldenError(f"{place} cannot be read: {error.strerror or error}", next_step="name a CSV file") from None


def _check_header(header: list[str], cluster: str | None, place: str) -> None:
    problems = [f"{place}: the column {name!r} occurs twice" for name, n in Counter(header).items() if n > 1]
    problems += [
        f"{place}: there is no column {name!r}{did_you_mean(name, header)}; found: {join_names(header)}"
        for name in (FILE, LABEL, cluster)
        if name is not None and name not in header
    ]
    refuse(problems, f"the header needs {FILE!r} and {LABEL!r}, and the column that golden.cluster names")


def _label_problems(rows: Sequence[LabelRow], classes: Sequence[str], place: str) -> list[str]:
    known = set(classes)
    return [
        f"{place}:{row.line}: {row.file} is labelled {row.label!r}, which is no class of the contract"
        f"{did_you_mean(row.label, classes) or ';'} classes: {join_names(classes)}"
        for row in rows
        if row.label not in known
    ]


def _file_problems(rows: Sequence[LabelRow], place: str) -> list[str]:
    """Find file names that are missing, lead outside the folder, or repeat on a case-insensitive file system."""
    problems: list[str] = []
    first: dict[str, LabelRow] = {}
    for row in rows:
        parts = row.file.split("/")
        if not row.file or row.file.isspace():
            problems.append(f"{place}:{row.line}: the name of the image is missing")
        elif parts[0] == "" or ".." in parts:
            problems.append(f"{place}:{row.line}: {row.file!r} leads out of the folder of images")
        elif "\\" in row.file or ":" in parts[0] or not {"", "."}.isdisjoint(parts):
            problems.append(f"{place}:{row.line}: {row.file!r} is not a plain path with forward slashes")
        elif (before := first.setdefault(row.file.casefold(), row)) is not row:
            same = "is named already" if before.file == row.file else f"differs only in case from {before.file!r}"
            problems.append(f"{place}:{row.line}: {row.file!r} {same} on line {before.line}")
    return problems
