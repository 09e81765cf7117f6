"""The command ``eyerace-parity``: everything around the gate that is not a pytest run.

Exit codes are pytest's, so that a release job needs to know one table only:

====  ===================================================================
0     done; for ``judge`` and ``report``: every clause held
1     a clause did not hold, an artefact could not be built or measured, a worker does not conform
2     interrupted
3     a fault of the program itself
4     the contract, a file or an option is wrong
====  ===================================================================
"""

from __future__ import annotations

import argparse
import importlib
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from eyerace_parity.cli.registry import all_commands, owner_of
from eyerace_parity.contract.options import OPTIONS
from eyerace_parity.contract.settings import resolve
from eyerace_parity.core.errors import ContractError, ParityError, RecordError
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.extending.loading import activated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from eyerace_parity.cli.registry import Command

    class CommandModule(Protocol):
        """A module that is one command."""

        def add_arguments(self, parser: argparse.ArgumentParser) -> None:
            """Declare the command's options."""

        def run(self, options: argparse.Namespace) -> int:
            """Do it, and say with which exit code it ended."""


class Exit(IntEnum):
    """How a command ends; the numbers are pytest's."""

    DONE = 0
    NOT_HELD = 1
    INTERRUPTED = 2
    FAULT = 3
    USAGE = 4


DISABLE: Final = next(option for option in OPTIONS if option.name == "disable")
"""The option of the gate that takes an extension away."""


class Parser(argparse.ArgumentParser):
    """argparse, ending with the gate's own code for a wrong option."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and leave."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: error: {message}\n")


def build_parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Build the parser with all commands; none of them is imported before it is chosen."""
    from eyerace_parity import __version__  # noqa: PLC0415 - keeps the package's face lazy

    parser = Parser(
        prog="eyerace-parity",
        description="Tools around the parity gate for exported models. The gate itself: pytest --eyerace-parity",
        epilog="exit codes: 0 done or held, 1 not held, 2 interrupted, 3 a fault of the program, 4 wrong usage",
    )
    parser.add_argument("--version", action="version", version=f"eyerace-parity {__version__}")
    parser.add_argument(DISABLE.flag("--"), **DISABLE.argument() | {"dest": "disabled"})
    shown = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in commands.items():
        shown.add_parser(name, help=command.summary, description=_sentence(command.summary), add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; no error of the user ends in a traceback."""
    disable_telemetry()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except (ContractError, RecordError) as error:
        return _complain(error, Exit.USAGE)
    except ParityError as error:
        return _complain(error, Exit.NOT_HELD)
    except KeyboardInterrupt:
        print("eyerace-parity: interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`): not a fault of ours, and nothing more can be said to it.
        sys.stderr.close()
        return Exit.DONE


def _run(given: Sequence[str]) -> int:
    """Choose a command, with the extensions that take part in it, and run it."""
    taken_away, words = _disabling().parse_known_args(given)
    typed = next((word for word in words if not word.startswith("-")), "")
    known = all_commands().get(typed)
    foreign = bool(typed) if known is None else known.judges
    settings = resolve(command_line={DISABLE.name: taken_away.disabled}, root=Path.cwd(), prefix="--")
    with activated(settings.load_extensions(foreign=foreign)) as extensions:
        added = tuple(command for owner, command in extensions.additions("commands") if owner.foreign)
        commands = all_commands(added)
        chosen, rest = build_parser(commands).parse_known_args(words)
        if owner := owner_of(chosen.command):
            extensions.require(owner, f"the command {chosen.command!r}")
        command = commands[chosen.command]
        module: CommandModule = importlib.import_module(command.module)
        parser = Parser(prog=f"eyerace-parity {command.name}", description=_sentence(command.summary))
        module.add_arguments(parser)
        return module.run(parser.parse_args(rest))


def _disabling() -> argparse.ArgumentParser:
    """Reads what is disabled, before it is known which commands there are."""
    parser = Parser(prog="eyerace-parity", add_help=False, allow_abbrev=False)
    parser.add_argument(DISABLE.flag("--"), dest="disabled", action="append")
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _complain(error: ParityError, code: Exit) -> int:
    print(f"eyerace-parity: {error}", file=sys.stderr)
    return code
