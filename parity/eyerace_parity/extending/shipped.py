"""The extensions of this package, and what of a contract or a command line is theirs.

The names stand here as data, so that a contract which uses an extension that is absent or disabled can be refused with
its name although nothing of it is there to be asked. A test holds the table to what the extensions register.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FOLDER: Final = "eyerace_parity.extensions"
"""The package that holds them, one folder each."""


@dataclass(frozen=True, slots=True)
class ShippedExtension:
    """One of this package's own extensions.

    Attributes:
        name: Its name, and that of its folder.
        sections: Tables of the contract that it reads.
        families: Families of checks that it judges.
        commands: Commands of ``eyerace-parity`` that it brings, with their help.
        options: Options of a run that only it heeds.
    """

    name: str
    sections: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()


SHIPPED: Final = (
    ShippedExtension("matrix", sections=("matrix",), families=("runtime",), options=("matrix",)),
    ShippedExtension(
        "selftest",
        commands=(
            ("selftest", "prove that the gate sees what it claims to see, by faults planted in a copy of the bundle"),
        ),
    ),
)


def owner_of(what: str, name: str) -> str:
    """Name the extension of ours that something belongs to, or return an empty string.

    Args:
        what: ``sections``, ``families`` or ``options``.
        name: Name of the section, family or option.
    """
    return next((each.name for each in SHIPPED if name in getattr(each, what)), "")


def commands_of(name: str) -> tuple[tuple[str, str], ...]:
    """The commands that an extension of ours brings, with their help."""
    return next(each.commands for each in SHIPPED if each.name == name)
