"""Options that several commands share; those that the gate has too are spelt and settled alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.options import DEFAULT_CONTRACTS, all_options, default_contract
from eyerace_parity.contract.settings import resolve
from eyerace_parity.core.errors import ContractError
from eyerace_parity.report.view.words import signs_for

if TYPE_CHECKING:
    import argparse

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings


def add_contract(parser: argparse.ArgumentParser, *others: str) -> None:
    """Add ``--contract``, ``--set``, and further options of the gate by their names."""
    parser.add_argument(
        "--contract",
        type=Path,
        metavar="PATH",
        help=f"the contract; {', else '.join(DEFAULT_CONTRACTS)}, if not given",
    )
    for option in all_options():
        if option.name in {"set", *others}:
            parser.add_argument(option.flag("--"), **option.argument())


def settings_of(options: argparse.Namespace) -> Settings:
    """Settle the options: command line, environment, default."""
    given = {option.name: getattr(options, option.dest, None) for option in all_options()}
    return resolve(command_line=given, root=Path.cwd(), prefix="--")


def contract_of(options: argparse.Namespace) -> Contract:
    """Open the contract that the options name.

    Raises:
        ContractError: There is none, or it is wrong.
    """
    path = options.contract or default_contract(Path())
    if path is None:
        raise ContractError(
            f"no contract: there is no {' or '.join(DEFAULT_CONTRACTS)} here",
            next_step="name one with --contract PATH, or write one with `eyerace-parity init MODEL.onnx`",
        )
    contract = open_contract(path, settings_of(options).overrides())
    for note in contract.notes:
        say(note, sys.stderr)
    return contract


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line in signs that the terminal can take; on standard output if no other stream is given."""
    stream = stream or sys.stdout
    print(signs_for(stream.encoding).text(line), file=stream)
