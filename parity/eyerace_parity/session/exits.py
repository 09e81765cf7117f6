"""With which code a run ends. It follows from what was judged, and not from what pytest's reports say of it.

Another plugin may call a broken clause an expected failure, skip it, or keep its item from running; pytest then ends in
0. docs/exit-codes.md lists the ways and what each gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from eyerace_parity.core.numbers import pluralise
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

_REPORTS: Final = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test", "cacheshow")
"""Options with which pytest reports something, and runs no test."""

_NAMED: Final = 3
"""Clauses that a reason names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What the exit code follows from.

    Attributes:
        fallen: Verdicts other than held, in words.
        missing: Clauses without a verdict that this command line did not leave out, by the reason.
        judged: Number of clauses with a verdict, of the contracts that the run judges.
        marked: Whether a test that is marked ``parity`` ran.
        unkept: Whether something that was asked for could not be done, such as writing the record.
    """

    fallen: Sequence[str]
    missing: Mapping[str, Sequence[str]]
    judged: int
    marked: bool
    unkept: bool


def exit_of(status: int, ran: Ran) -> tuple[int, str]:
    """Find the exit code.

    Args:
        status: The one that pytest found.
        ran: What was judged.

    Returns:
        The exit code, and why it is not the one that pytest found; an empty text where nothing is to be said.
    """
    green = status == pytest.ExitCode.OK
    if not green and status != pytest.ExitCode.NO_TESTS_COLLECTED:
        return status, ""
    failed = int(pytest.ExitCode.TESTS_FAILED)
    if ran.fallen:
        return failed, f"not held, whatever pytest reports: {join_names(ran.fallen, most=_NAMED)}"
    if ran.missing:
        missing = (
            f"{pluralise(len(names), 'clause')} {why} ({join_names(names, most=_NAMED)})"
            for why, names in ran.missing.items()
        )
        return failed, f"not judged, and not deselected by this command line: {'; '.join(missing)}"
    if not ran.judged and not ran.marked:
        return int(pytest.ExitCode.NO_TESTS_COLLECTED), "neither a clause nor a test marked 'parity' ran"
    if not ran.judged:
        return failed, "no contract judged: only tests marked 'parity' ran"
    return (failed if ran.unkept else status), ""


def runs_nothing(options: argparse.Namespace) -> bool:
    """Whether options ask for a report of pytest's, for which no test runs."""
    return any(getattr(options, name, False) for name in _REPORTS)
