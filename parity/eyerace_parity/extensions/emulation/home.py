"""The folder of installed parts. Each part is complete or absent, and one install runs at a time.

A part is made in a staging folder and renamed into place with its manifest. So an interrupted install never counts as a
part; the next install deletes what it left.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import rows_digest
from eyerace_parity.core.errors import MeasurementError, signal_in_words
from eyerace_parity.core.files import display_path
from eyerace_parity.isolation.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from eyerace_parity.core.progress import Progress

SCHEMA: Final = 1
"""Version of a part's layout; parts of another version are ignored."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a full disk, and of an exhausted quota."""

_MANIFEST: Final = "manifest.json"
_MAKING: Final = "making-"
_DERIVED: Final = ("views", "counters")
"""Folders derived from parts; they are cheap to make again."""

_FULL_PHRASES: Final = ("no space left on device", "disk quota exceeded", "not enough free space")

# Below this a download is stopped as disk full; apt itself would wait.
_MIN_FREE_BYTES: Final = 1 << 19

_POLL_SECONDS: Final = 0.2

# An install is 90 MB; half an hour allows 50 kB/s.
_MAX_SECONDS: Final = 1800.0

_MAX_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Part:
    """An installed part.

    Attributes:
        kind: ``userland``, ``qemu`` or ``runtime``.
        name: Name within its kind.
        versions: Its contents: version by package.
        bytes: Size of its files when it was installed.
        folder: Its folder.
    """

    kind: str
    name: str
    versions: Mapping[str, str]
    bytes: int
    folder: Path

    @property
    def root(self) -> Path:
        """Folder of its files."""
        return self.folder / "root"

    @property
    def digest(self) -> str:
        """Digest of its versions."""
        return versions_digest(self.versions)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of installed parts.

    Attributes:
        folder: Its path; the first install creates it.
    """

    folder: Path

    def parts(self, kind: str = "*") -> tuple[Part, ...]:
        """All complete parts of a kind, newest first."""
        found = [part for path in self.folder.glob(f"{kind}-*/{_MANIFEST}") if (part := _part(path)) is not None]
        return tuple(sorted(found, key=lambda part: (part.folder / _MANIFEST).stat().st_mtime_ns, reverse=True))

    def part(self, kind: str, name: str) -> Part | None:
        """The part of this name; ``None`` if it is absent or incomplete."""
        return _part(self.folder / f"{kind}-{name}" / _MANIFEST)

    @contextlib.contextmanager
    def claim(self, progress: Progress) -> Iterator[None]:
        """Take the install lock: another install is waited for. The lock ends with its process.

        Raises:
            MeasurementError: The folder cannot be created or locked.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - its import takes longer than finding the parts

        with self.readable_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with progress.task("waiting for another install", None):
                    lock.acquire(poll_interval=0.2)
            except NotImplementedError as error:
                raise MeasurementError(
                    f"{display_path(self.folder)} cannot be locked",
                    next_step="choose a folder on a local disk with --home",
                ) from error
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def making(self, room: int = 0) -> Iterator[Path]:
        """A staging folder to make a part in; it is deleted afterwards unless the part was kept.

        Args:
            room: Bytes needed; checked first, because not every tool notices a full disk.

        Raises:
            MeasurementError: There is not enough space, or the folder cannot be created.
        """
        with self.readable_errors():
            if shutil.disk_usage(self.folder).free < room:
                raise disk_full(self.folder)
            staging = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self.folder))
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def keep(self, staging: Path, kind: str, name: str, versions: Mapping[str, str]) -> Part:
        """Turn the staging folder into a part, completely or not at all.

        Args:
            staging: Folder from :meth:`making`; its ``root`` becomes the part's.
            kind: Kind of the part.
            name: Name of the part.
            versions: Its contents.
        """
        made, target = staging / "part", self.folder / f"{kind}-{name}"
        with self.readable_errors():
            made.mkdir()
            (staging / "root").rename(made / "root")
            manifest = {"schema": SCHEMA, "versions": dict(sorted(versions.items())), "bytes": size_of(made)}
            (made / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            if hasattr(os, "sync"):
                os.sync()  # the content must reach the disk before the rename does
            if target.exists():
                shutil.rmtree(target)
            made.rename(target)
        return Part(kind, name, MappingProxyType(dict(versions)), int(str(manifest["bytes"])), target)

    def size(self) -> int:
        """Bytes of everything that installs have left here, complete or not."""
        return sum(size_of(folder) for folder in self._own_folders())

    def clean(self, progress: Progress) -> int:
        """Remove all parts; return the freed bytes. Waits for a running install."""
        if not self.folder.is_dir():
            return 0
        with self.claim(progress), progress.task("removing", None):
            freed = 0
            for folder in self._own_folders():
                bytes_of_it = size_of(folder)
                # Renamed first, so that a partly removed folder never counts as a part.
                gone = folder.rename(self.folder / f"{_MAKING}clean-{folder.name}")
                with self.readable_errors():
                    shutil.rmtree(gone)
                freed += bytes_of_it
        return freed

    @contextlib.contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turn an error of the file system into a sentence."""
        try:
            yield
        except OSError as error:
            raise trouble_at(self.folder, error) from error

    def _own_folders(self) -> list[Path]:
        """Only folders that an install makes: ``--home`` may point to a folder with other files."""
        parts = [path.parent for path in self.folder.glob(f"*-*/{_MANIFEST}") if _part(path) is not None]
        others = [self.folder / name for name in _DERIVED if (self.folder / name).is_dir()]
        return parts + others + list(self.folder.glob(f"{_MAKING}*"))

    def _sweep(self) -> None:
        for leftover in self.folder.glob(f"{_MAKING}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def versions_digest(versions: Mapping[str, str]) -> str:
    """Digest of versions by package."""
    return rows_digest(versions.items())


def content_name(versions: Mapping[str, str]) -> str:
    """Short name for a part with these versions."""
    return versions_digest(versions).removeprefix("sha256:")[:12]


def trouble_at(folder: Path, error: OSError) -> MeasurementError:
    """Describe an error of the file system, and what to do about it."""
    if error.errno in FULL:
        return disk_full(folder)
    what = error.strerror or str(error)
    named = error.filename if error.filename is not None else folder
    return MeasurementError(
        f"{display_path(Path(os.fsdecode(named)))}: {what[:1].lower()}{what[1:]}",
        next_step="choose a folder that you may write to with --home, or EYERACE_PARITY_ARM64_HOME",
    )


def disk_full(folder: Path) -> MeasurementError:
    """Report a full disk."""
    try:
        free = f"{shutil.disk_usage(folder).free / 1e6:.0f} MB are free now"
    except OSError:
        free = "the free space is unknown"
    return MeasurementError(
        f"the disk of {display_path(folder)} is full ({free}); the unfinished install was removed",
        next_step="free about 400 MB (an install keeps 210), or choose another folder with --home",
    )


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # another process may delete files at the same time
                total += os.lstat(os.path.join(base, name)).st_size  # noqa: PTH118 - thousands of files
    return total


def _part(manifest: Path) -> Part | None:
    """Read a part by its manifest; anything incomplete or foreign is not a part."""
    try:
        found = json.loads(manifest.read_bytes())
        kind, _, name = manifest.parent.name.partition("-")
        if found["schema"] != SCHEMA or not (manifest.parent / "root").is_dir():
            return None
        versions = {str(package): str(version) for package, version in found["versions"].items()}
        return Part(kind, name, MappingProxyType(versions), int(found["bytes"]), manifest.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def run_step(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    watch: Callable[[], None] = lambda: None,
    next_step: str = "",
) -> str:
    """Run a command to its end.

    Args:
        command: The command.
        what: What it does, for the message, e.g. ``downloading packages``.
        folder: Its working folder.
        env: Variables added to this process's environment.
        watch: Called a few times a second while it runs.
        next_step: What to do if it fails.

    Returns:
        Its standard output.

    Raises:
        MeasurementError: It cannot be run, or fails.
    """
    # In English, because some of its messages are parsed.
    variables = {**os.environ, "LC_ALL": "C", **(env or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 - the host's own tools
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, cwd=folder, env=variables, **new_group()
            )
        except OSError as error:
            raise MeasurementError(
                f"{what}: {command[0]} cannot be run: {error.strerror or error}", next_step=next_step
            ) from error
        try:
            _wait(process, watch, folder, what)
        finally:
            end_group(process)  # after Ctrl-C too; ends its children as well
        out.seek(0)
        errors.seek(0)
        output, error_text = (stream.read().decode(errors="replace") for stream in (out, errors))
    if process.returncode == 0:
        return output
    # The exit code alone is not enough: some tools report a full disk as a damaged file.
    if any(words in f"{error_text}{output}".casefold() for words in _FULL_PHRASES):
        raise disk_full(folder)
    raise MeasurementError(f"{what} failed: {_why(process.returncode, error_text or output)}", next_step=next_step)


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], None], folder: Path, what: str) -> None:
    deadline = time.monotonic() + _MAX_SECONDS
    while process.poll() is None:
        watch()
        if time.monotonic() > deadline:
            raise MeasurementError(
                f"{what} did not finish within {_MAX_SECONDS / 60:.0f} minutes, and was ended",
                next_step="check the network and the free disk space",
            )
        if shutil.disk_usage(folder).free < _MIN_FREE_BYTES:
            raise disk_full(folder)  # apt and other tools wait forever for free space
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
    watch()


def _why(code: int, errors: str) -> str:
    """The lines that name an error; otherwise the last lines; otherwise how it ended."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    error_lines = [line for line in lines if line.lower().startswith(("e:", "error", "err:"))] or lines
    if error_lines:
        return "; ".join(dict.fromkeys(error_lines[-_MAX_LINES:]))
    return f"it died of {signal_in_words(-code)}" if code < 0 else f"it ended with exit code {code}"
