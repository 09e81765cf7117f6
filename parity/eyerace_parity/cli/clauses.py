"""``eyerace-parity clauses``: everything that a contract can demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.checks.registry import describe_clauses
from eyerace_parity.report.tables import print_table

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--markdown", action="store_true", help="as a table for a document")


def run(options: argparse.Namespace) -> int:
    """Print one row a clause, from the registry itself."""
    rows = [(one.check, one.clause, one.key, one.type, one.default, one.summary) for one in describe_clauses()]
    header = ("check", "clause", "limit in the contract", "type", "default", "what holds")
    print_table(header, rows, markdown=options.markdown)
    return 0
