"""``eyerace-parity export``: build what the recipes name."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from eyerace_parity.cli.options import add_contract, contract_of, settings_of
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import join_names
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.recipes.build import build_variant, content_of
from eyerace_parity.recipes.lineage import chain_of
from eyerace_parity.report.progress import command_progress

if TYPE_CHECKING:
    import argparse

    from eyerace_parity.contract.model import Contract


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_contract(parser, "in_process", "progress")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="what to build; every variant that has a recipe")
    parser.add_argument("--rebuild", action="store_true", help="build again what is there already")


def run(options: argparse.Namespace) -> int:
    """Build, in an order in which each source comes before what is made from it."""
    contract, settings = contract_of(options), settings_of(options)
    wanted = options.variants or [name for name in contract.variants if contract.recipe_of(name)]
    _refuse_strangers(contract, wanted)
    progress = command_progress(settings.progress)
    # In a process that may die, unless a debugger is to see it.
    with nullcontext() if settings.in_process else closing(IsolatedWorker()) as isolated:
        make = content_of if isolated is None else isolated.make
        for name in sorted(wanted, key=lambda name: len(chain_of(contract, name))):
            path = contract.path(contract.variants[name].path)
            if path.is_file() and not options.rebuild:
                print(f"{name}: {display_path(path)} is there; --rebuild makes it again")
                continue
            built = build_variant(contract, name, progress, make)
            print(f"{name}: {display_path(built)}, {built.stat().st_size / 1e6:.2f} MB")
    return 0


def _refuse_strangers(contract: Contract, wanted: list[str]) -> None:
    for name in wanted:
        if name not in contract.variants:
            raise ContractError(f"there is no variant {name!r}", next_step=f"variants: {join_names(contract.variants)}")
        if contract.recipe_of(name) is None:
            raise ContractError(
                f"variant {name!r} has no recipe", next_step=f"add [variants.{name}.recipe], or bring the file yourself"
            )
    if not wanted:
        raise ContractError("no variant of this contract has a recipe", next_step="add [variants.NAME.recipe]")
