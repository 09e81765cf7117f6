"""One step of an install: a foreign command that is run, watched, ended with all its children, and told in words."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import MeasurementError, signal_in_words
from eyerace_parity.emulation.home import disk_full
from eyerace_parity.isolation.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

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
