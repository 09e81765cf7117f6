"""The table of all options of a run.

pytest's options and ini keys, command line arguments and environment variables are all created from
:func:`all_options`. pytest imports this module at start, so it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.extending.loading import shipped_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEFAULT_CONTRACTS: Final = ("golden/contract.toml", "parity.toml")
"""Default places of a contract below a folder. The first existing one is used."""


class OptionKind(Enum):
    """Type of an option's value, which decides how its text is parsed."""

    FLAG = "flag"
    PATH = "path"
    PATHS = "paths"
    TEXT = "text"
    TEXTS = "texts"
    COUNT = "count"
    CHOICE = "choice"
    ABSENT = "of an extension that is not there"


@dataclass(frozen=True, slots=True)
class Option:
    """One option with all of its spellings.

    Attributes:
        name: Field of :class:`eyerace_parity.contract.settings.Settings`; for an option of an extension, key of its
            ``added``.
        kind: Type of its value.
        help: One line for help texts, without the default.
        default: Default for help texts.
        choices: Valid values of a choice; the first is the default.
        metavar: Placeholder for help texts.
        unset: Called for the value of an extension's option that nobody gave.
    """

    name: str
    kind: OptionKind
    help: str
    default: str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    unset: Callable[[], Any] = lambda: None

    @property
    def ini(self) -> str:
        """Key in pytest's ini file."""
        return f"eyerace_parity_{self.name}"

    @property
    def dest(self) -> str:
        """Attribute of the parsed command line."""
        return self.ini

    @property
    def ini_type(self) -> str:
        """Type of the ini key for pytest's ``addini``. Values stay texts, so that all sources give the same errors."""
        return "linelist" if self.several else "string"

    @property
    def environment(self) -> str:
        """Environment variable. Several paths are separated as in ``PATH``, several texts by line breaks."""
        return self.ini.upper()

    @property
    def several(self) -> bool:
        """Whether the option takes several values."""
        return self.kind in {OptionKind.PATHS, OptionKind.TEXTS}

    def flag(self, prefix: str = "--eyerace-parity-") -> str:
        """Spelling on a command line."""
        return prefix + self.name.replace("_", "-")

    def argument(self) -> dict[str, Any]:
        """Keyword arguments for ``add_argument`` (argparse) and ``addoption`` (pytest); absent options are ``None``."""
        words = f"{self.help} (default: {self.default})"
        common: dict[str, Any] = {"dest": self.dest, "default": None, "help": words}
        if self.kind is OptionKind.FLAG:
            return common | {"action": "store_const", "const": "true"}
        if self.kind is OptionKind.ABSENT:
            return common | {"nargs": "?", "const": "true"}
        if self.several:
            return common | {"action": "append", "metavar": self.metavar}
        if self.choices:
            return common | {"choices": self.choices}
        return common | {"metavar": self.metavar}


OPTIONS: Final = (
    Option("contract", OptionKind.PATHS, "contract to judge; may be repeated", ", else ".join(DEFAULT_CONTRACTS),
           metavar="FILE"),
    Option("set", OptionKind.TEXTS,
           "set a value of the contract, e.g. variants.int8.limits.quality.f1=0.9; may be repeated", "nothing",
           metavar="KEY=VALUE"),
    Option("record", OptionKind.PATH, "where the record of the run is written", "build/parity/record.json",
           metavar="FILE"),
    Option("html", OptionKind.PATH, "write the record as one HTML page too", "no page", metavar="FILE"),
    Option("no_record", OptionKind.FLAG, "write no record", "a record is written"),
    Option("cache", OptionKind.PATH, "folder of measurements that need not be taken again", "the user's cache folder",
           metavar="FOLDER"),
    Option("rehash", OptionKind.FLAG, "hash files again even where size, times and inode have not changed",
           "unchanged files are hashed once a run, and after each measurement"),
    Option("jobs", OptionKind.COUNT, "how much is measured side by side: a number, or auto for the usable cores",
           "auto", metavar="N"),
    Option("recorded", OptionKind.FLAG, "use recorded reference outputs even where torch is installed",
           "only where torch is missing"),
    Option("in_process", OptionKind.FLAG,
           "work in this process, for a debugger in a factory: a crash then ends the run",
           "a process that may die measures and builds"),
    Option("rebuild", OptionKind.FLAG, "build artefacts again that are missing or stale",
           "only missing ones are built"),
    Option("offline", OptionKind.FLAG, "fetch nothing from a network", "off"),
    Option("arm64", OptionKind.CHOICE,
           "samples that the contract's targets run: those chosen, or all (before a release)", "chosen",
           choices=("chosen", "all")),
    Option("peer", OptionKind.PATH, "a Python with another onnxruntime, for interleaved times", "none",
           metavar="PYTHON"),
    Option("baseline", OptionKind.TEXT, "the release to judge against: its name, or its folder", "the contract's",
           metavar="RELEASE"),
    Option("accept", OptionKind.TEXT, "accept what was measured as a release of this name", "nothing is accepted",
           metavar="NAME"),
    Option("disable", OptionKind.TEXTS, "extension that takes no part; may be repeated", "all take part",
           metavar="NAME"),
    Option("progress", OptionKind.CHOICE, "show progress of long work", "auto", choices=("auto", "always", "never")),
)  # fmt: skip
"""The options of the core."""


@cache
def added_options() -> tuple[Option, ...]:
    """The options of our own extensions; for one whose folder is not there, what refuses them with its name."""
    found: list[Option] = []
    for extension, options in shipped_options():
        absent = f"belongs to the extension {extension.name!r}, which is not installed"
        found += options or (Option(name, OptionKind.ABSENT, absent, "nothing") for name in extension.options)
    return tuple(found)


def all_options() -> tuple[Option, ...]:
    """All options: those of the core, and those of our own extensions."""
    return (*OPTIONS, *added_options())


def default_contract(root: Path) -> Path | None:
    """Return the contract at a default place below a folder, or ``None``."""
    return next((root / place for place in DEFAULT_CONTRACTS if (root / place).is_file()), None)
