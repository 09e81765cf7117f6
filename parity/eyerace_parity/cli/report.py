"""``eyerace-parity report``: show a finished run's record, merge several, or compare two, and end as they ended."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.cli.options import add_contract, say, settings_of
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.extending.loading import active
from eyerace_parity.record.files import read_record
from eyerace_parity.report import comparison as comparison_

if TYPE_CHECKING:
    import argparse

    from eyerace_parity.cli.registry import Merging
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.record.comparison import Comparison
    from eyerace_parity.record.document import Record

MERGED: Final = Path("build/parity/matrix.json")
"""Where a merged record is written, unless another place is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "records",
        type=Path,
        nargs="*",
        metavar="RECORD",
        help="a record, e.g. build/parity/record.json; several, or a folder of them, are merged into one table",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help="tell what changed between two records",
    )
    parser.add_argument("--html", type=Path, metavar="PATH", help="draw it as one HTML page too, which opens offline")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, as for a pull request's comment")
    parser.add_argument(
        "--merged",
        type=Path,
        metavar="PATH",
        help=f"merge, even a single record, and write the merged record there (default: {display_path(MERGED)})",
    )
    parser.add_argument(
        "--versions",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="VERSION,…",
        help="of the versions that the contract's matrix declares, merge these only",
    )
    add_contract(parser, "jobs")


def run(options: argparse.Namespace) -> int:
    """Draw the record's table and verdicts; of several, the table of all; of two, what changed."""
    _check(options)
    if options.compare is not None:
        return _compare(options)
    single = len(options.records) == 1 and not options.records[0].is_dir()
    for merging in _mergers():
        if single and merging.reads(options.records[0]):
            return merging.show(options)
    if not single or options.merged is not None or options.versions:
        active().require("matrix", "merging records")
        return _mergers()[0].merge(options)
    record = read_record(options.records[0])
    if options.markdown:
        from eyerace_parity.report.markdown import render  # noqa: PLC0415 - only once it is needed
        from eyerace_parity.report.view.run import run_view  # noqa: PLC0415

        write_markdown(render(run_view(record)))
    else:
        show(record)
    if options.html is not None:
        draw_page(record, options.html, settings_of(options))
        name_place(options, f"page: {display_path(options.html)}")
    return exit_code(record)


def _check(options: argparse.Namespace) -> None:
    """Refuse what makes no sense together, before anything is read.

    Raises:
        RecordError: It does not.
    """
    again = "name a record, e.g. build/parity/record.json; `eyerace-parity report --help` tells the rest"
    if options.compare is not None and (options.records or options.merged is not None or options.versions):
        raise RecordError("--compare takes two records, and nothing is merged beside it", next_step=again)
    if options.compare is None and not options.records:
        raise RecordError("no record is named", next_step=again)
    if options.html is None:
        return
    from eyerace_parity.report.html import require_page  # noqa: PLC0415 - only once it is needed

    require_page()
    if options.html.is_dir():
        raise RecordError(f"--html: {display_path(options.html)} is a folder", next_step="name a file, e.g. page.html")
    read = [*options.records, *(options.compare or ()), *([options.merged] if options.merged is not None else [])]
    if any(file.resolve() == options.html.resolve() for file in read):
        raise RecordError(
            f"{display_path(options.html)} would be written over a record", next_step="name another place with --html"
        )


def draw_page(record: Record, path: Path, settings: Settings) -> None:
    """Draw a record as a page.

    Raises:
        ContractError: What draws it is not installed.
        RecordError: The page cannot be written.
    """
    from eyerace_parity.release.history import accepted_of  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.report.html import write_page  # noqa: PLC0415

    write_page(path, record, Path.cwd(), jobs=settings.jobs, accepted=accepted_of)


def _compare(options: argparse.Namespace) -> int:
    """Tell what changed from one record to another, and end with 1 if anything became worse."""
    from eyerace_parity.record import comparison  # noqa: PLC0415 - only once it is needed

    for path in options.compare:
        if any(merging.reads(path) for merging in _mergers()):
            raise RecordError(f"{display_path(path)} is a merged record", next_step="compare records of single runs")
    before, after = (read_record(path) for path in options.compare)
    found: Comparison = comparison.compare(before, after, _names(*options.compare))
    if options.markdown:
        write_markdown(comparison_.render(found))
    else:
        print(comparison_.draw(found, **stream_of()), end="")
    if options.html is not None:
        from eyerace_parity.report.html import write_comparison_page  # noqa: PLC0415

        write_comparison_page(options.html, found)
        name_place(options, f"page: {display_path(options.html)}")
    return 1 if comparison.worse(found) else 0


def _names(before: Path, after: Path) -> tuple[str, str]:
    """What two records are called: their files' names, or as much of their places as tells them apart."""
    if before.name != after.name:
        return before.stem, after.stem
    return display_path(before), display_path(after)


def name_place(options: argparse.Namespace, place: str) -> None:
    """Say where something was written; beside Markdown, which goes on into a comment, on the other stream."""
    say(place, sys.stderr if options.markdown else sys.stdout)


def write_markdown(text: str) -> None:
    """Write Markdown in UTF-8, whatever the terminal takes: it is on its way into a file or a comment."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    print(text, end="")


def show(record: Record) -> None:
    """Print a record as the gate prints it."""
    from eyerace_parity.report.terminal import draw  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.report.view.run import run_view  # noqa: PLC0415

    print(draw(run_view(record), **stream_of()), end="")


def exit_code(record: Record) -> int:
    """0 if every contract is held as a whole, else 1."""
    return 0 if record.contracts and all(entry.outcome == "held" for entry in record.contracts) else 1


def files_of(given: list[Path]) -> list[Path]:
    """The records that are named, each once; of a folder, all that look like one."""
    files: list[Path] = []
    for path in given:
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    return list(dict.fromkeys(files))


def _mergers() -> tuple[Merging, ...]:
    """Who merges records; nobody where the extension that does takes no part."""
    return tuple(merging for _, merging in active().additions("record_mergers"))


def stream_of() -> dict[str, Any]:
    """Width, colour and encoding of standard output, as those who draw on it take them."""
    stream = sys.stdout
    forced = bool(os.environ.get("FORCE_COLOR"))
    colour = forced or (stream.isatty() and not os.environ.get("NO_COLOR"))
    width = shutil.get_terminal_size((120, 24)).columns
    return {"width": width, "colour": colour, "encoding": stream.encoding}
