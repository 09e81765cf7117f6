"""The arm64 userland: a folder with a Python and the C and C++ libraries of another architecture."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import file_digest, rows_digest
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.extensions.emulation.apt import Apt, unpack
from eyerace_parity.extensions.emulation.home import content_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.emulation.home import Home
    from eyerace_parity.extensions.emulation.tiers import Tier

PACKAGES: Final = ("python3", "libstdc++6")
"""Packages that are installed, with their dependencies."""

NAME: Final = "arm64 userland"

_KIND: Final = "userland"
_NEEDED_BYTES: Final = 160_000_000
_ELF_ARM64: Final = 183
_MACHINE_BYTES: Final = slice(18, 20)
_PYTHON: Final = re.compile(r"^python3\.\d+$")
_GLIBC: Final = re.compile(rb"GNU C Library [^\n]*?version (\d+\.\d+)")
_NUMERIC: Final = ("libc.so.6", "libm.so.6", "libstdc++.so.6")
"""Libraries of a user's own userland that could change a number."""

# Known limit: /sys/devices/system/cpu is the host's. With fewer processors in cpuinfo than there, the runtime may
# crash: with 8 on a host of 16, onnxruntime 1.22 aborts, 1.29 and 1.32 do not (measured).
PROCESSORS: Final = 8
"""Number of processors that a guest sees: as many as most phones have, and the same on every host."""

_LINKED_FOLDERS: Final = ("bin", "etc", "lib", "lib64", "opt", "sbin", "usr", "var")
"""Folders that are taken from the userland. Not ``home``, ``tmp`` or ``work``: the guest needs the host's."""


@dataclass(frozen=True, slots=True)
class Userland:
    """An available userland.

    Attributes:
        root: Its folder.
        python: Its Python, relative to the root.
        versions: Version by package; digest by file for a user's own.
        digest: Digest of the versions.
    """

    root: Path
    python: PurePosixPath
    versions: Mapping[str, str]
    digest: str

    @property
    def python_version(self) -> str:
        """Major and minor version of its Python, e.g. ``3.11``."""
        return self.python.name.removeprefix("python")

    def glibc(self) -> tuple[int, int]:
        """Version of its C library; it decides which wheels fit.

        Raises:
            MeasurementError: It has no GNU C library with a version, for example musl.
        """
        for path in _libraries(self.root, "libc.so.6"):
            if (match := _GLIBC.search(path.read_bytes())) is not None:
                major, minor = match[1].split(b".")
                return int(major), int(minor)
        raise MeasurementError(
            f"the userland in {display_path(self.root)} has no GNU C library, so no wheel of onnxruntime fits it",
            next_step="use one of Debian or Ubuntu",
        )


def find_userland(home: Home, own: Path | None = None) -> Userland | None:
    """The available userland; ``None`` if there is none.

    Args:
        home: Folder of the parts.
        own: The user's own userland; it takes precedence over an installed one.

    Raises:
        MeasurementError: The user's own folder is not a userland.
    """
    # A user's own userland has no package versions, so the files that could change a number are digested instead.
    if own is not None:
        python = _python_of(own)
        rows = numeric_digests(own)
        return Userland(own, python, MappingProxyType(rows), rows_digest(rows.items()))
    for part in home.parts(_KIND):
        return Userland(part.root, _python_of(part.root), part.versions, part.digest)
    return None


def numeric_files(root: Path) -> dict[str, Path]:
    """Files of a user's own userland that could change a number, by their name in an evidence key.

    Raises:
        MeasurementError: It is not a userland.
    """
    found = {
        f"{name} {path.relative_to(root).as_posix()}": path for name in _NUMERIC for path in _libraries(root, name)
    }
    return found | {"python": _within(root, root / _python_of(root))}


def numeric_digests(root: Path) -> dict[str, str]:
    """Digests of these files, by the same names.

    Raises:
        MeasurementError: It is not a userland.
    """
    return {name: file_digest(path) for name, path in numeric_files(root).items()}


