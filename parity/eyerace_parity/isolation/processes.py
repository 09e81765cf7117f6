"""Processes that end together: a group of their own at the start, and the whole group killed at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import NoReturn, TypedDict

_in_one_group = False
"""Whether what this process starts stays in its group."""


class _Group(TypedDict, total=False):
    start_new_session: bool
    creationflags: int


def new_group() -> _Group:
    """Arguments for :class:`subprocess.Popen` that give a process a group of its own.

    A Ctrl-C at the terminal then reaches this process only, which ends the others in order.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {} if _in_one_group else {"start_new_session": True}


def stay_in_one_group() -> None:
    """Keep what this process will start in its own group: whoever ends the group ends all of it.

    A worker that starts workers calls this. It may be killed while one of them hangs in native code and would not see
    its pipe close.
    """
    global _in_one_group  # noqa: PLW0603 - a property of the process, which has one group
    _in_one_group = sys.platform != "win32" and os.getpgid(0) == os.getpid()


def end_group(process: subprocess.Popen[bytes], *, patience: float = 0.0) -> None:
    """End a process that was started with :func:`new_group`, with all its children, and wait for it.

    In a process that keeps its children in its group it ends alone; children of its own see their pipes close.

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
    elif _in_one_group:
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def leave() -> NoReturn:
    """End this process with all that it has started, at once: native code may be at work in it."""
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
