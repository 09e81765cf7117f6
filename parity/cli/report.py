"""``eyerace-parity report``: show a finished run's record, or merge several, and end as they ended."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity.cli.options import add_contract, contract_of
from parity.errors import RecordError
from parity.places import shown
from parity.report.files import is_merged, read_merged, read_record, write_merged

if TYPE_CHECKING:
    import argparse

    from parity.report.document import Record
    from parity.report.merged import Merged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "records",
        type=Path,
        nargs="+",
        metavar="RECORD",
        help="a record, e.g. build/parity/record.json; several, or a folder of them, are merged into one table",
    )
    parser.add_argument(
        "--merged", type=Path, metavar="PATH", help="merge, even a single record, and write the merged record there"
    )
    parser.add_argument(
        "--versions",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="VERSION,…",
        help="of the versions that the contract's matrix declares, merge these only",
    )
    add_contract(parser)


def run(options: argparse.Namespace) -> int:
    """Draw the record's table and verdicts; of several, the table of all."""
    single = len(options.records) == 1 and not options.records[0].is_dir()
    if single and is_merged(options.records[0]):
        return _end(read_merged(options.records[0]))
    if not single or options.merged is not None or options.versions:
        return _merge(options)
    record = read_record(options.records[0])
    show(record)
    return exit_code(record)


def show(record: Record) -> None:
    """Print a record as the gate prints it."""
    from parity.report.terminal import draw  # noqa: PLC0415 - only once it is needed

    print(draw(record, **_stream()), end="")


def exit_code(record: Record) -> int:
    """0 if every contract is held as a whole, else 1."""
    return 0 if record.contracts and all(entry.outcome == "held" for entry in record.contracts) else 1


def _merge(options: argparse.Namespace) -> int:
    """Merge records under the contract, whose matrix says which must be there."""
    from parity.report.matrix import merge  # noqa: PLC0415 - only once it is needed

    target: Path | None = options.merged
    files = [file for file in _files(options.records) if target is None or not _is_old(file, target)]
    if target is not None and any(file.resolve() == target.resolve() for file in files):
        reason = f"{shown(target)} would be written over a record that is merged"
        raise RecordError(reason, next_step="name another place with --merged")
    merged = merge(contract_of(options), files, options.versions)
    code = _end(merged)
    if target is not None:
        write_merged(target, merged)
        print(f"merged record: {shown(target)}")
    return code


def _end(merged: Merged) -> int:
    """Print a merged record, and say how it ends."""
    from parity.report.matrix_terminal import draw_matrix  # noqa: PLC0415 - only once it is needed

    print(draw_matrix(merged, **_stream()), end="")
    return 0 if merged.outcome == "held" else 1


def _files(given: list[Path]) -> list[Path]:
    """The records that are named, each once; of a folder, all that look like one."""
    files: list[Path] = []
    for path in given:
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    return list(dict.fromkeys(files))


def _is_old(file: Path, target: Path) -> bool:
    """Whether a file is what an earlier merge has written to the same place, in the folder of the records."""
    return file.resolve() == target.resolve() and is_merged(file)


def _stream() -> dict[str, Any]:
    stream = sys.stdout
    forced = bool(os.environ.get("FORCE_COLOR"))
    colour = forced or (stream.isatty() and not os.environ.get("NO_COLOR"))
    width = shutil.get_terminal_size((120, 24)).columns
    return {"width": width, "colour": colour, "encoding": stream.encoding}
