"""The packages of the arm64 guest: aarch64 wheels of the run's own versions, one folder for each pair of versions."""

from __future__ import annotations

import importlib.util
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.extensions.emulation.home import content_name, run_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.emulation.home import Home, Part
    from eyerace_parity.extensions.emulation.userland import Userland

_KIND: Final = "runtime"
# The wheels, and their unpacked files beside them.
_NEEDED_BYTES: Final = 180_000_000
# manylinux2014 is glibc 2.17, the oldest tag with aarch64 wheels.
_OLDEST_GLIBC: Final = 17
# An exact version, because evidence is keyed by it.
_EXACT: Final = re.compile(r"^\d+(\.\d+)+([a-z0-9.+]*)$")
_NUMPY_2: Final = (1, 19)
"""First onnxruntime that works with numpy 2 (measured: up to 1.18 it needs numpy < 2)."""


@dataclass(frozen=True, slots=True)
class GuestVersions:
    """Versions for the guest: those of the run."""

    onnxruntime: str
    numpy: str


def runtime_of(onnxruntime: str, numpy: str) -> GuestVersions:
    """Pair a version of onnxruntime with a numpy that works with it.

    Args:
        onnxruntime: Its version; ``1.22`` means ``1.22.0``.
        numpy: The numpy of this Python.

    Raises:
        MeasurementError: The text is not a version.
    """
    if not _EXACT.match(onnxruntime):
        raise MeasurementError(f"{onnxruntime!r} is no version of onnxruntime", next_step="give one such as 1.22.0")
    full = onnxruntime if onnxruntime.count(".") > 1 else f"{onnxruntime}.0"
    before_numpy_2 = tuple(int(number) for number in full.split(".")[:2]) < _NUMPY_2
    return GuestVersions(full, "1.26.4" if before_numpy_2 and not numpy.startswith("1.") else numpy)


@dataclass(frozen=True, slots=True)
class Site:
    """Packages that a guest can import.

    Attributes:
        folder: Entry for the guest's ``PYTHONPATH``.
        compiled: Folder of compiled modules, inside the same part.
        versions: The versions of the two packages and the digests of their wheels.
    """

    folder: Path
    compiled: Path
    versions: Mapping[str, str]


def find_site(home: Home, runtime: GuestVersions, userland: Userland, own: Path | None = None) -> Site | None:
    """The installed packages for a userland; ``None`` if they are missing.

    Args:
        home: Folder of the parts.
        runtime: The required versions.
        userland: The userland whose Python imports them.
        own: A folder with the user's own wheels.

    Raises:
        MeasurementError: A wheel is missing in the user's own folder.
    """
    part = home.part(_KIND, _name(runtime, userland, own))
    return None if part is None else _site(part, userland)


def install_site(
    home: Home, runtime: GuestVersions, userland: Userland, progress: Progress, own: Path | None = None
) -> Site:
    """Download and unpack the packages. The caller holds the lock.

    Raises:
        MeasurementError: pip is missing, there is no such wheel for this Python, or the disk is full.
    """
    title = f"onnxruntime {runtime.onnxruntime} for arm64"
    name = _name(runtime, userland, own)
    with home.making(_NEEDED_BYTES) as staging:
        with progress.task(f"{title}: fetching wheels", None):
            versions: dict[str, str] = {}
            for package, version in (("onnxruntime", runtime.onnxruntime), ("numpy", runtime.numpy)):
                wheel = _fetch(package, version, userland, staging / package, own)
                versions[package] = wheel.name.split("-")[1]
                versions[f"{package} wheel"] = file_digest(wheel)
        wheels = sorted(staging.glob("*/*.whl"))
        with home.readable_errors(), progress.task(f"{title}: unpacking", len(wheels)) as task:
            for wheel in wheels:
                _unpack(wheel, staging / "root")
                wheel.unlink()
                task.advance()
        if _name(runtime, userland, own) != name:
            # The name contains the digests: the unpacked files may be a mix of the old and the new wheel.
            raise InputChanged(f"a wheel in {display_path(own or staging)} changed while it was unpacked")
        return _site(home.keep(staging, _KIND, name, versions), userland)


