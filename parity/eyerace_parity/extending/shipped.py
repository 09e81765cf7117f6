"""The extensions of this package, and what of a contract or a command line is theirs.

The names stand here as data, so that a contract which uses an extension that is absent or disabled can be refused with
its name although nothing of it is there to be asked. A test holds the table to what the extensions register.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

FOLDER: Final = "eyerace_parity.extensions"
"""The package that holds them, one folder each."""


class ShippedCommand(NamedTuple):
    """A command of ``eyerace-parity``.

    Attributes:
        name: What is typed.
        summary: One line for the help.
        judges: Whether it opens contracts, so that the extensions of other packages take part.
    """

    name: str
    summary: str
    judges: bool = True


@dataclass(frozen=True, slots=True)
class ShippedExtension:
    """One of this package's own extensions.

    Attributes:
        name: Its name, and that of its folder.
        sections: Tables of the contract that it reads, their keys joined by dots.
        families: Families of checks that it judges.
        limits: Limits that it adds to families of the core, as ``FAMILY.LIMIT``.
        targets: What the names of its targets begin with, before the slash.
        commands: Commands of ``eyerace-parity`` that it brings.
        options: Options of a run that only it heeds.
    """

    name: str
    sections: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    commands: tuple[ShippedCommand, ...] = ()
    options: tuple[str, ...] = ()


SHIPPED: Final = (
    ShippedExtension(
        "emulation",
        sections=("targets.own",),
        limits=(
            "arm64.instructions",
            "arm64.load_instructions",
            "arm64.instructions_ratio",
            "arm64.instructions_growth",
        ),
        targets=("arm64", "x86"),
        commands=(
            ShippedCommand(
                "arm64", "bring, show or remove what the emulated processors need, without root", judges=False
            ),
        ),
        options=("arm64_home", "sysroot", "qemu", "wheels"),
    ),
    ShippedExtension("matrix", sections=("matrix",), families=("runtime",), options=("matrix",)),
    ShippedExtension(
        "selftest",
        commands=(
            ShippedCommand(
                "selftest", "prove that the gate sees what it claims to see, by faults planted in a copy of the bundle"
            ),
        ),
    ),
)


def owner_of(what: str, name: str) -> str:
    """Name the extension of ours that something belongs to, or return an empty string.

    Args:
        what: ``sections``, ``families``, ``limits``, ``targets`` or ``options``.
        name: One of them.
    """
    return next((each.name for each in SHIPPED if name in getattr(each, what)), "")


def shipped(name: str) -> ShippedExtension:
    """What stands here of an extension of ours."""
    return next(each for each in SHIPPED if each.name == name)
