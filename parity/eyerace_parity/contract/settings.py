"""How a run is done, as against what must hold: the value of every option, with where it came from.

The order is: command line, environment, ini, contract, default. Imported when pytest starts, so it imports nothing
heavy.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from eyerace_parity.contract.options import OPTIONS, Option, OptionKind
from eyerace_parity.core.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.overrides import Override
    from eyerace_parity.extending.loading import ActiveExtensions

COMMAND_LINE: Final = "command line"
ENVIRONMENT: Final = "environment"
INI: Final = "ini"
CONTRACT: Final = "contract"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one run, with where each value came from.

    Attributes:
        contract: Contracts to judge; empty to look for one.
        set: Values of the contract that are set from outside, lowest layer first, so that a later one wins.
        record: Where the record is written.
        html: Where it is drawn as an HTML page; ``None`` for nowhere.
        no_record: Whether none is written.
        cache: Folder of the evidence store.
        rehash: Whether files are hashed again where their unchanged size, times and inode would do.
        jobs: How much is measured side by side.
        recorded: Whether recorded reference outputs are used even where torch is installed.
        in_process: Whether this process measures what native code could take it down by.
        rebuild: Whether stale artefacts are built again; missing ones always are.
        offline: Whether nothing may be fetched from a network.
        arm64: Which samples the contract's targets run: ``chosen`` or ``all``.
        arm64_home: Folder of the emulated userland.
        sysroot: A userland of the user's own.
        qemu: Folder of the user's own qemu.
        wheels: Folder of the user's own aarch64 wheels.
        matrix: Whether the run is one cell of the matrix over runtimes.
        peer: A Python with another onnxruntime, to take times in turns with.
        baseline: The release to judge against, by name or folder; empty for the contract's.
        accept: Name of the release to accept; empty for none.
        disable: Extensions that take no part.
        progress: ``auto`` (on a terminal), ``always`` or ``never``.
        origins: Where each value came from, by the option's name.
        set_origins: Where each entry of ``set`` came from.
    """

    contract: tuple[Path, ...]
    set: tuple[str, ...]
    record: Path
    html: Path | None
    no_record: bool
    cache: Path
    rehash: bool
    jobs: int
    recorded: bool
    in_process: bool
    rebuild: bool
    offline: bool
    arm64: Literal["chosen", "all"]
    arm64_home: Path
    sysroot: Path | None
    qemu: Path | None
    wheels: Path | None
    matrix: bool
    peer: Path | None
    baseline: str
    accept: str
    disable: tuple[str, ...]
    progress: Literal["auto", "always", "never"]
    origins: Mapping[str, str] = field(repr=False)
    set_origins: tuple[str, ...] = field(repr=False)

    def origin(self, name: str) -> str:
        """Say where a value came from, e.g. ``environment EYERACE_PARITY_JOBS``."""
        return self.origins[name]

    def load_extensions(self, *, foreign: bool) -> ActiveExtensions:
        """Find and import the extensions that are not disabled.

        Args:
            foreign: Whether those of other packages take part.

        Raises:
            ContractError: One is broken, or an option belongs to one that takes no part.
        """
        from eyerace_parity.extending.loading import load  # noqa: PLC0415 - not needed when pytest starts
        from eyerace_parity.extending.shipped import owner_of  # noqa: PLC0415

        found = load(foreign=foreign, disabled=dict.fromkeys(self.disable, self.origins["disable"]))
        for option in OPTIONS:
            if self.origins[option.name] != DEFAULT and (owner := owner_of("options", option.name)):
                found.require(owner, self.origins[option.name])
        return found

    def overrides(self) -> tuple[Override, ...]:
        """Read ``set``.

        Raises:
            ContractError: An entry is not ``KEY=VALUE``.
        """
        from eyerace_parity.contract.overrides import parse_override  # noqa: PLC0415 - not needed when pytest starts

        pairs = zip(self.set, self.set_origins, strict=True)
        return tuple(parse_override(text, origin) for text, origin in pairs)

    def under(self, contract: Contract) -> Settings:
        """The settings for one contract: its ``[run]`` speaks where nothing but the default has spoken."""
        wished: dict[str, Any] = {
            name: usable_cores() if value == "auto" else value
            for name, value in contract.run
            if value is not None and self.origins[name].startswith(DEFAULT)
        }
        said = {name: f"{CONTRACT} run.{name}" for name in wished}
        return replace(self, **wished, origins={**self.origins, **said})

    def described(self) -> dict[str, tuple[str, str]]:
        """Every value as text with its origin, by the option's name."""
        texts: dict[str, tuple[str, str]] = {}
        for option in OPTIONS:
            value = getattr(self, option.name)
            text = ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
            texts[option.name] = (text, self.origins[option.name])
        return texts


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """One place that options come from.

    Attributes:
        name: What it is called in an origin.
        values: Text, or texts, by the option's name; what is absent or ``None`` was not said there.
        folder: What its relative paths are relative to.
    """

    name: str
    values: Mapping[str, Any]
    folder: Path

    def said(self, option: Option) -> list[str] | None:
        """What was said of an option, as texts."""
        value = self.values.get(option.name)
        if value is None:
            return None
        return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]

    def origin(self, option: Option, prefix: str) -> str:
        """Where a value was said, in the spelling that was used there."""
        spelling = {COMMAND_LINE: option.flag(prefix), ENVIRONMENT: option.environment, INI: option.ini}[self.name]
        return f"{self.name} {spelling}"


