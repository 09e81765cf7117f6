"""Finds the host distribution's package archives in its apt sources, for this or another architecture.

Only the release's own archives are used (its suite with ``-updates`` and ``-security``, its component ``main``): every
further source may fail or add foreign packages. Signatures are always required.
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

# sources.list may name the release by its role instead of its codename.
_ALIASES: Final = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid", "devel"})
_SUFFIXES: Final = ("", "-updates", "-security", "/updates")
_ONE_LINE: Final = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)$")
_COPIED_FIELDS: Final = ("Signed-By", "Check-Valid-Until", "Check-Date")
"""Fields that are copied. ``Trusted`` is not: it would switch off signatures."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One source of packages.

    Attributes:
        uri: Its address.
        suite: Release within it, e.g. ``bookworm-updates``.
        components: Its parts, e.g. ``main``.
        architectures: The architectures it is limited to; empty for all.
        fields: Further fields that are copied, such as the signing key.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    def stanza(self) -> str:
        """The archive in apt's deb822 format; only the package index is downloaded."""
        lines = ["Types: deb", f"URIs: {self.uri}", f"Suites: {self.suite}", f"Components: {' '.join(self.components)}"]
        lines += ["Targets: Packages", *(f"{name}: {value}" for name, value in self.fields)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The host's release.

    Attributes:
        identity: ``debian`` or ``ubuntu``; a derivative uses the archives of one of them.
        version: Its version, e.g. ``12``.
        codename: Name of the suite, e.g. ``bookworm``; empty if it has none.
    """

    identity: str
    version: str
    codename: str


def distribution(os_release: Mapping[str, str] | None = None) -> Distribution:
    """Detect the host's distribution.

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
            "userland cannot be downloaded from its distribution",
            next_step="use your own with --sysroot FOLDER (an unpacked arm64 root with python3) and --qemu FOLDER",
        )
    codename = found.get("UBUNTU_CODENAME", "") if identity == "ubuntu" else ""
    return Distribution(identity, found.get("VERSION_ID", "rolling"), codename or found.get("VERSION_CODENAME", ""))


def archives(release: Distribution, etc: Path = Path("/etc/apt")) -> tuple[Archive, ...]:
    """The release's own archives, as configured in the host's apt.

    Args:
        release: The distribution.
        etc: Folder of apt's configuration.

    Raises:
        MeasurementError: No archive is configured.
    """
    candidates = [archive for archive in _read_sources(etc) if _is_official(archive)]
    own = [archive for archive in candidates if _base(archive.suite) == release.codename]
    own = own or [archive for archive in candidates if _base(archive.suite) in _ALIASES]
    # Third-party archives for this release are signed with other keys.
    official = [
        archive for archive in own if f"{release.identity}-archive" in dict(archive.fields).get("Signed-By", "")
    ]
    without_key = [archive for archive in own if "Signed-By" not in dict(archive.fields)]
    chosen = official + without_key or own
    if not chosen:
        raise MeasurementError(
            f"apt on this machine names no archive of {release.identity} {release.codename or release.version}",
            next_step=f"add the distribution's own to {etc.as_posix()}, or use a userland with --sysroot FOLDER",
        )
    return tuple(dict.fromkeys(chosen))


def for_architecture(
    found: tuple[Archive, ...], architecture: str, *, native: str, identity: str
) -> tuple[Archive, ...]:
    """Choose, or derive, the archives for an architecture.

    Debian has all architectures in one archive. Ubuntu has arm64 in ``ubuntu-ports``: on the host ``ports`` for its own
    archives, and on most mirrors in a separate folder.

    Args:
        found: Archives of the host.
        architecture: Debian's name for it, e.g. ``arm64``.
        native: The host's own architecture.
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


def _is_official(archive: Archive) -> bool:
    known = any(archive.suite == _base(archive.suite) + suffix for suffix in _SUFFIXES)
    personal = re.match(r"^\w+://ppa\.", archive.uri) is not None
    return known and "main" in archive.components and not archive.uri.startswith("cdrom:") and not personal


def _base(suite: str) -> str:
    return re.split(r"[-/]", suite, maxsplit=1)[0]


def _read_sources(etc: Path) -> Iterator[Archive]:
    parts = etc / "sources.list.d"
    for path in (etc / "sources.list", *sorted(parts.glob("*.list"))):
        for line in _text(path).splitlines():
            yield from _parse_line(line.partition("#")[0].strip())
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n[ \t]*\n", _text(path)):
            yield from _parse_deb822(stanza)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parse_line(line: str) -> Iterator[Archive]:
    match = _ONE_LINE.match(line)
    if match is None:
        return
    options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
    fields = tuple((name, options[name.lower()]) for name in _COPIED_FIELDS if name.lower() in options)
    architectures = tuple(filter(None, options.get("arch", "").split(",")))
    yield Archive(match["uri"].rstrip("/"), match["suite"], tuple(match["parts"].split()), architectures, fields)


def _parse_deb822(stanza: str) -> Iterator[Archive]:
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
    kept = tuple((name, fields[name.lower()]) for name in _COPIED_FIELDS if name.lower() in fields)
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            components = tuple(fields.get("components", "").split())
            yield Archive(uri.rstrip("/"), suite, components, tuple(fields.get("architectures", "").split()), kept)