def _site(part: Part, userland: Userland) -> Site:
    # Compiled modules contain the path of their source, so each userland has its own folder.
    compiled = part.folder / f"compiled-{content_name({'userland': userland.digest, 'root': str(userland.root)})}"
    return Site(part.root, compiled, part.versions)


def _name(runtime: GuestVersions, userland: Userland, own: Path | None) -> str:
    tag = "cp" + userland.python_version.replace(".", "")
    name = f"{runtime.onnxruntime}-numpy-{runtime.numpy}-{tag}"
    if own is None:
        return name
    # A user's own build can have the same version as the published wheel, but other bytes.
    wheels = {path.name: file_digest(path) for path in _own_wheels(own)}
    return f"{name}-own-{content_name(wheels)}"


def _own_wheels(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*.whl") if re.match(r"(onnxruntime|numpy)-.*aarch64\.whl$", path.name))
    missing = [name for name in ("onnxruntime", "numpy") if not any(path.name.startswith(name) for path in found)]
    if missing:
        raise MeasurementError(
            f"{display_path(folder)} holds no aarch64 wheel of {' and '.join(missing)}",
            next_step="put the wheels of onnxruntime and of numpy there, or leave --wheels out to download them",
        )
    return found


def _fetch(package: str, version: str, userland: Userland, target: Path, own: Path | None) -> Path:
    """Let pip choose, download and verify the wheel, with its own index, proxy and certificates."""
    if importlib.util.find_spec("pip") is None:
        raise MeasurementError(
            f"this Python ({display_path(Path(sys.executable))}) has no pip to download the wheels for the guest",
            next_step=f"{display_path(Path(sys.executable))} -m ensurepip",
        )
    target.mkdir()
    # numpy only carries the arrays: if this version has no wheel for the guest's Python, the same major version works.
    requirements = [f"{package}=={version}"] + (
        [f"numpy=={version.split('.', maxsplit=1)[0]}.*"] * (package == "numpy")
    )
    for last, requirement in zip([False] * (len(requirements) - 1) + [True], requirements, strict=True):
        try:
            run_step(
                (*_pip(userland, own), "--dest", str(target), requirement),
                what=f"fetching {requirement} for arm64",
                folder=target,
                # pip downloads to TMPDIR first: use the chosen disk, because /tmp may be small.
                env={"TMPDIR": str(target)},
                next_step="check the network and pip's index",
            )
        except MeasurementError as error:
            if not any(words in str(error) for words in ("No matching distribution", "Could not find a version")):
                raise
            if last:
                raise MeasurementError(
                    f"{package} {version} has no wheel for arm64 and Python {userland.python_version}, the Python of "
                    "the arm64 userland",
                    next_step="use a userland with another Python (--sysroot), a wheel of your own (--wheels), or "
                    f"run with another {package}",
                ) from error
        for wheel in target.glob("*.whl"):
            return wheel
    raise MeasurementError(f"pip downloaded no wheel of {package} {version}", next_step="check pip's configuration")


def _pip(userland: Userland, own: Path | None) -> Sequence[str]:
    tag = userland.python_version.replace(".", "")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    # Binary only: pip would compile a source package for the host.
    command += ["--no-input", "--only-binary=:all:", "--implementation", "cp", "--python-version", tag]
    command += ["--abi", f"cp{tag}", "--abi", "abi3", "--abi", "none"]
    command += [word for platform in _platforms(userland.glibc()) for word in ("--platform", platform)]
    return command if own is None else [*command, "--no-index", "--find-links", str(own.absolute())]


def _platforms(glibc: tuple[int, int]) -> Iterator[str]:
    """Platform tags of wheels that run with a version of the C library, newest first."""
    major, minor = glibc
    for number in range(minor, _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_{major}_{number}_aarch64"
    yield "manylinux2014_aarch64"
    yield "linux_aarch64"


def _unpack(wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)  # zipfile itself strips ".." and absolute paths from names
    except zipfile.BadZipFile as error:
        raise MeasurementError(f"the wheel {wheel.name} is damaged", next_step="download it again") from error
