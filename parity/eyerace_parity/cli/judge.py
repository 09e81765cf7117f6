"""``eyerace-parity judge``: judge a finished run again under changed limits, without an inference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.cli.options import add_contract, contract_of, settings_of
from eyerace_parity.cli.report import exit_code, show
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.files import read_record, write_record
from eyerace_parity.record.rejudge import judge_again
from eyerace_parity.record.summaries import with_summaries

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("record", type=Path, metavar="RECORD", help="the run, e.g. build/parity/record.json")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="PATH", help="write the new record there; never over the old"
    )
    add_contract(parser, "cache")


def run(options: argparse.Namespace) -> int:
    """Judge the record's evidence by the contract as it is now."""
    if options.output is not None and options.output.resolve() == options.record.resolve():
        reason = f"{display_path(options.output)} would be written over the record that is judged"
        raise RecordError(reason, next_step="name another place with --output")
    record = read_record(options.record)
    settings = settings_of(options)
    contract = contract_of(options)
    store = EvidenceCache(settings.cache)
    judged = judge_again(record, contract, store, settings.overrides())
    show(judged)
    if options.output is not None:
        judged = with_summaries(judged, {contract.name: contract}, store)
        write_record(options.output, judged)
        print(f"record: {display_path(options.output)}")
    return exit_code(judged)
