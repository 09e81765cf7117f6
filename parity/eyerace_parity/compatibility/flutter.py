"""Which runtime an app has on board: the releases of known Flutter packages, kept as data beside this file."""

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
PLATFORMS: Final = ("android", "ios")
_INSTEAD: Final = 'state min_onnxruntime = "…" instead'
_RELEASE: Final = re.compile(r"\^?(\d+)\.(\d+)\.(\d+)(?:[+-][\w.+-]*)?")
"""``1.5.1``, ``^1.5.1`` as a pubspec has it, ``1.23.2+2``."""

_Release = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FlutterRelease:
    """What the releases of a package bundle, from one of them to the next change.

    Attributes:
        package: The package.
        since: Its first release that does.
        until: Its last release that is known to, or ``< RELEASE`` where a later one changed it.
        runtimes: Exact release of ONNX Runtime by platform; a platform of which nothing is known is not named.
    """

    package: str
    since: str
    until: str
    runtimes: Mapping[str, str]

    @property
    def oldest(self) -> Version:
        """The oldest runtime of all its platforms: what a file must load on."""
        return min(Version.parse(release) for release in self.runtimes.values())

    @property
    def described(self) -> str:
        """What is on board, in words: ``1.22.0``, or ``1.22.0 on android, 1.24.2 on ios`` where they differ."""
        if set(self.runtimes) == set(PLATFORMS) and len(set(self.runtimes.values())) == 1:
            return next(iter(self.runtimes.values()))
        return ", ".join(f"{release} on {platform}" for platform, release in self.runtimes.items())

    def __str__(self) -> str:
        major, minor, patch = _whole(self.since)
        if self.until in {self.since, f"< {major}.{minor}.{patch + 1}"}:
            return f"{self.package} {self.since}"
        until = f", {self.until}" if self.until.startswith("<") else ""
        return f"{self.package} ≥ {self.since}{until}"


def resolve(text: str) -> FlutterRelease:
    """Find what a package's release bundles.

    Args:
        text: Package and release, as ``flutter_onnxruntime 1.5.1``. Of ``^1.5.1`` the oldest that it allows counts.

    Raises:
        ValueError: The package or the release is not known; the message says what is, and what to state instead.
    """
    name, _, release = text.strip().partition(" ")
    packages = {bundle.package: "" for bundle in bundles()}
    if name not in packages:
        near = did_you_mean(name, list(packages)) or ";"
        message = f"no Flutter package {name!r} is known{near} known are {join_names(packages)}; of another, {_INSTEAD}"
        raise ValueError(message)
    wanted = _release(release.strip())
    ours = [bundle for bundle in bundles() if bundle.package == name]
    first, last = ours[0].since, _known()[name]
    if wanted is None:
        message = f"{text!r} names no release of {name}; write it as {name} {ours[-1].since}"
        raise ValueError(message)
    if wanted < _whole(first) or wanted > _whole(last):
        message = f"{name} is known from {first} to {last}, not {release.strip()}; {_INSTEAD}"
        raise ValueError(message)
    return [bundle for bundle in ours if _whole(bundle.since) <= wanted][-1]


def packages_with(version: Version) -> tuple[str, ...]:
    """Packages that bundle a runtime on some platform, in words: ``flutter_onnxruntime ≥ 1.5.1, < 1.8.0``."""
    found = []
    for bundle in bundles():
        here = [p for p, release in bundle.runtimes.items() if Version.parse(release) == version]
        if here:
            differs = len(here) < len(PLATFORMS)
            found.append(f"{bundle} ({', '.join(here)})" if differs else str(bundle))
    return tuple(found)


@lru_cache(maxsize=1)
def bundles() -> tuple[FlutterRelease, ...]:
    """Everything that is known, a package's releases in order."""
    entries = _document()["bundle"]
    read = []
    for place, entry in enumerate(entries):
        name = entry["package"]
        later = next((other["since"] for other in entries[place + 1 :] if other["package"] == name), None)
        until = _known()[name] if later is None else f"< {later}"
        runtimes = {platform: entry[platform] for platform in PLATFORMS if platform in entry}
        read.append(FlutterRelease(name, entry["since"], until, runtimes))
    return tuple(read)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    return tomllib.loads(files("eyerace_parity.compatibility").joinpath(DATA).read_text(encoding="utf-8"))


def _known() -> dict[str, str]:
    """The newest release that was looked at, by package."""
    return {name: entry["known"] for name, entry in _document()["packages"].items()}


def _release(text: str) -> _Release | None:
    found = _RELEASE.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _whole(text: str) -> _Release:
    release = _release(text)
    if release is None:
        message = f"{DATA} holds {text!r}, which is no release"
        raise ValueError(message)
    return release


def minimum_runtime(min_onnxruntime: str | None, flutter: str | None) -> Version | None:
    """The oldest runtime that a file must load on, ``None`` where nothing is demanded.

    Args:
        min_onnxruntime: A version, as ``1.21``.
        flutter: A package with its release, as ``flutter_onnxruntime 1.5.1``.

    Raises:
        ValueError: One of them is not known.
    """
    demanded = []
    if min_onnxruntime is not None:
        demanded.append(Version.parse(min_onnxruntime))
    if flutter is not None:
        demanded.append(resolve(flutter).oldest)
    return min(demanded, default=None)
