"""The emulator: the user's own, the machine's, or the distribution's package unpacked into a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.files import display_path, file_marks
from eyerace_parity.extensions.emulation.apt import Apt, native_architecture, unpack
from eyerace_parity.extensions.emulation.home import content_name

if TYPE_CHECKING:
    from eyerace_parity.core.files import Marks
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.emulation.home import Home, Part
    from eyerace_parity.extensions.emulation.tiers import Architecture

NAME: Final = "qemu"

_KIND: Final = "qemu"
_NEEDED_BYTES: Final = 160_000_000
_PACKAGE: Final = "qemu-user"
_STATUS: Final = Path("/var/lib/dpkg/status")
_SECONDS: Final = 30.0
_PATH_VARIABLE: Final = "LD_LIBRARY_PATH"


@dataclass(frozen=True, slots=True)
class Emulator:
    """An available QEMU.

    Attributes:
        binary: The program.
        libraries: Folders of libraries that the host lacks; empty for the machine's own QEMU.
        version: The version it reports.
        origin: Where it comes from, in words.
    """

    binary: Path
    libraries: tuple[Path, ...]
    version: str
    origin: str

    def bare(self) -> tuple[str, ...]:
        """The command that starts it in an empty environment: the host's variables must not reach an arm64 guest."""
        path = [f"{_PATH_VARIABLE}={_joined(self.libraries)}"] if self.libraries else []
        return ("/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", *path, str(self.binary))

    def within(self) -> tuple[str, ...]:
        """The command that starts it in this process's environment, without the variables that QEMU itself reads."""
        unset = [word for name in sorted(os.environ) if name.startswith("QEMU_") for word in ("-u", name)]
        path = [f"{_PATH_VARIABLE}={_joined(self.libraries)}"] if self.libraries else []
        prefix = ("/usr/bin/env", *unset, *path) if unset or path else ()
        return (*prefix, str(self.binary))

    def hidden(self, *, keep: bool) -> tuple[str, ...]:
        """Arguments that hide QEMU's own libraries from the guest.

        Args:
            keep: Pass the host's own setting on, for a guest of the host's architecture.
        """
        if not self.libraries:
            return ()
        own = os.environ.get(_PATH_VARIABLE) if keep else None
        return ("-U", _PATH_VARIABLE) if own is None else ("-E", f"{_PATH_VARIABLE}={own}")


def find_qemu(architecture: Architecture, home: Home, own: Path | None = None) -> Emulator | None:
    """The available emulator: the user's own, else the machine's, else an installed one; ``None`` if there is none.

    Raises:
        MeasurementError: The user's own does not exist, or the one found does not run.
    """
    name = f"qemu-{architecture}"
    if own is not None:
        # The package qemu-user-static adds -static to the names.
        binary = shutil.which(name, path=str(own)) or shutil.which(f"{name}-static", path=str(own))
        if binary is None:
            raise MeasurementError(
                f"there is no {name} in {display_path(own)}",
                next_step="name the folder that contains it: --qemu FOLDER",
            )
        return _emulator(Path(binary).absolute(), (), "your own")
    # The machine's own QEMU needs no download.
    if (binary := shutil.which(name)) is not None:
        return _emulator(Path(binary), (), "of this machine")
    for part in home.parts(_KIND):
        if part.name.startswith(f"{native_architecture()}-") and (part.root / "usr" / "bin" / name).is_file():
            return _of_part(part, name)
    return None


def install_qemu(architecture: Architecture, home: Home, progress: Progress) -> Emulator:
    """Download and unpack the distribution's package, with libraries that this host lacks. The caller holds the lock.

    Raises:
        MeasurementError: It cannot be downloaded, or the disk is full.
    """
    native = native_architecture()
    with home.making(_NEEDED_BYTES) as staging:
        (staging / "apt").mkdir()
        packages = Apt(staging / "apt", native, installed=_STATUS).fetch((_PACKAGE,), NAME, progress)
        versions = unpack(packages, staging / "root", NAME, progress)
        shutil.rmtree(staging / "apt")
        _remove_other_emulators(staging / "root")
        part = home.keep(staging, _KIND, f"{native}-{content_name(versions)}", versions)
    return _of_part(part, f"qemu-{architecture}")


def _remove_other_emulators(root: Path) -> None:
    """Remove the emulators of some thirty other processors: they are most of the package."""
    for binary in (root / "usr" / "bin").glob("qemu-*"):
        if binary.name not in {"qemu-aarch64", "qemu-x86_64"}:
            binary.unlink()


def _of_part(part: Part, name: str) -> Emulator:
    folders = sorted({path.parent for path in (part.root / "usr" / "lib").glob("**/lib*.so*")})
    return _emulator(part.root / "usr" / "bin" / name, tuple(folders), "installed")


def _emulator(binary: Path, libraries: tuple[Path, ...], origin: str) -> Emulator:
    return Emulator(binary, libraries, _version_of(binary, libraries, file_marks(binary)), origin)


@cache
def _version_of(binary: Path, libraries: tuple[Path, ...], _marks: Marks | None) -> str:
    """The version that an emulator reports. Each target of a run asks, so a file that stays the same runs once.

    Raises:
        MeasurementError: It does not run.
    """
    # An installed QEMU needs the libraries that were unpacked beside it.
    variables = {**os.environ, _PATH_VARIABLE: _joined(libraries)} if libraries else None
    try:
        done = subprocess.run(  # noqa: S603 - the emulator that was found or named
            [binary, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env=variables,
        )
        output = (done.stdout or done.stderr).decode(errors="replace").strip().partition("\n")[0]
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        output, failed = str(error), True
    if failed or "version" not in output:
        raise MeasurementError(
            f"{display_path(binary)} does not run: {output or 'no output'}",
            next_step="name another with --qemu FOLDER",
        )
    return output.partition("version")[2].strip()


def _joined(folders: tuple[Path, ...]) -> str:
    return os.pathsep.join(str(folder) for folder in folders)
