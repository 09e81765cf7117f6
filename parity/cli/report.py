"""``eyerace-parity report``: show a finished run's record, and end as the run ended."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parity.report.files import read_record

if TYPE_CHECKING:
    import argparse

    from parity.report.document import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("record", type=Path, metavar="RECORD", help="a record, e.g. build/parity/record.json")


def run(options: argparse.Namespace) -> int:
    """Draw the record's table and verdicts."""
    record = read_record(options.record)
    show(record)
    return exit_code(record)


def show(record: Record) -> None:
    """Print a record as the gate prints it."""
    from parity.report.terminal import draw  # noqa: PLC0415 - only once it is needed

    stream = sys.stdout
    forced = bool(os.environ.get("FORCE_COLOR"))
    colour = forced or (stream.isatty() and not os.environ.get("NO_COLOR"))
    width = shutil.get_terminal_size((120, 24)).columns
    print(draw(record, width=width, colour=colour, encoding=stream.encoding), end="")


def exit_code(record: Record) -> int:
    """0 if every contract is held as a whole, else 1."""
    return 0 if record.contracts and all(entry.outcome == "held" for entry in record.contracts) else 1
