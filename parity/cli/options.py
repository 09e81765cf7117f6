"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parity.errors import ContractError

if TYPE_CHECKING:
    import argparse

    from parity.contract.model import Contract

DEFAULT_CONTRACTS = (Path("golden/contract.toml"), Path("parity.toml"))


def add_contract(parser: argparse.ArgumentParser) -> None:
    """Add ``--contract`` and ``--set``."""
    parser.add_argument(
        "--contract",
        type=Path,
        metavar="PATH",
        help="the contract; golden/contract.toml, else parity.toml, if not given",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a value of the contract, e.g. variants.int8.limits.quality.f1=0.9; repeatable",
    )


def contract_of(options: argparse.Namespace) -> Contract:
    """Open the contract that the options name.

    Raises:
        ContractError: There is none, or it is wrong.
    """
    from parity.checks.registry import open_contract  # noqa: PLC0415 - only once it is needed
    from parity.contract.overrides import parse_override  # noqa: PLC0415

    path = options.contract or next((path for path in DEFAULT_CONTRACTS if path.is_file()), None)
    if path is None:
        names = " or ".join(path.as_posix() for path in DEFAULT_CONTRACTS)
        raise ContractError(f"no contract: there is no {names} here", next_step="name one with --contract PATH")
    return open_contract(path, [parse_override(text, "command line") for text in options.overrides])
