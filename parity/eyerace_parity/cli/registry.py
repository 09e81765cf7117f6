"""Every command of ``eyerace-parity``: our own, and those that extensions bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eyerace_parity.extending.shipped import FOLDER, SHIPPED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        name: What is typed.
        summary: One line for the help.
        module: Module with ``add_arguments(parser)`` and ``run(options) -> int``; imported once it is chosen.
        judges: Whether it opens contracts, so that the extensions of other packages take part.
    """

    name: str
    summary: str
    module: str
    judges: bool = True


@dataclass(frozen=True, slots=True)
class Merging:
    """How several records become one, and how that one is shown.

    Attributes:
        reads: Whether a file is a merged record.
        show: Called with the options of ``report``; shows the merged record that they name, returns an exit code.
        merge: Called with them; merges the records that they name, returns an exit code.
    """

    reads: Callable[[Path], bool]
    show: Callable[[argparse.Namespace], int]
    merge: Callable[[argparse.Namespace], int]


def _own(name: str, summary: str, *, judges: bool = True) -> Command:
    return Command(name, summary, f"eyerace_parity.cli.{name}", judges)


COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command
    for command in (
        _own("init", "write a starting contract from an .onnx file", judges=False),
        _own("export", "build the artefacts that a contract's recipes name"),
        _own("record", "freeze the outputs of the torch variants, so that a machine without torch can judge"),
        _own("judge", "judge a finished run again under changed limits, without an inference"),
        _own(
            "verdict",
            "decide by a finished run's record whether a contract is held, in a process that no conftest can reach",
        ),
        _own("report", "show a finished run's record"),
        _own("release", "keep a release that later candidates are judged against, and look at those that are"),
        _own("flips", "list the images that two variants decide differently, and accept those that are known"),
        _own("worker", "try a worker of any language against the worker protocol", judges=False),
        _own("clauses", "list everything that a contract can demand", judges=False),
        _own("doctor", "say what this machine can and cannot do, and how to get it"),
    )
}
"""Commands of the core, in the order of the help."""


def all_commands(added: Iterable[Command] = ()) -> dict[str, Command]:
    """Commands by name: those of the core, of our own extensions, and the ones that are given.

    Those of our own extensions stand here although the extension may be disabled: choosing one then says so.
    """
    own = {
        each.name: Command(each.name, each.summary, f"{FOLDER}.{shipped.name}.{each.name}_command", each.judges)
        for shipped in SHIPPED
        for each in shipped.commands
    }
    return {**COMMANDS, **own, **{command.name: command for command in added}}


def owner_of(name: str) -> str:
    """Name the extension of ours that brings a command, or return an empty string."""
    return next((each.name for each in SHIPPED if name in [command.name for command in each.commands]), "")
