"""Where the host's distribution keeps its packages: read from its own apt sources, for this or another architecture.

Only the release's own archives are taken (its suite with ``-updates`` and ``-security``, its component ``main``): every
further source is one more that may fail or mix in foreign packages. Signatures are always asked for.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALIASES: Final = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid", "devel"})
_SUFFIXES: Final = ("", "-updates", "-security", "/updates")
_ONE_LINE: Final = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)$")
_KEPT: Final = ("Signed-By", "Check-Valid-Until", "Check-Date")
"""Fields that are handed on. ``Trusted`` is not: it would switch signatures off."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One source of packages.

    Attributes:
        uri: Where it is.
        suite: Release within it, e.g. ``bookworm-updates``.
        components: Its parts, e.g. ``main``.
        architectures: Those it is limited to; empty for all.
        fields: What else was said of it and is handed on, such as its signing key.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    def stanza(self) -> str:
        """In the form that apt reads. Of all indexes only that of the packages is asked for."""
        lines = ["Types: deb", f"URIs: {self.uri}", f"Suites: {self.suite}", f"Components: {' '.join(self.components)}"]
        lines += ["Targets: Packages", *(f"{name}: {value}" for name, value in self.fields)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The host's release.

    Attributes:
        identity: ``debian`` or ``ubuntu``, whose archives are used; derivatives name one of them.
        version: Its version, e.g. ``12``.
        codename: The suite's name, e.g. ``bookworm``; empty where it has none.
    """

    identity: str
    version: str
    codename: str


def distribution(os_release: Mapping[str, str] | None = None) -> Distribution:
    """Tell the host's distribution.

    Args:
        os_release: Contents of ``/etc/os-release``; read by default.

    Raises:
        MeasurementError: It is neither Debian nor Ubuntu, nor derived from one.
    """
    try:
        found = dict(platform.freedesktop_os_release() if os_release is None else os_release)
    except OSError:
        found = {}
    families = [found.get("ID", ""), *found.get("ID_LIKE", "").split()]
    identity = next((name for name in families if name in {"debian", "ubuntu"}), None)
    if identity is None:
        raise MeasurementError(
            f"this machine is neither Debian nor Ubuntu ({found.get('PRETTY_NAME') or platform.system()}), so an arm64 "
            "userland cannot be fetched from its distribution",
            next_step="bring your own with --sysroot FOLDER (an unpacked arm64 root with python3) and --qemu FOLDER",
        )
    codename = found.get("UBUNTU_CODENAME", "") if identity == "ubuntu" else ""
    return Distribution(identity, found.get("VERSION_ID", "rolling"), codename or found.get("VERSION_CODENAME", ""))


def archives(release: Distribution, etc: Path = Path("/etc/apt")) -> tuple[Archive, ...]:
    """The release's own archives, as the host's apt is set up to use them.

    Args:
        release: The distribution.
        etc: Folder of apt's configuration.

    Raises:
        MeasurementError: None is set up.
    """
    every = [archive for archive in _all(etc) if _is_plain(archive)]
    own = [archive for archive in every if _base(archive.suite) == release.codename]
    own = own or [archive for archive in every if _base(archive.suite) in _ALIASES]
    # Whoever else publishes for this release signs with a key of their own.
    official = [
        archive for archive in own if f"{release.identity}-archive" in dict(archive.fields).get("Signed-By", "")
    ]
    unsaid = [archive for archive in own if "Signed-By" not in dict(archive.fields)]
    chosen = official + unsaid or own
    if not chosen:
        raise MeasurementError(
            f"apt on this machine names no archive of {release.identity} {release.codename or release.version}",
            next_step=f"add the distribution's own to {etc.as_posix()}, or bring a userland with --sysroot FOLDER",
        )
    return tuple(dict.fromkeys(chosen))


def for_architecture(
    found: tuple[Archive, ...], architecture: str, *, native: str, identity: str
) -> tuple[Archive, ...]:
    """Choose, or derive, the archives that hold an architecture.

    Debian keeps all architectures together. Ubuntu keeps arm64 apart, in ``ubuntu-ports``: on the host ``ports`` for
    its own archives, and on most mirrors in a folder beside.

    Args:
        found: Archives of the host.
        architecture: As Debian names it, e.g. ``arm64``.
        native: The host's own.
        identity: ``debian`` or ``ubuntu``.
    """
    if architecture == native:
        fitting = tuple(a for a in found if not a.architectures or architecture in a.architectures)
        return fitting or found
    named = tuple(archive for archive in found if architecture in archive.architectures)
    if named or identity != "ubuntu":
        return named or found
    return tuple(dict.fromkeys(replace(archive, uri=_ports(archive.uri)) for archive in found))


def _ports(uri: str) -> str:
    uri = re.sub(r"^(\w+://)(?:[\w-]+\.)?(?:archive|security)(\.ubuntu\.com)/", r"\1ports\2/", uri)
    return re.sub(r"/ubuntu(?=/|$)", "/ubuntu-ports", uri)


def _is_plain(archive: Archive) -> bool:
    known = any(archive.suite == _base(archive.suite) + suffix for suffix in _SUFFIXES)
    personal = re.match(r"^\w+://ppa\.", archive.uri) is not None
    return known and "main" in archive.components and not archive.uri.startswith("cdrom:") and not personal


def _base(suite: str) -> str:
    return re.split(r"[-/]", suite, maxsplit=1)[0]


def _all(etc: Path) -> Iterator[Archive]:
    parts = etc / "sources.list.d"
    for path in (etc / "sources.list", *sorted(parts.glob("*.list"))):
        for line in _text(path).splitlines():
            yield from _one_line(line.partition("#")[0].strip())
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n[ \t]*\n", _text(path)):
            yield from _deb822(stanza)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _one_line(line: str) -> Iterator[Archive]:
    match = _ONE_LINE.match(line)
    if match is None:
        return
    options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
    fields = tuple((name, options[name.lower()]) for name in _KEPT if name.lower() in options)
    architectures = tuple(filter(None, options.get("arch", "").split(",")))
    yield Archive(match["uri"].rstrip("/"), match["suite"], tuple(match["parts"].split()), architectures, fields)


def _deb822(stanza: str) -> Iterator[Archive]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"} and name:
            fields[name] += f"\n{line}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
        return
    kept = tuple((name, fields[name.lower()]) for name in _KEPT if name.lower() in fields)
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            components = tuple(fields.get("components", "").split())
            yield Archive(uri.rstrip("/"), suite, components, tuple(fields.get("architectures", "").split()), kept)
