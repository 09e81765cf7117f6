"""Native parsers on files that nobody vouches for: in a process of their own, where a crash is an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import EXTERNAL_SIGNALS, NEXT_STEP_MEMORY, MeasurementError, WorkerDied, signal_in_words
from eyerace_parity.isolation.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

SECONDS: Final = 300.0
"""How long any file may be read; the largest that the gate takes needs a fraction of it."""

_LAST_WORDS: Final = 200


def read_apart(module: str, arguments: Sequence[str], *, name: str, seconds: float = SECONDS) -> bytes:
    """Run a module of this package in a process that may die, and return what it wrote to :func:`answer_stream`.

    Args:
        module: Dotted name of the module; it is run as a program.
        arguments: Its arguments.
        name: What is read, for messages.
        seconds: Longest wait.

    Raises:
        WorkerDied: It died, or did not end in time.
        MeasurementError: It cannot be started, or ended without an answer.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - this package's own module
            (sys.executable, "-P", "-m", module, *arguments),  # -P: nothing is imported from the working directory
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **new_group(),
        )
    except OSError as error:
        reason = f"no process can be started to read {name}: {error.strerror or error}"
        raise MeasurementError(reason, next_step="free what is short, then run again") from error
    try:
        answer, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        reason = f"the process that read {name} did not end within {seconds:g} s, and was ended"
        raise WorkerDied(reason, next_step="the file is made to be read without end, or far too large") from None
    finally:
        end_group(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if process.returncode < 0:
        number = -process.returncode
        reason = f"the process that read {name} died of {signal_in_words(number)}"
        words = _last_words(said)
        reason += f'; its last words: "{words}"' if words else ""
        accused = "the file must not ship: it kills what reads it"
        raise WorkerDied(reason, signal=number, next_step=NEXT_STEP_MEMORY if number in EXTERNAL_SIGNALS else accused)
    if process.returncode:
        reason = f"the process that read {name} left with exit code {process.returncode}: {_last_words(said)}"
        raise MeasurementError(reason, next_step="fetch the file again, or free memory", transient=True)
    return answer


def _last_words(said: bytes) -> str:
    return said.decode("utf-8", errors="replace").strip().rpartition("\n")[2][:_LAST_WORDS]


def answer_stream() -> IO[bytes]:
    """Where a module that is run apart writes its answer; what native code prints goes to the error stream instead."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream
