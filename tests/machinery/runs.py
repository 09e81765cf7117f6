"""Whole runs of the gate in processes of their own, to which things are done from outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.core.files import WRITING
from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.record.document import Record

MARK = "EYERACE_PARITY_TEST_MARK"
PATIENCE = 300.0
"""Seconds until a run counts as hanging: a dozen times what the slowest takes while another job has all cores."""

_LAST_BREATH = 30.0
"""Seconds that a process may take to end once its run has; an orphan stays for good."""


@dataclass(slots=True)
class Run:
    """A run of the gate on a bundle, in a folder of its own.

    Attributes:
        folder: Where it runs; the bundle lies in ``golden``.
        cache: Its evidence store.
        mark: Found in the environment of every process that it starts.
    """

    folder: Path
    cache: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def record_file(self) -> Path:
        """The record's place."""
        return self.folder / "build" / "parity" / "record.json"

    @property
    def record(self) -> Record:
        """The record, as any command reads it."""
        return read_record(self.record_file)

    def start(
        self, *arguments: str, before: Callable[[], None] | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start pytest as the leader of a session, as a terminal does, with ``more`` in its environment."""
        command = [sys.executable, "-m", "pytest", "--eyerace-parity", "golden/contract.toml", "-p", "no:cacheprovider"]
        command += ["--eyerace-parity-cache", str(self.cache), *arguments]
        environment = {**os.environ, MARK: self.mark, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1"}
        environment |= more or {}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - no thread of this process holds anything that a limit needs
        )

    def finish(
        self, *arguments: str, before: Callable[[], None] | None = None, more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run to the end; returns exit code and output."""
        process = self.start(*arguments, before=before, more=more)
        said = self.said(process)
        return process.returncode, said

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for the end of a run; returns its output.

        Raises:
            AssertionError: It hangs. The stacks of all of its processes stand in the message.
        """
        try:
            return process.communicate(timeout=PATIENCE)[0].decode()
        except subprocess.TimeoutExpired:
            for pid in self._alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)
            said, _ = process.communicate(timeout=PATIENCE)
            raise AssertionError(f"it did not end within {PATIENCE:.0f} s:\n{said.decode()}") from None

    def left_behind(self) -> list[int]:
        """Processes of this run that are still there, after they had a moment to end."""
        deadline = time.monotonic() + _LAST_BREATH
        while (found := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _alive(self) -> list[int]:
        found = []
        for place in Path("/proc").iterdir():
            if place.name.isdigit() and int(place.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if f"{MARK}={self.mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                        found.append(int(place.name))
        return found

    def half_written(self) -> list[Path]:
        """Temporary files in the bundle, the cache and beside the record."""
        return [
            path
            for root in (self.folder, self.cache)
            for path in root.rglob("*")
            if path.is_file() and path.name.startswith(WRITING)
        ]


def run_of(bundle: Path, folder: Path) -> Run:
    """A run on a copy of a bundle."""
    shutil.copytree(bundle, folder / "golden")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return Run(folder, folder / "cache")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: The process ended before, or it never came to be.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"it ended with {process.returncode} before the event"
        assert time.monotonic() < deadline, f"no such event within {PATIENCE:.0f} s"
        time.sleep(0.01)
