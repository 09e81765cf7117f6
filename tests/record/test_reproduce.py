"""The command that does a run again is the one that was typed, with what the environment added to it."""

from __future__ import annotations

import pytest

from eyerace_parity.record.document import Setting
from eyerace_parity.record.reproduce import command_of, reproduce_commands
from tests.record.records import record, verdict

OVERRIDE = Setting(key="variants.int8.limits.quality.f1", value=0.5, origin="command line --eyerace-parity-set")


def told(*, judged_again: bool = False, overrides: tuple[Setting, ...] = (), **fields: object) -> tuple[str, ...]:
    """The commands of a record."""
    made = record([verdict("f1")]).model_copy(update=fields)
    changed = {"judged_again": judged_again, "overrides": overrides}
    return reproduce_commands(made, made.contracts[0].model_copy(update=changed))


def test_what_was_typed_is_quoted_for_a_shell() -> None:
    """Expressions with blanks stay one word."""
    words = command_of(["--eyerace-parity", "-k", "not arm64"], {"PYTEST_ADDOPTS": "-p no:cacheprovider"})
    assert told(command=words) == ("pytest -p no:cacheprovider --eyerace-parity -k 'not arm64'",)


def test_it_is_typed_where_it_was_typed() -> None:
    """Paths are relative to that folder."""
    assert told(command=("pytest", "--eyerace-parity"), folder="models/a b") == (
        "cd 'models/a b' && pytest --eyerace-parity",
    )


@pytest.mark.parametrize(
    ("key", "value", "options"),
    [
        ("jobs", "1", "--eyerace-parity-jobs 1"),
        ("offline", "True", "--eyerace-parity-offline"),
        ("offline", "False", ""),
        ("contract", "a.toml, b.toml", "--eyerace-parity-contract a.toml --eyerace-parity-contract b.toml"),
    ],
)
def test_what_the_environment_said_becomes_an_option(key: str, value: str, options: str) -> None:
    """Another shell on another machine has none of these variables."""
    setting = Setting(key=key, value=value, origin=f"environment EYERACE_PARITY_{key.upper()}")
    assert told(command=("pytest",), settings=(setting,)) == (f"pytest {options}".strip(),)


def test_values_that_were_set_are_told_once() -> None:
    """Those of the command line stand in it already, those of the environment are added."""
    outside = OVERRIDE.model_copy(update={"origin": "environment EYERACE_PARITY_SET"})
    assert told(command=("pytest",), overrides=(OVERRIDE,)) == ("pytest",)
    assert told(command=("pytest",), overrides=(outside,)) == (
        "pytest --eyerace-parity-set variants.int8.limits.quality.f1=0.5",
    )


def test_a_record_without_a_command_line_gets_one() -> None:
    """An older tool kept none."""
    assert told(overrides=(OVERRIDE,)) == (
        "pytest --eyerace-parity golden/contract.toml --eyerace-parity-set variants.int8.limits.quality.f1=0.5",
    )


def test_what_was_judged_again_takes_two_commands() -> None:
    """The run, and the judgement of its evidence under other limits."""
    run, judged = told(command=("pytest", "--eyerace-parity"), judged_again=True, overrides=(OVERRIDE,))
    assert run == "pytest --eyerace-parity"
    assert judged == (
        "eyerace-parity judge build/parity/record.json --contract golden/contract.toml"
        " --set variants.int8.limits.quality.f1=0.5"
    )
