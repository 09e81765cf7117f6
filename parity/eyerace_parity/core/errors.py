"""The exception tree, and what each exception means for the run.

::

    ParityError
    ├── ContractError          the contract or an option is wrong; nothing was measured (pytest exit 4)
    ├── RecipeError            an artefact could not be built
    ├── RecordError            a record or reference file is invalid, damaged or outdated
    └── MeasurementError       evidence could not be obtained (verdict ``error``)
        ├── GoldenError        the golden set is missing, damaged, changed or not what the contract states
        ├── ArtefactError      a model file is missing, damaged, of another format, or does not load
        ├── InputChanged       a file changed while it was measured
        ├── WorkerDied         the measuring process ended before it answered
        └── BaselineMissing    no accepted release exists, or it lacks this evidence (verdict ``unproven``)

The message says what was found. ``next_step`` says what to do about it. Both are sentences for the user, so the
terminal shows no traceback.
"""

from __future__ import annotations

import errno
import re
import signal as signals
from typing import Final

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def without_control_characters(text: str) -> str:
    """Replace control characters by ``?``, so that text from a file cannot control the terminal."""
    return _CONTROL.sub("?", text)


class ParityError(Exception):
    """Base of all errors whose message is for the user.

    Attributes:
        reason: What was found, as one sentence.
        next_step: What the user can do, or an empty string.
    """

    def __init__(self, reason: str, *, next_step: str = "") -> None:
        reason = without_control_characters(reason)
        super().__init__(reason)
        self.reason = reason
        self.next_step = without_control_characters(next_step)

    def __str__(self) -> str:
        return f"{self.reason}\n  next: {self.next_step}" if self.next_step else self.reason


class ContractError(ParityError):
    """The contract, or an option that changes it, is wrong. Nothing can be judged."""


class RecipeError(ParityError):
    """A recipe's artefact could not be built."""


class RecordError(ParityError):
    """A record, or a file of recorded reference outputs, is invalid, damaged or outdated."""


_EXHAUSTED: Final = re.compile(
    r"bad_?alloc|MemoryError|out of memory|enough memory|memory exhausted|(?:cannot|can't|could not|failed to) allocate"
    r"|no space left|disk quota|resource temporarily unavailable|too many open files|file too large"
    r"|pthread_create|thread creation failed|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""Messages of libraries when memory, disk, threads or file handles run out. Most raise no class of their own for it."""

_SHORT: Final = frozenset(
    number
    for name in ("ENOMEM", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EAGAIN", "EIO", "EFBIG", "EINTR", "ESTALE")
    if (number := getattr(errno, name, None)) is not None
)
"""System errors that do not depend on a file's content."""


class MeasurementError(ParityError):
    """Evidence could not be obtained. Every clause that needs it gets the verdict ``error``.

    Attributes:
        transient: Whether the cause belongs to this run only: a timeout, a full disk or memory, a killed process, a
            changed file. A transient error says nothing about a file and is never cached.
    """

    def __init__(self, reason: str, *, next_step: str = "", transient: bool = False) -> None:
        super().__init__(reason, next_step=next_step)
        self.transient = transient or _EXHAUSTED.search(reason) is not None


def is_transient(error: BaseException) -> bool:
    """Whether an exception belongs to this run only; see :attr:`MeasurementError.transient`."""
    if isinstance(error, MeasurementError):
        return error.transient
    if isinstance(error, OSError) and error.errno in _SHORT:
        return True
    return isinstance(error, MemoryError) or _EXHAUSTED.search(str(error)) is not None


class GoldenError(MeasurementError):
    """The golden set is missing, damaged, changed, or not what the contract states."""


class ArtefactError(MeasurementError):
    """A model file is missing, damaged, of another format, or does not load."""


class InputChanged(MeasurementError):  # noqa: N818 - named for what happened, like the others below
    """A file changed during its measurement, so the evidence would carry the wrong digest."""

    def __init__(self, reason: str, *, next_step: str = "", transient: bool = True) -> None:
        super().__init__(reason, next_step=next_step or CHANGED_NEXT, transient=transient)


CHANGED_NEXT: Final = "let whatever writes the file finish, then run again; nothing of this measurement was kept"
"""Next step for a file that changes during a run."""


class BaselineMissing(MeasurementError):  # noqa: N818 - nothing failed: there is nothing to compare with yet
    """No accepted release exists, or it lacks this evidence. The clause is ``unproven``."""


class WorkerDied(MeasurementError):  # noqa: N818 - named for what happened
    """The measuring process ended before it answered.

    Attributes:
        signal: Number of the signal that ended it, or ``None`` if it exited by itself.
    """

    def __init__(self, reason: str, *, signal: int | None = None, next_step: str = "", transient: bool = False) -> None:
        # Without a signal the process hung or exited. A signal outside this set came from outside or from a limit.
        super().__init__(reason, next_step=next_step, transient=transient or signal not in _OF_THE_FILE)
        self.signal = signal


_OF_THE_FILE: Final = frozenset(
    number
    for name in ("SIGILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTRAP", "SIGSYS")
    if (number := getattr(signals, name, None)) is not None
)
"""Signals that native code raises itself, because of a file's content. They are findings about the file."""


NEXT_STEP_MEMORY: Final = "run again with more memory, with fewer jobs or with smaller batches (golden.batch)"
"""Next step for a process that was ended from outside, most often by the kernel for lack of memory."""


def signal_in_words(number: int, *, processor: str = "processor") -> str:
    """Name a signal and its usual meaning for native code, e.g. ``SIGILL (an instruction …)``.

    Args:
        number: Number of the signal.
        processor: Name of the processor that ran the code.
    """
    meanings = {
        "SIGILL": f"an instruction that this {processor} does not have",
        "SIGSEGV": "native code touched memory that is not its own",
        "SIGABRT": "native code gave up by itself",
        "SIGBUS": "native code touched memory that is not there",
        "SIGFPE": "an arithmetic trap in native code",
        "SIGKILL": "killed from outside, often for want of memory",
    }
    try:
        name = signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} ({meanings[name]})" if name in meanings else name
