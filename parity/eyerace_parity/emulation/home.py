"""The folder that installed parts lie in: each whole or not there, one install at a time.

A part is made beside its place and renamed into it with its manifest, so whatever an install was cut off in is never
taken for a part; the next install sweeps it away.
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
"""Version of a part's form; parts of any other are not taken."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a disk that is full, and of one that is full for this user."""

_MANIFEST: Final = "manifest.json"
_MAKING: Final = "making-"
_OTHERS: Final = ("views", "counters")
"""Folders of what is made from parts; it costs little to make again."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something installed.

    Attributes:
        kind: ``userland``, ``qemu`` or ``runtime``.
        name: Which of its kind.
        versions: What it is made of: version by package.
        bytes: Size of its files when it was installed.
        folder: Where it lies.
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
        """Digest of the versions that it is made of."""
        return versions_digest(self.versions)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder.

    Attributes:
        folder: Where it is; made at the first install.
    """

    folder: Path

    def parts(self, kind: str = "*") -> tuple[Part, ...]:
        """All whole parts of a kind, the one installed last coming first."""
        found = [part for path in self.folder.glob(f"{kind}-*/{_MANIFEST}") if (part := _part(path)) is not None]
        return tuple(sorted(found, key=lambda part: (part.folder / _MANIFEST).stat().st_mtime_ns, reverse=True))

    def part(self, kind: str, name: str) -> Part | None:
        """The part of this name, if it is there and whole."""
        return _part(self.folder / f"{kind}-{name}" / _MANIFEST)

    @contextlib.contextmanager
    def claim(self, progress: Progress) -> Iterator[None]:
        """Be the only one who installs here: another install is waited for. The lock ends with its process.

        Raises:
            MeasurementError: The folder cannot be made or locked.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - its import costs more than finding all that is there

        with self.told():
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
        """A folder to make a part in, beside the parts; gone afterwards unless the part was kept.

        Args:
            room: Bytes that making it takes; asked for first, because not every tool notices a full disk.

        Raises:
            MeasurementError: There is less room, or the folder cannot be made.
        """
        with self.told():
            if shutil.disk_usage(self.folder).free < room:
                raise disk_full(self.folder)
            staging = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self.folder))
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def keep(self, staging: Path, kind: str, name: str, versions: Mapping[str, str]) -> Part:
        """Take what was made as a part, whole or not at all.

        Args:
            staging: Folder from :meth:`making`; its ``root`` becomes the part's.
            kind: Kind of the part.
            name: Name of the part.
            versions: What it is made of.
        """
        made, place = staging / "part", self.folder / f"{kind}-{name}"
        with self.told():
            made.mkdir()
            (staging / "root").rename(made / "root")
            manifest = {"schema": SCHEMA, "versions": dict(sorted(versions.items())), "bytes": size_of(made)}
            (made / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            if hasattr(os, "sync"):
                os.sync()  # the name must not reach the disk before what it names
            if place.exists():
                shutil.rmtree(place)
            made.rename(place)
        return Part(kind, name, MappingProxyType(dict(versions)), int(str(manifest["bytes"])), place)

    def size(self) -> int:
        """Bytes of all that an install has left here, whole or not."""
        return sum(size_of(folder) for folder in self._ours())

    def clean(self, progress: Progress) -> int:
        """Remove all parts; return the bytes that were freed. Waits for an install under way."""
        if not self.folder.is_dir():
            return 0
        with self.claim(progress), progress.task("removing", None):
            freed = 0
            for folder in self._ours():
                bytes_of_it = size_of(folder)
                # Renamed first: what is half removed must not be taken for a part.
                gone = folder.rename(self.folder / f"{_MAKING}clean-{folder.name}")
                with self.told():
                    shutil.rmtree(gone)
                freed += bytes_of_it
        return freed

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Tell an error of the file system here as a sentence."""
        try:
            yield
        except OSError as error:
            raise trouble_at(self.folder, error) from error

    def _ours(self) -> list[Path]:
        """Only folders that an install makes: ``--home`` may have been pointed at somebody's papers."""
        parts = [path.parent for path in self.folder.glob(f"*-*/{_MANIFEST}") if _part(path) is not None]
        others = [self.folder / name for name in _OTHERS if (self.folder / name).is_dir()]
        return parts + others + list(self.folder.glob(f"{_MAKING}*"))

    def _sweep(self) -> None:
        for leftover in self.folder.glob(f"{_MAKING}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def versions_digest(versions: Mapping[str, str]) -> str:
    """Digest of versions by package."""
    return rows_digest(versions.items())


def content_name(versions: Mapping[str, str]) -> str:
    """Short name for a part that is made of these versions."""
    return versions_digest(versions).removeprefix("sha256:")[:12]


def trouble_at(folder: Path, error: OSError) -> MeasurementError:
    """Say what the file system refused, and what can be done about it."""
    if error.errno in FULL:
        return disk_full(folder)
    what = error.strerror or str(error)
    named = error.filename if error.filename is not None else folder
    return MeasurementError(
        f"{display_path(Path(os.fsdecode(named)))}: {what[:1].lower()}{what[1:]}",
        next_step="choose a folder that you may write to with --home, or EYERACE_PARITY_ARM64_HOME",
    )


def disk_full(folder: Path) -> MeasurementError:
    """Say that nothing more fits, and that nothing half made was left."""
    try:
        free = f"{shutil.disk_usage(folder).free / 1e6:.0f} MB are free now"
    except OSError:
        free = "how much is free cannot be told"
    return MeasurementError(
        f"the disk of {display_path(folder)} is full ({free}); nothing that was begun there is kept",
        next_step="free about 400 MB (an install keeps 210), or choose another folder with --home",
    )


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # another process may tidy at the same time
                total += os.lstat(os.path.join(base, name)).st_size  # noqa: PTH118 - thousands of files
    return total


def _part(manifest: Path) -> Part | None:
    """Read a part by its manifest; anything torn or foreign is no part."""
    try:
        found = json.loads(manifest.read_bytes())
        kind, _, name = manifest.parent.name.partition("-")
        if found["schema"] != SCHEMA or not (manifest.parent / "root").is_dir():
            return None
        versions = {str(package): str(version) for package, version in found["versions"].items()}
        return Part(kind, name, MappingProxyType(versions), int(found["bytes"]), manifest.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


_FULL_IN_WORDS: Final = ("no space left on device", "disk quota exceeded", "not enough free space")


_LEAST_FREE: Final = 1 << 19


_LOOK_SECONDS: Final = 0.2


_MOST_SECONDS: Final = 1800.0


_TAIL: Final = 3


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
        command: What to run.
        what: What it does, for the message, e.g. ``fetching packages``.
        folder: Where it works.
        env: Variables to add to this process's environment.
        watch: Called a few times a second while it runs.
        next_step: What to do if it fails.

    Returns:
        Its standard output.

    Raises:
        MeasurementError: It cannot be run, or failed.
    """
    # In English, because some of what it says is looked at.
    variables = {**os.environ, "LC_ALL": "C", **(env or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - the host's own tools
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=said, cwd=folder, env=variables, **new_group()
            )
        except OSError as error:
            raise MeasurementError(
                f"{what}: {command[0]} cannot be run: {error.strerror or error}", next_step=next_step
            ) from error
        try:
            _wait(process, watch, folder, what)
        finally:
            end_group(process)  # on Ctrl-C too, and what it has left behind
        out.seek(0)
        said.seek(0)
        output, complaint = (stream.read().decode(errors="replace") for stream in (out, said))
    if process.returncode == 0:
        return output
    # Not a matter of the exit code alone: a full disk is met as a torn file as well.
    if any(words in f"{complaint}{output}".casefold() for words in _FULL_IN_WORDS):
        raise disk_full(folder)
    raise MeasurementError(f"{what} failed: {_why(process.returncode, complaint or output)}", next_step=next_step)


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], None], folder: Path, what: str) -> None:
    until = time.monotonic() + _MOST_SECONDS
    while process.poll() is None:
        watch()
        if time.monotonic() > until:
            raise MeasurementError(
                f"{what} did not end within {_MOST_SECONDS / 60:.0f} minutes, and was ended",
                next_step="check the network, and the room on the disk",
            )
        if shutil.disk_usage(folder).free < _LEAST_FREE:
            raise disk_full(folder)  # some wait for ever for room that nobody makes, apt among them
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
    watch()


def _why(code: int, said: str) -> str:
    """The lines that name an error, else the last ones, else how it ended."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.lower().startswith(("e:", "error", "err:"))] or lines
    if telling:
        return "; ".join(dict.fromkeys(telling[-_TAIL:]))
    return f"it died of {signal_in_words(-code)}" if code < 0 else f"it left with exit code {code}"
