"""Downloads and unpacks packages of the host's distribution, for any architecture, without root.

apt gets its own state in a temporary folder, so the host's lists, cache and installed packages do not change. Proxies
and credentials are the host's. apt verifies signatures and digests as usual.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.extensions.emulation.home import run_step
from eyerace_parity.extensions.emulation.mirrors import archives, distribution, for_architecture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eyerace_parity.core.progress import Progress

_TOOLS: Final = ("apt-get", "dpkg", "dpkg-deb", "tar")
_USR_MERGED: Final = ("bin", "lib", "sbin")
"""Folders that every release keeps under ``usr``, although some packages still ship them at the top."""

_OFFLINE: Final = "check the network and apt's proxy, or use your own with --sysroot and --qemu"


@dataclass(frozen=True, slots=True)
class Apt:
    """An apt with its own state.

    Attributes:
        folder: Folder of its state.
        architecture: Architecture of the packages, as Debian names it.
        installed: dpkg's status file of installed packages, which are not downloaded; none if ``None``.
    """

    folder: Path
    architecture: str
    installed: Path | None = None

    def fetch(self, packages: Sequence[str], what: str, progress: Progress) -> tuple[Path, ...]:
        """Download packages with all dependencies.

        Args:
            packages: Their names.
            what: What they are for, for the progress bar.
            progress: Receives the progress.

        Returns:
            The package files, sorted by name.

        Raises:
            MeasurementError: This is not Debian or Ubuntu, the network failed, or a package does not exist.
        """
        release = distribution()
        require_tools()
        self._prepare(release.identity)
        with progress.task(f"{what}: reading package lists", None):
            trouble = self._update()
        # Python and onnxruntime run without the recommended packages.
        install = ("install", "--no-install-recommends", "--assume-yes", "-qq", *packages)
        try:
            names = run_step(
                self._command(*install, "--print-uris"),
                what=f"finding {' and '.join(packages)} for {self.architecture}",
                folder=self.folder,
                next_step=_OFFLINE,
            )
        except MeasurementError as error:
            # A package is missing from the lists because the lists could not be read.
            raise trouble or error from error
        expected = [line.split()[1] for line in names.splitlines() if line.startswith("'")]
        self._download(install, what, expected, progress)
        found = tuple(sorted((self.folder / "archives").glob("*.deb")))
        if not found:
            raise MeasurementError(
                f"apt fetched nothing for {' and '.join(packages)} ({self.architecture})",
                next_step="install them with the distribution's own tools, or use your own with --sysroot and --qemu",
            )
        return found

    def _download(self, install: Sequence[str], what: str, expected: Sequence[str], progress: Progress) -> None:
        done: set[str] = set()
        with progress.task(f"{what}: fetching packages", len(expected)) as task:

            def count_files() -> None:
                present = {path.name for path in (self.folder / "archives").glob("*.deb")}
                task.advance(len(present - done))
                done.update(present)

            run_step(
                self._command(*install, "--download-only"),
                what=f"fetching packages of {self.architecture}",
                folder=self.folder,
                watch=count_files,
                next_step=_OFFLINE,
            )

    def _update(self) -> MeasurementError | None:
        """Read the package lists. One archive of several may fail; it matters only if a package is missing."""
        try:
            # Without this option apt ends with 0 even if it has read no list.
            command = self._command("update", "-qq", "-o", "APT::Update::Error-Mode=any")
            run_step(command, what="reading the package lists", folder=self.folder, next_step=_OFFLINE)
        except MeasurementError as error:
            return error
        return None

    def _prepare(self, identity: str) -> None:
        found = for_architecture(
            archives(distribution()), self.architecture, native=native_architecture(), identity=identity
        )
        for name in ("lists/partial", "archives/partial", "cache", "sources"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "sources" / "own.sources").write_text("\n".join(a.stanza() for a in found), encoding="utf-8")
        (self.folder / "none").touch()
        (self.folder / "apt.conf").write_text(self._configuration(), encoding="utf-8")

    def _configuration(self) -> str:
        """Settings that apt reads after the host's own. Hooks of the host are cleared: they act on its own packages."""
        folder = self.folder.as_posix()
        state = {
            "Dir::State": folder,
            "Dir::State::lists": f"{folder}/lists",
            "Dir::State::status": (self.installed or self.folder / "none").as_posix(),
            "Dir::State::extended_states": f"{folder}/extended_states",
            "Dir::Cache": f"{folder}/cache",
            "Dir::Cache::archives": f"{folder}/archives",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": f"{folder}/log",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": f"{folder}/sources",
            "APT::Architecture": self.architecture,
            "APT::Sandbox::User": "root",  # the user _apt cannot write into this folder
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",  # nobody else uses this state, and the host's lock needs root
        }
        # Values of a list accumulate over configuration files, so the host's lists are cleared first.
        clear = ("APT::Update", "APT::Architectures", "DPkg")
        lines = [*(f"#clear {name};" for name in clear), *(f'{name} "{value}";' for name, value in state.items())]
        return "\n".join([*lines, f'APT::Architectures {{ "{self.architecture}"; }};', ""])

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return ("apt-get", "--config-file", str(self.folder / "apt.conf"), *arguments)


def require_tools() -> None:
    """Refuse a machine without the tools that unpack packages.

    Raises:
        MeasurementError: A tool is missing.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise MeasurementError(
            f"{' and '.join(missing)} cannot be found, so packages cannot be downloaded",
            next_step="use your own with --sysroot FOLDER and --qemu FOLDER",
        )


@cache
def native_architecture() -> str:
    """The host's architecture as Debian names it."""
    done = subprocess.run(
        ["dpkg", "--print-architecture"],  # noqa: S607 - wherever this host has it
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def unpack(packages: Sequence[Path], root: Path, what: str, progress: Progress) -> dict[str, str]:
    """Unpack packages into a folder; none of their scripts run.

    Args:
        packages: Package files.
        root: Target folder; it is created.
        what: What they are for, for the progress bar.
        progress: Receives the progress.

    Returns:
        Version by package.

    Raises:
        MeasurementError: A package is damaged, or the disk is full.
    """
    for name in _USR_MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    # In a shell pipe the failure of the first command is lost, so the archive is written to a file.
    archive = root.parent / "package.tar"
    with progress.task(f"{what}: unpacking", len(packages)) as task:
        for package in packages:
            step = {"what": f"unpacking {package.name}", "folder": root.parent}
            script = 'dpkg-deb --fsys-tarfile "$1" > "$2" && exec tar -x --keep-directory-symlink --no-same-owner '
            script += '--exclude=./dev -C "$3" -f "$2"'
            run_step(("sh", "-c", script, "sh", str(package), str(archive), str(root)), **step)  # type: ignore[arg-type]
            task.advance()
    archive.unlink(missing_ok=True)
    return dict(_name_and_version(package) for package in packages)


def _name_and_version(package: Path) -> tuple[str, str]:
    name, version, _ = re.split("_", package.stem, maxsplit=2)
    return name, unquote(version)
