"""Which runtime an app bundles: the releases of known Flutter packages, kept as data in ``flutter.toml``."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.compatibility.versions import Version
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = "flutter.toml"
# A package may bundle different runtimes on Android and iOS, because it takes them from Maven and CocoaPods.
PLATFORMS: Final = ("android", "ios")
_INSTEAD: Final = 'state min_onnxruntime = "…" instead'
_RELEASE: Final = re.compile(r"\^?(\d+)\.(\d+)\.(\d+)(?:[+-][\w.+-]*)?")
"""Matches ``1.5.1``, ``^1.5.1`` as in a pubspec, and ``1.23.2+2``."""

_Release = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FlutterRelease:
    """What a range of releases of a package bundles.

    Attributes:
        package: The package.
        since: Its first release with these runtimes.
        until: Its last known release with them, or ``< RELEASE`` if a later one changed them.
        runtimes: Exact release of ONNX Runtime by platform; unknown platforms are left out.
    """

    package: str
    since: str
    until: str
    runtimes: Mapping[str, str]

    @property
    def oldest(self) -> Version:
        """The oldest runtime over all platforms: the file must load on it."""
        return min(Version.parse(release) for release in self.runtimes.values())

    @property
    def described(self) -> str:
        """The bundled runtimes in words: ``1.22.0``, or ``1.22.0 on android, 1.24.2 on ios`` if they differ."""
        if set(self.runtimes) == set(PLATFORMS) and len(set(self.runtimes.values())) == 1:
            return next(iter(self.runtimes.values()))
        return ", ".join(f"{release} on {platform}" for platform, release in self.runtimes.items())

    def __str__(self) -> str:
        major, minor, patch = _parse_release(self.since)
        if self.until in {self.since, f"< {major}.{minor}.{patch + 1}"}:
            return f"{self.package} {self.since}"
        until = f", {self.until}" if self.until.startswith("<") else ""
        return f"{self.package} ≥ {self.since}{until}"


def resolve(text: str) -> FlutterRelease:
    """Find what a package's release bundles.

    Args:
        text: Package and release, such as ``flutter_onnxruntime 1.5.1``. ``^1.5.1`` means the oldest release it allows.

    Returns:
        The range of releases that contains it.

    Raises:
        ValueError: The package or the release is unknown; the message lists the known ones and the alternative.
    """
    name, _, release = text.strip().partition(" ")
    packages = {bundle.package: "" for bundle in bundles()}
    if name not in packages:
        hint = did_you_mean(name, list(packages)) or ";"
        message = f"unknown Flutter package {name!r}{hint} known: {join_names(packages)}; for another, {_INSTEAD}"
        raise ValueError(message)
    wanted = _release(release.strip())
    ours = [bundle for bundle in bundles() if bundle.package == name]
    first, last = ours[0].since, _newest_known()[name]
    if wanted is None:
        message = f"{text!r} names no release of {name}; write it as {name} {ours[-1].since}"
        raise ValueError(message)
    if wanted < _parse_release(first) or wanted > _parse_release(last):
        message = f"{name} is known from {first} to {last}, not {release.strip()}; {_INSTEAD}"
        raise ValueError(message)
    # The last change before the wanted release decides. For a caret this is the oldest release that pub may choose.
    return [bundle for bundle in ours if _parse_release(bundle.since) <= wanted][-1]


def packages_with(version: Version) -> tuple[str, ...]:
    """Packages that bundle a runtime on some platform, in words: ``flutter_onnxruntime ≥ 1.5.1, < 1.8.0``."""
    packages = []
    for bundle in bundles():
        here = [p for p, release in bundle.runtimes.items() if Version.parse(release) == version]
        if here:
            differs = len(here) < len(PLATFORMS)
            packages.append(f"{bundle} ({', '.join(here)})" if differs else str(bundle))
    return tuple(packages)


@lru_cache(maxsize=1)
def bundles() -> tuple[FlutterRelease, ...]:
    """All known releases, those of a package in order."""
    entries = _document()["bundle"]
    read = []
    for place, entry in enumerate(entries):
        name = entry["package"]
        later = next((other["since"] for other in entries[place + 1 :] if other["package"] == name), None)
        until = _newest_known()[name] if later is None else f"< {later}"
        runtimes = {platform: entry[platform] for platform in PLATFORMS if platform in entry}
        read.append(FlutterRelease(name, entry["since"], until, runtimes))
    return tuple(read)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    return tomllib.loads(files("eyerace_parity.compatibility").joinpath(DATA).read_text(encoding="utf-8"))


def _newest_known() -> dict[str, str]:
    """The newest release that was examined, by package."""
    return {name: entry["known"] for name, entry in _document()["packages"].items()}


def _release(text: str) -> _Release | None:
    match = _RELEASE.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def _parse_release(text: str) -> _Release:
    release = _release(text)
    if release is None:
        message = f"{DATA} holds {text!r}, which is not a release"
        raise ValueError(message)
    return release


def minimum_runtime(min_onnxruntime: str | None, flutter: str | None) -> Version | None:
    """The oldest runtime that a file must load on; ``None`` if the contract demands none.

    Args:
        min_onnxruntime: A version, such as ``1.21``.
        flutter: A package with its release, such as ``flutter_onnxruntime 1.5.1``.

    Raises:
        ValueError: One of them is unknown.
    """
    demanded = []
    if min_onnxruntime is not None:
        demanded.append(Version.parse(min_onnxruntime))
    if flutter is not None:
        demanded.append(resolve(flutter).oldest)
    return min(demanded, default=None)