def resolve(
    *,
    command_line: Mapping[str, Any],
    ini: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    root: Path,
    ini_folder: Path | None = None,
    folder: Path | None = None,
    prefix: str = "--eyerace-parity-",
) -> Settings:
    """Settle every option.

    Args:
        command_line: Values by the option's name, ``None`` where absent; extra names are not looked at.
        ini: The same from the ini file.
        environ: The environment; ``os.environ`` by default.
        root: Folder that default paths are relative to (pytest's ``rootdir``).
        ini_folder: Folder that paths in the ini file are relative to; ``root`` by default.
        folder: Folder that all other paths are relative to; the current one by default.
        prefix: What a flag begins with, for origins.

    Returns:
        The settings.

    Raises:
        ContractError: A value is not what its option takes.
    """
    here = folder or Path.cwd()
    variables = _from_environment(os.environ if environ is None else environ)
    layers = (
        SettingsSource(COMMAND_LINE, command_line, here),
        SettingsSource(ENVIRONMENT, variables, here),
        SettingsSource(INI, ini or {}, ini_folder or root),
    )
    values = _defaults(root)
    origins = dict.fromkeys(values, DEFAULT)
    for option in OPTIONS:
        said = [(layer, texts) for layer in layers if (texts := layer.said(option)) is not None]
        if said:
            layer, texts = said[0]
            origins[option.name] = layer.origin(option, prefix)
            values[option.name] = _read(option, texts, layer.folder, origins[option.name])
    values["set"], set_origins = _all_set(layers, prefix)
    return Settings(**values, origins=origins, set_origins=set_origins)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and its control group's share of processor time, rounded up."""
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        cores = count() or 1
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _group_quota(Path("/sys/fs/cgroup"))))


def _group_quota(groups: Path) -> int:
    """Cores that the control group grants; a very large number where it grants all."""
    unlimited = 1 << 30
    try:
        if (groups / "cpu.max").is_file():
            quota, period = (groups / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (groups / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (groups / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        return unlimited if quota in {"max", "-1"} else math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return unlimited


def _defaults(root: Path) -> dict[str, Any]:
    from platformdirs import user_cache_path  # noqa: PLC0415 - only when a run begins

    return {
        "contract": (),
        "set": (),
        "record": root / "build" / "parity" / "record.json",
        "html": None,
        "no_record": False,
        "cache": user_cache_path("eyerace-parity", appauthor=False),
        "rehash": False,
        "jobs": usable_cores(),
        "recorded": False,
        "in_process": False,
        "rebuild": False,
        "offline": False,
        "arm64": "chosen",
        "arm64_home": user_cache_path("eyerace-parity", appauthor=False) / "arm64",
        "sysroot": None,
        "qemu": None,
        "wheels": None,
        "matrix": False,
        "peer": None,
        "baseline": "",
        "accept": "",
        "disable": (),
        "progress": "auto",
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Values by the option's name. An empty variable says nothing, as a continuous integration often leaves one."""
    found: dict[str, Any] = {}
    for option in OPTIONS:
        text = environ.get(option.environment, "")
        if text.strip():
            separator = {OptionKind.PATHS: os.pathsep, OptionKind.TEXTS: "\n"}.get(option.kind)
            found[option.name] = [part for part in text.split(separator) if part.strip()] if separator else text
    return found


def _read(option: Option, texts: list[str], folder: Path, origin: str) -> Any:
    """Read the texts of an option as what it holds."""
    match option.kind:
        case OptionKind.PATHS:
            return tuple(_path(text, folder) for text in texts)
        case OptionKind.PATH:
            return _path(texts[-1], folder)
        case OptionKind.COUNT:
            return _count(texts[-1].strip(), origin)
        case OptionKind.FLAG:
            return _truth(texts[-1].strip(), origin)
        case OptionKind.CHOICE | OptionKind.TEXT:
            return _choice(texts[-1].strip(), option, origin)
        case OptionKind.TEXTS:
            return tuple(texts)


def _path(text: str, folder: Path) -> Path:
    return folder / Path(text.strip()).expanduser()


def _count(text: str, origin: str) -> int:
    if text == "auto":
        return usable_cores()
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1024):  # noqa: PLR2004 - as the contract's own
        raise ContractError(f"{origin}: found {text!r}", next_step="give a whole number from 1 to 1024, or auto")
    return int(text)


def _truth(text: str, origin: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.casefold() not in known:
        raise ContractError(f"{origin}: found {text!r}", next_step=f"give one of: {', '.join(known)}")
    return known[text.casefold()]


def _choice(text: str, option: Option, origin: str) -> str:
    if option.choices and text not in option.choices:
        raise ContractError(f"{origin}: found {text!r}", next_step=f"give one of: {', '.join(option.choices)}")
    return text


def _all_set(layers: tuple[SettingsSource, ...], prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Values of the contract from all layers: they add up, and the higher layer has the last word."""
    option = next(option for option in OPTIONS if option.name == "set")
    pairs = [
        (text, layer.origin(option, prefix)) for layer in reversed(layers) for text in layer.said(option) or () if text
    ]
    return tuple(text for text, _ in pairs), tuple(origin for _, origin in pairs)