def install_userland(home: Home, progress: Progress) -> Userland:
    """Download and unpack the distribution's own. The caller holds the lock.

    Raises:
        MeasurementError: It cannot be downloaded, or the disk is full.
    """
    with home.making(_NEEDED_BYTES) as staging:
        (staging / "apt").mkdir()
        packages = Apt(staging / "apt", "arm64").fetch(PACKAGES, NAME, progress)
        versions = unpack(packages, staging / "root", NAME, progress)
        shutil.rmtree(staging / "apt")
        python = _python_of(staging / "root")
        part = home.keep(staging, _KIND, content_name(versions), versions)
    return Userland(part.root, python, part.versions, part.digest)


def _python_of(root: Path) -> PurePosixPath:
    """The Python of a userland, relative to its root: the target of ``python3``, else the newest."""
    if not root.is_dir():
        raise MeasurementError(
            f"there is no folder {display_path(root)}", next_step="name an unpacked arm64 root: --sysroot"
        )
    found: list[tuple[bool, tuple[int, ...], PurePosixPath]] = []
    for folder in ("usr/local/bin", "usr/bin"):
        link = root / folder / "python3"
        default = link.readlink().name if link.is_symlink() else ""
        for path in (root / folder).glob("python3.*"):
            if _PYTHON.match(path.name) and _machine(_within(root, path)) == _ELF_ARM64:
                version = tuple(int(number) for number in path.name.removeprefix("python").split("."))
                found.append((path.name == default, version, PurePosixPath(folder, path.name)))
    if not found:
        raise MeasurementError(
            f"the userland in {display_path(root)} has no arm64 python3 in usr/bin or usr/local/bin",
            next_step="name the unpacked root of an arm64 Debian or Ubuntu that has python3 and libstdc++6",
        )
    return max(found)[2]


def _within(root: Path, path: Path) -> Path:
    """Follow links as the guest would: an absolute link starts at the root."""
    for _ in range(8):
        if not path.is_symlink():
            break
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def _machine(path: Path) -> int:
    try:
        with path.open("rb") as file:
            head = file.read(_MACHINE_BYTES.stop)
    except OSError:
        return 0
    return int.from_bytes(head[_MACHINE_BYTES], "little") if head[:4] == b"\x7fELF" else 0


def _libraries(root: Path, name: str) -> list[Path]:
    folders = (
        folder / below
        for folder, below in itertools.product((root / "usr", root), ("lib/aarch64-linux-gnu", "lib64", "lib"))
    )
    paths = (_within(root, folder / name) for folder in folders)
    return list(dict.fromkeys(path for path in paths if path.is_file()))


def view_of(home: Home, userland: Userland, tier: Tier) -> Path:
    """The view of a userland for a tier; created on first use.

    A view is a folder of links with its own ``/proc/cpuinfo``; ``qemu -L`` redirects every path that exists in it.

    Raises:
        MeasurementError: It cannot be created.
    """
    text = cpuinfo(tier)
    name = content_name({"root": str(userland.root.absolute()), "userland": userland.digest, "cpuinfo": text})
    view = home.folder / "views" / name
    if view.is_dir():
        return view
    with home.readable_errors():
        view.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".making-", dir=view.parent))
        for folder in _LINKED_FOLDERS:
            if (userland.root / folder).exists():
                (staging / folder).symlink_to((userland.root / folder).absolute())
        (staging / "proc").mkdir()
        (staging / "proc" / "cpuinfo").write_text(text, encoding="ascii")
        try:
            staging.rename(view)
        except OSError:
            # Another process created the same view meanwhile.
            shutil.rmtree(staging, ignore_errors=True)
            if not view.is_dir():
                raise
    return view


def cpuinfo(tier: Tier) -> str:
    """The complete ``/proc/cpuinfo`` of a tier."""
    if any(line.startswith("processor") for line in tier.cpuinfo.splitlines()):
        return tier.cpuinfo + "\n"  # a contract gave the complete file
    return "".join(f"processor\t: {number}\n{tier.cpuinfo}\n\n" for number in range(PROCESSORS))
