"""``eyerace-parity verdict``: decide by a finished run's record, in a process that no conftest can reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli.options import say
from eyerace_parity.core.files import display_path
from eyerace_parity.record.files import read_record
from eyerace_parity.report.view.run import run_view

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.record.document import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("record", type=Path, metavar="RECORD", help="the run, e.g. build/parity/record.json")
    parser.add_argument("--contract", type=Path, metavar="PATH", required=True, help="the contract that must be held")
    parser.add_argument("--full", action="store_true", help="every clause must have been judged, none left out")


def run(options: argparse.Namespace) -> int:
    """Print the verdict, and what speaks against it; 0 only where nothing does."""
    record = read_record(options.record)
    # As the file says: overrides from the environment may have been what made the run green.
    faults = list(objections(record, open_contract(options.contract, ()), full=options.full))
    for contract in run_view(record).contracts:
        say(contract.headline)
    for fault in faults:
        say(f"eyerace-parity: {display_path(options.record)}: {fault}")
    return 1 if faults else 0


def objections(record: Record, contract: Contract, *, full: bool) -> Iterator[str]:
    """Say why a record does not show that a contract is held.

    Args:
        record: The record.
        contract: The contract, without overrides.
        full: Whether clauses that were not judged speak against it.
    """
    entry = next((entry for entry in record.contracts if entry.name == contract.name), None)
    if entry is None:
        yield f"it is of another contract: {', '.join(entry.name for entry in record.contracts)}, not {contract.name}"
        return
    if entry.cell:
        yield "it is of one cell of the matrix, which judges a part of the contract"
    if entry.digest != contract.digest:
        changed = "".join(f"; {override.key} was set by {override.origin}" for override in entry.overrides)
        yield f"the contract that was judged is not this file as it is now{changed}"
    planned = {clause.identity for clause in plan(contract)}
    missing = record.unjudged_of(entry.name)
    rows = {row.identity for row in (*record.verdicts_of(entry.name), *missing)}
    if rows != planned:
        differ = sorted(map(str, rows ^ planned))
        yield f"its clauses are not those of the contract: {len(differ)} differ, first {differ[0]}"
    for row in record.verdicts:
        if not row.status.passes:
            yield f"{row.contract}: {row.identity} is {row.status}"
    if full:
        left_out = [entry.name for entry in record.contracts if record.unjudged_of(entry.name)]
        yield from (f"{name}: {len(record.unjudged_of(name))} clauses were not judged" for name in left_out)
    if not record.verdicts_of(entry.name):
        yield "no clause of the contract was judged"
