"""Processes that end together: a group of their own at the start, and the whole group killed at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TypedDict


class _Group(TypedDict, total=False):
    start_new_session: bool
    creationflags: int


def new_group() -> _Group:
    """Arguments for :class:`subprocess.Popen` that give a process a group of its own.

    A Ctrl-C at the terminal then reaches this process only, which ends the others in order.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def end_group(process: subprocess.Popen[bytes], *, patience: float = 0.0) -> None:
    """End a process that was started in a group of its own, with all its children, and wait for it.

    Args:
        process: The leader of the group.
        patience: Seconds that it is given to leave by itself first, so that its own exit code is seen.
    """
    if patience:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if sys.platform == "win32":
        if process.poll() is None:
            # The tree, not the process alone: children do not end with their parent.
            subprocess.run(  # noqa: S603
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],  # noqa: S607
                capture_output=True,
                check=False,
            )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
