"""Settings of a run: the value of every option with its origin.

The precedence is: command line, environment, ini, contract, default. pytest imports this module at start, so it imports
nothing heavy.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from eyerace_parity.contract.options import OPTIONS, Option, OptionKind, added_options, all_options
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
    """The options of one run, with the origin of each value.

    Attributes:
        contract: Contracts to judge; empty to use the default places.
        set: Overrides of contract values, lowest source first, so that a later one wins.
        record: Path of the record.
        html: Path of the HTML page, or ``None``.
        no_record: Whether to write no record.
        cache: Folder of the evidence cache.
        rehash: Whether to hash files again even if size, times and inode are unchanged.
        jobs: Number of parallel measurements.
        recorded: Whether to use recorded reference outputs even if torch is installed.
        in_process: Whether to run crash-prone native code in this process instead of the isolated worker.
        rebuild: Whether to rebuild stale artefacts; missing ones are always built.
        offline: Whether network access is forbidden.
        arm64: Samples that the contract's targets run: ``chosen`` or ``all``.
        peer: A Python with another onnxruntime, for interleaved times.
        baseline: Release to judge against, by name or folder; empty for the contract's.
        accept: Name of the release to accept; empty for none.
        disable: Extensions that take no part.
        progress: ``auto`` (on a terminal), ``always`` or ``never``.
        added: Values of the options that extensions bring, by option name.
        origins: Origin of each value, by option name.
        set_origins: Origin of each entry of ``set``.
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
    peer: Path | None
    baseline: str
    accept: str
    disable: tuple[str, ...]
    progress: Literal["auto", "always", "never"]
    added: Mapping[str, Any]
    origins: Mapping[str, str] = field(repr=False)
    set_origins: tuple[str, ...] = field(repr=False)

    def origin(self, name: str) -> str:
        """Return the origin of a value, e.g. ``environment EYERACE_PARITY_JOBS``."""
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
        for option in all_options():
            if self.origins[option.name] != DEFAULT and (owner := owner_of("options", option.name)):
                found.require(owner, self.origins[option.name])
        return found

    def overrides(self) -> tuple[Override, ...]:
        """Parse ``set``.

        Raises:
            ContractError: An entry is not ``KEY=VALUE``.
        """
        if not self.set:
            return ()
        from eyerace_parity.contract.overrides import parse_override  # noqa: PLC0415 - most runs override nothing

        pairs = zip(self.set, self.set_origins, strict=True)
        return tuple(parse_override(text, origin) for text, origin in pairs)

    def under(self, contract: Contract) -> Settings:
        """Return the settings for one contract. Its ``[run]`` section replaces values that are still defaults."""
        wished: dict[str, Any] = {
            name: usable_cores() if value == "auto" else value
            for name, value in contract.run
            if value is not None and self.origins[name].startswith(DEFAULT)
        }
        said = {name: f"{CONTRACT} run.{name}" for name in wished}
        return replace(self, **wished, origins={**self.origins, **said})

    def described(self) -> dict[str, tuple[str, str]]:
        """Return every value as text with its origin, by option name."""
        texts: dict[str, tuple[str, str]] = {}
        for option in all_options():
            value = self.added[option.name] if option.name in self.added else getattr(self, option.name)
            text = ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
            texts[option.name] = (text, self.origins[option.name])
        return texts


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """One source of options.

    Attributes:
        name: Name in an origin.
        values: Text, or texts, by option name. Absent or ``None`` means not set.
        folder: Base folder of relative paths.
    """

    name: str
    values: Mapping[str, Any]
    folder: Path

    def said(self, option: Option) -> list[str] | None:
        """Return the texts of an option, or ``None`` if it is not set."""
        value = self.values.get(option.name)
        if value is None:
            return None
        return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]

    def origin(self, option: Option, prefix: str) -> str:
        """Return the origin of a value, in the spelling of this source."""
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
    """Resolve every option from all sources.

    Args:
        command_line: Values by option name, ``None`` if absent. Other names are ignored.
        ini: Values from the ini file, in the same form.
        environ: The environment; ``os.environ`` by default.
        root: Base folder of default paths (pytest's ``rootdir``).
        ini_folder: Base folder of paths in the ini file; ``root`` by default.
        folder: Base folder of all other paths; the working directory by default.
        prefix: Prefix of flags, for origins.

    Returns:
        The settings.

    Raises:
        ContractError: A value is invalid for its option.
    """
    here = folder or Path.cwd()
    variables = _from_environment(os.environ if environ is None else environ)
    layers = (
        SettingsSource(COMMAND_LINE, command_line, here),
        SettingsSource(ENVIRONMENT, variables, here),
        SettingsSource(INI, ini or {}, ini_folder or root),
    )
    values = _defaults(root) | {option.name: option.unset() for option in added_options()}
    origins = dict.fromkeys(values, DEFAULT)
    for option in all_options():
        said = [(layer, texts) for layer in layers if (texts := layer.said(option)) is not None]
        if said:
            layer, texts = said[0]
            origins[option.name] = layer.origin(option, prefix)
            values[option.name] = _read(option, texts, layer.folder, origins[option.name])
    values["set"], set_origins = _all_set(layers, prefix)
    added = {option.name: values.pop(option.name) for option in added_options()}
    return Settings(**values, added=added, origins=origins, set_origins=set_origins)


def usable_cores() -> int:
    """Return the usable cores: the minimum of the CPU affinity and the control group's quota, rounded up."""
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        cores = count() or 1
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _group_quota(Path("/sys/fs/cgroup"))))


def _group_quota(groups: Path) -> int:
    """Return the control group's CPU quota in cores (cgroup v2, else v1); a very large number without a quota."""
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

    cache = user_cache_path("eyerace-parity", appauthor=False)
    places = {"record": root / "build" / "parity" / "record.json", "cache": cache}
    by_kind: dict[OptionKind, Any] = {
        OptionKind.FLAG: False,
        OptionKind.PATH: None,
        OptionKind.PATHS: (),
        OptionKind.TEXT: "",
        OptionKind.TEXTS: (),
        OptionKind.COUNT: usable_cores(),
    }
    return {each.name: each.choices[0] if each.choices else by_kind[each.kind] for each in OPTIONS} | places


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return values by option name. An empty variable counts as not set, because CI systems often define empty ones."""
    found: dict[str, Any] = {}
    for option in all_options():
        text = environ.get(option.environment, "")
        if text.strip():
            separator = {OptionKind.PATHS: os.pathsep, OptionKind.TEXTS: "\n"}.get(option.kind)
            found[option.name] = [part for part in text.split(separator) if part.strip()] if separator else text
    return found


def _read(option: Option, texts: list[str], folder: Path, origin: str) -> Any:
    """Parse the texts of an option."""
    match option.kind:
        case OptionKind.PATHS:
            return tuple(_path(text, folder) for text in texts)
        case OptionKind.PATH:
            return _path(texts[-1], folder)
        case OptionKind.COUNT:
            return _count(texts[-1].strip(), origin)
        case OptionKind.FLAG:
            return _truth(texts[-1].strip(), origin)
        case OptionKind.CHOICE | OptionKind.TEXT | OptionKind.ABSENT:
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
    """Return the overrides of all sources with their origins, lowest source first, so that higher ones win."""
    option = next(option for option in all_options() if option.name == "set")
    pairs = [
        (text, layer.origin(option, prefix)) for layer in reversed(layers) for text in layer.said(option) or () if text
    ]
    return tuple(text for text, _ in pairs), tuple(origin for _, origin in pairs)
