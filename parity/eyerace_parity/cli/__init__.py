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
from typing import TYPE_CHECKING, NoReturn

from eyerace_parity.core.errors import ContractError, ParityError, RecordError
from eyerace_parity.core.machine import disable_telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Command(Protocol):
        """A module of this package that is one command."""

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


COMMANDS = {
    "init": "write a starting contract from an .onnx file",
    "export": "build the artefacts that a contract's recipes name",
    "record": "freeze the outputs of the torch variants, so that a machine without torch can judge",
    "judge": "judge a finished run again under changed limits, without an inference",
    "verdict": "decide by a finished run's record whether a contract is held, in a process that no conftest can reach",
    "report": "show a finished run's record",
    "release": "keep a release that later candidates are judged against, and look at those that are",
    "flips": "list the images that two variants decide differently, and accept those that are known",
    "arm64": "bring, show or remove what the emulated processors need, without root",
    "selftest": "prove that the gate sees what it claims to see, by faults planted in a copy of the bundle",
    "worker": "try a worker of any language against the worker protocol",
    "clauses": "list everything that a contract can demand",
    "doctor": "say what this machine can and cannot do, and how to get it",
}


class Parser(argparse.ArgumentParser):
    """argparse, ending with the gate's own code for a wrong option."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, and leave."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with all commands; none of them is imported before it is chosen."""
    from eyerace_parity import __version__  # noqa: PLC0415 - keeps the package's face lazy

    parser = Parser(
        prog="eyerace-parity",
        description="Tools around the parity gate for exported models. The gate itself: pytest --eyerace-parity",
        epilog="exit codes: 0 done or held, 1 not held, 2 interrupted, 3 a fault of the program, 4 wrong usage",
    )
    parser.add_argument("--version", action="version", version=f"eyerace-parity {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; no error of the user ends in a traceback."""
    disable_telemetry()
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen, rest = build_parser().parse_known_args(given)
    command: Command = importlib.import_module(f"eyerace_parity.cli.{chosen.command}")
    summary = COMMANDS[chosen.command]
    parser = Parser(prog=f"eyerace-parity {chosen.command}", description=f"{summary[0].upper()}{summary[1:]}.")
    command.add_arguments(parser)
    try:
        return command.run(parser.parse_args(rest))
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


def _complain(error: ParityError, code: Exit) -> int:
    print(f"eyerace-parity: {error}", file=sys.stderr)
    return code
