"""Every error of the framework, and what each one means for the run.

::

    ParityError
    ├── ContractError          the contract or an option is wrong; nothing was measured (pytest exit 4)
    ├── RecipeError            an artefact could not be built
    ├── RecordError            a record or reference file is foreign, torn or stale
    └── MeasurementError       evidence could not be obtained (verdict ``error``)
        ├── GoldenError        the golden set is missing, torn, changed or not what it says
        ├── ArtefactError      a model file is missing, torn, foreign or does not load
        ├── InputChanged       a file was written to while it was measured
        ├── WorkerDied         the process that measured ended before it answered
        └── BaselineMissing    there is no accepted release to compare with, or it lacks this (verdict ``unproven``)

A message says what was found; ``next_step`` says what to do about it. Both are sentences for the user, so an error that
reaches a terminal never needs its traceback.
"""

from __future__ import annotations

import errno
import re
import signal as signals
from typing import Final

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def without_control_characters(text: str) -> str:
    """Write a text from a file so that it cannot steer a terminal: control characters become ``?``."""
    return _CONTROL.sub("?", text)


class ParityError(Exception):
    """Base of all errors whose message is meant for the user.

    Attributes:
        reason: What was found, as one sentence.
        next_step: What the user can do about it, or an empty string.
    """

    def __init__(self, reason: str, *, next_step: str = "") -> None:
        reason = without_control_characters(reason)
        super().__init__(reason)
        self.reason = reason
        self.next_step = without_control_characters(next_step)

    def __str__(self) -> str:
        return f"{self.reason}\n  next: {self.next_step}" if self.next_step else self.reason


class ContractError(ParityError):
    """The contract, or an option that changes it, is wrong: nothing can be judged."""


class RecipeError(ParityError):
    """An artefact that a recipe names could not be built."""


class RecordError(ParityError):
    """A record, or a file of recorded reference outputs, is foreign, torn or stale."""


_EXHAUSTED: Final = re.compile(
    r"bad_?alloc|MemoryError|out of memory|enough memory|memory exhausted|(?:cannot|can't|could not|failed to) allocate"
    r"|no space left|disk quota|resource temporarily unavailable|too many open files|file too large"
    r"|pthread_create|thread creation failed|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""How libraries say that the machine ran short of something: most of them have no class for it, only words."""

_SHORT: Final = frozenset(
    number
    for name in ("ENOMEM", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EAGAIN", "EIO", "EFBIG", "EINTR", "ESTALE")
    if (number := getattr(errno, name, None)) is not None
)
"""Errors of the system that have nothing to do with what a file holds."""


class MeasurementError(ParityError):
    """Evidence could not be obtained; every clause that needs it gets the verdict ``error``.

    Attributes:
        transient: Whether it is true of this run only (a timeout, memory or a disk that ran out, a process that was
            killed, a file that changed). It then says nothing about a file, and nothing of it is ever kept.
    """

    def __init__(self, reason: str, *, next_step: str = "", transient: bool = False) -> None:
        super().__init__(reason, next_step=next_step)
        self.transient = transient or _EXHAUSTED.search(reason) is not None


def is_transient(error: BaseException) -> bool:
    """Whether an exception is true of this run only; see :attr:`MeasurementError.transient`."""
    if isinstance(error, MeasurementError):
        return error.transient
    if isinstance(error, OSError) and error.errno in _SHORT:
        return True
    return isinstance(error, MemoryError) or _EXHAUSTED.search(str(error)) is not None


class GoldenError(MeasurementError):
    """The golden set is missing, torn, changed, or not what the contract says."""


class ArtefactError(MeasurementError):
    """A model file is missing, torn, foreign, or does not load."""


class InputChanged(MeasurementError):  # noqa: N818 - named for what happened, like the others below
    """A file is no longer the one whose digest the evidence would bear: somebody wrote to it meanwhile."""

    def __init__(self, reason: str, *, next_step: str = "", transient: bool = True) -> None:
        super().__init__(reason, next_step=next_step or CHANGED_NEXT, transient=transient)


CHANGED_NEXT: Final = "let whatever writes the file finish, then run again; nothing of this measurement was kept"
"""What to do about a file that changes under a run."""


class BaselineMissing(MeasurementError):  # noqa: N818 - nothing went wrong: the question has no other side yet
    """There is no accepted release to compare with, or it holds no such evidence: the clause is ``unproven``."""


class WorkerDied(MeasurementError):  # noqa: N818 - a death is told as what happened, not as an error class
    """The process that measured ended before it answered.

    Attributes:
        signal: Number of the signal that ended it, or ``None`` when it left by itself.
    """

    def __init__(self, reason: str, *, signal: int | None = None, next_step: str = "", transient: bool = False) -> None:
        # Without a signal it hung or left by itself; any other signal came from outside, or from a limit.
        super().__init__(reason, next_step=next_step, transient=transient or signal not in _OF_THE_FILE)
        self.signal = signal


_OF_THE_FILE: Final = frozenset(
    number
    for name in ("SIGILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTRAP", "SIGSYS")
    if (number := getattr(signals, name, None)) is not None
)
"""Signals that native code brings on itself, by what a file makes it do."""


NEXT_STEP_MEMORY: Final = "run again with more memory, with fewer jobs or with smaller batches (golden.batch)"
"""What to do when something outside a process has ended it, most often a system that is short of memory."""


def signal_in_words(number: int, *, processor: str = "processor") -> str:
    """Name a signal and say what it usually means for native code, e.g. ``SIGILL (an instruction …)``.

    Args:
        number: The signal.
        processor: What to call the processor that the code ran on.
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
