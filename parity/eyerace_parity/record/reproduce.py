"""Shell commands that reproduce a run."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Final

from eyerace_parity.contract.options import OptionKind, all_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eyerace_parity.record.document import ContractEntry, Record, Setting

_ENVIRONMENT: Final = "environment "
_LISTED: Final = ", "  # as settings write several values
_SET: Final = "--eyerace-parity-set"
_RECORD: Final = "build/parity/record.json"


def command_of(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The words of a command line that does what this process was asked to do.

    Args:
        arguments: What pytest was given.
        environ: The environment, which may add to it; ``os.environ`` by default.
    """
    added = (os.environ if environ is None else environ).get("PYTEST_ADDOPTS", "")
    return ("pytest", *shlex.split(added), *arguments)


def reproduce_commands(record: Record, entry: ContractEntry) -> tuple[str, ...]:
    """Return the commands that reproduce a contract's verdicts, from the root of the run.

    Args:
        record: The record.
        entry: The contract in it.
    """
    words = list(record.command)
    if words:
        words += _said_in_environment(record, entry)
    else:  # a record of a tool that kept no command line
        words = ["pytest", "--eyerace-parity", entry.file]
        words += [] if entry.judged_again else _sets(entry.overrides, _SET)
    run = shlex.join(words)
    lines = [f"cd {shlex.quote(record.folder)} && {run}" if record.folder else run]
    if entry.judged_again:
        kept = next((str(setting.value) for setting in record.settings if setting.key == "record"), _RECORD)
        lines.append(
            shlex.join(["eyerace-parity", "judge", kept, "--contract", entry.file, *_sets(entry.overrides, "--set")])
        )
    return tuple(lines)


def _said_in_environment(record: Record, entry: ContractEntry) -> Iterator[str]:
    """Environment variables as options, so that the commands work in any shell."""
    stated = {setting.key: setting for setting in record.settings if setting.origin.startswith(_ENVIRONMENT)}
    for option in all_options():
        if option.name not in stated or option.name == "set":
            continue
        value = str(stated[option.name].value)
        if option.kind is OptionKind.FLAG:
            yield from [option.flag()] if value == str(True) else []
        else:
            for one in value.split(_LISTED) if option.several else [value]:
                yield from (option.flag(), one)
    if not entry.judged_again:
        yield from _sets([one for one in entry.overrides if one.origin.startswith(_ENVIRONMENT)], _SET)


def _sets(overrides: Iterable[Setting], flag: str) -> Iterator[str]:
    for override in overrides:
        value = override.value if isinstance(override.value, str) else json.dumps(override.value)
        yield from (flag, f"{override.key}={value}")
