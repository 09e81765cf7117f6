"""The exit code of a run. It follows from the verdicts, not from pytest's reports.

Another plugin may mark a broken clause as an expected failure, skip it, or keep its item from running; pytest then ends
with 0. docs/exit-codes.md lists these cases.
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
"""Options with which pytest reports something and runs no test."""

_NAMED: Final = 3
"""Clauses that a reason names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Ran:
    """Everything that decides the exit code.

    Attributes:
        fallen: Verdicts other than held, as text.
        missing: Clauses without a verdict that this command line did not deselect, by reason.
        judged: Number of clauses with a verdict.
        marked: Whether a test marked ``parity`` ran.
        unkept: Whether a requested action failed, such as writing the record.
    """

    fallen: Sequence[str]
    missing: Mapping[str, Sequence[str]]
    judged: int
    marked: bool
    unkept: bool


def exit_of(status: int, ran: Ran) -> tuple[int, str]:
    """Return the exit code.

    Args:
        status: pytest's own exit code.
        ran: What was judged.

    Returns:
        The exit code, and why it differs from pytest's; an empty text if there is nothing to say.
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
    """Whether the options request a report for which no test runs."""
    return any(getattr(options, name, False) for name in _REPORTS)
