"""``eyerace-parity worker check COMMAND…``: does a worker of anybody's speak the protocol?"""

from __future__ import annotations

import argparse

from eyerace_parity.core.errors import ContractError
from eyerace_parity.isolation.conformance import SECONDS, check
from eyerace_parity.isolation.conformance_cases import CASES
from eyerace_parity.report.tables import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="try a worker against every operation and every fault of the protocol")
    check.add_argument("--seconds", type=_seconds, metavar="N", help="longest wait for any one thing; 60 if not given")
    check.add_argument("worker", nargs=argparse.REMAINDER, metavar="COMMAND", help="what starts it, with its arguments")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a time in seconds, above 0")
    return value


def run(options: argparse.Namespace) -> int:
    """Try a worker, print a table of what conforms, and end with 1 if anything does not.

    Raises:
        ContractError: There is no command, or it cannot be started.
    """
    command = options.worker[1:] if options.worker[:1] == ["--"] else options.worker
    if not command:
        raise ContractError(
            "no command: there is no worker to try", next_step="eyerace-parity worker check python worker.py"
        )
    results = check(command, CASES, options.seconds or SECONDS)
    rows = [
        (result.case.area, result.case.name, "no" if result.failure else "yes", result.failure) for result in results
    ]
    print_table(("", "what it must do", "conforms", "what it did"), rows)
    failed = sum(bool(result.failure) for result in results)
    print(f"\n{len(results) - failed} of {len(results)} conform")
    return 1 if failed else 0
