"""Process groups: a child starts in a group of its own, and the whole group is killed at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import NoReturn, TypedDict

_in_one_group = False
"""Whether children of this process stay in its process group."""


class _Group(TypedDict, total=False):
    start_new_session: bool
    creationflags: int


def new_group() -> _Group:
    """Return the :class:`subprocess.Popen` arguments that give a child its own process group.

    Ctrl-C at the terminal then reaches only this process, which ends its children in order.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {} if _in_one_group else {"start_new_session": True}


def stay_in_one_group() -> None:
    """Keep later children in this process's own group, so that ending the group ends all of them.

    A worker that starts workers calls this. It may be killed while a child hangs in native code; such a child would not
    notice that its pipe was closed.
    """
    global _in_one_group  # noqa: PLW0603 - a property of the process, which has one group
    _in_one_group = sys.platform != "win32" and os.getpgid(0) == os.getpid()


def end_group(process: subprocess.Popen[bytes], *, patience: float = 0.0) -> None:
    """End a process that was started with :func:`new_group`, with all its children, and wait for it.

    After :func:`stay_in_one_group` only the process itself is ended; its children see their pipes close.

    Args:
        process: The leader of the group.
        patience: Seconds to wait for the process to exit by itself first, so that its own exit code is seen.
    """
    if patience:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if sys.platform == "win32":
        if process.poll() is None:
            # /T ends the whole tree: on Windows children outlive their parent.
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
    """Kill this process and its group at once. A normal exit could wait for ever for running native code."""
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
