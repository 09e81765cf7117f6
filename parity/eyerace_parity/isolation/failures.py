"""Errors of worker processes: deaths, timeouts, refusals and torn frames. All of them are made here.

A death counts against a file only if a signal ended the process that native code raises itself, such as SIGSEGV or
SIGILL. Every other end (a kill from outside, lack of memory, a timeout, an exit) is true of this run only. Its error is
:attr:`~eyerace_parity.core.errors.MeasurementError.transient`, blames nothing, and is never cached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core import errors
from eyerace_parity.core.errors import (
    NEXT_STEP_MEMORY,
    MeasurementError,
    ParityError,
    RecipeError,
    WorkerDied,
    signal_in_words,
)
from eyerace_parity.isolation import worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHELL_SIGNALS: Final = range(129, 193)
"""Exit codes with which a shell or another wrapper reports that a signal ended its child: 128 + signal number."""

_NAMED_SAMPLES: Final = 4
"""Samples that a message names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Accusation:
    """What to blame when a signal of its own native code ends a process.

    Attributes:
        next_step: What the user should do.
        processor: Name of the processor in messages, after "this".
    """

    next_step: str
    processor: str = "processor"


FILE: Final = Accusation(
    "the file must not ship for this target; another runtime version or optimisation level may live"
)
SAMPLES: Final = Accusation("take these samples out, or the file: one of them kills what reads it")
RECIPE: Final = Accusation("look at the checkpoint and the factory: one of them ends what builds from them")


# ---- deaths and silence ----------------------------------------------------------------------------------------------


def death(reason: str, signal: int | None, accuse: Accusation) -> WorkerDied:
    """Make the error of a process that ended before it answered.

    Args:
        reason: What happened, as a sentence.
        signal: The signal that ended it; ``None`` if it exited by itself.
        accuse: What to blame if its own native code raised the signal.
    """
    died = WorkerDied(reason, signal=signal)
    if signal is None:
        died.next_step = "run the command by hand to see what it says"
    else:
        died.next_step = NEXT_STEP_MEMORY if died.transient else accuse.next_step
    return died


def accused(error: WorkerDied, accuse: Accusation, samples: Sequence[str] = ()) -> WorkerDied:
    """Return the same death with something else to blame.

    Args:
        error: The death.
        accuse: What to blame if its own native code raised the signal.
        samples: Names of the samples in flight, for the reason.
    """
    reason = error.reason
    if samples:
        rest = f" and {len(samples) - _NAMED_SAMPLES} more" if len(samples) > _NAMED_SAMPLES else ""
        reason += f"; under way: {', '.join(samples[:_NAMED_SAMPLES])}{rest}"
    if error.transient and error.signal is None:  # a hang or an exit: the original next step fits best
        return WorkerDied(reason, next_step=error.next_step)
    return death(reason, error.signal, accuse)


def silence(name: str, step: str, seconds: float, last_words: str) -> WorkerDied:
    """Make the error of a process that did not answer in time."""
    return WorkerDied(
        f"{name} gave no answer within {seconds:g} s while {step}, and was ended{last_words}",
        next_step="run the file alone to see whether it ever ends; a smaller model or fewer threads may help",
    )


def gone(name: str, step: str) -> WorkerDied:
    """Make the error of a request to a process that has already ended."""
    return WorkerDied(f"{name} has ended before {step}", next_step="see why in the first verdict above")


def failure(
    ending: Exception, *, name: str, step: str, exit_code: int | None, accuse: Accusation, last_words: str
) -> MeasurementError:
    """Make the error that explains why a connection ended.

    Args:
        ending: The exception that reading the next answer raised.
        name: Name of the process.
        step: What it was doing.
        exit_code: Its exit code; negative for a signal, ``None`` if this side ended it.
        accuse: What to blame if its own native code raised the signal.
        last_words: Its last line of output, as the end of a sentence.
    """
    if exit_code is None and is_ending(ending):
        return WorkerDied(f"{name} was ended while {step}{last_words}", next_step="run again")
    if exit_code is None or not is_ending(ending) or (isinstance(ending, worker.TornFrameError) and exit_code >= 0):
        return foreign(name, step, str(ending), last_words)
    signal = -exit_code if exit_code < 0 else exit_code - 128 if exit_code in _SHELL_SIGNALS else None
    how = f"left with exit code {exit_code}"
    if signal is not None:
        how = f"died of {signal_in_words(signal, processor=accuse.processor)}"
    return death(f"{name} {how} while {step}{last_words}", signal, accuse)


def is_ending(ending: Exception) -> bool:
    """Whether the stream ended, in contrast to bytes that are no frame."""
    return isinstance(ending, worker.Closed | worker.TornFrameError | OSError)


def foreign(name: str, step: str, what: str, last_words: str) -> MeasurementError:
    """Make the error of a process that does not speak the protocol."""
    return MeasurementError(
        f"{name} does not speak the worker's protocol: {what}, while {step}{last_words}",
        next_step="let the command run parity's own worker.py, and let nothing else print to its standard output",
        transient=True,
    )


def unstarted(name: str, why: str, next_step: str) -> MeasurementError:
    """Make the error of a process that cannot be started or connected to."""
    return MeasurementError(f"{name} {why}", next_step=next_step, transient=True)


# ---- refusals --------------------------------------------------------------------------------------------------------


def refusal(body: Mapping[str, Any], *, name: str, step: str, refused: type[MeasurementError]) -> Exception:
    """Turn an answer without ``ok`` into an exception.

    Args:
        body: Header of the answer.
        name: Name of the process.
        step: What it was doing.
        refused: Exception class for a refusal by the runtime itself.
    """
    if body.get("kind") == "setup":
        reason = f"{name} cannot work: {body.get('error')}"
        return MeasurementError(
            reason, next_step="install numpy and onnxruntime for the Python that it runs on", transient=True
        )
    if body.get("kind") == "refused":
        return refused(str(body.get("error")))
    reason = f"{name} failed while {step}: {body.get('error', 'no reason given')}"
    return MeasurementError(reason, transient=True)  # only a refusal by the runtime itself blames the file


def to_answer(error: Exception, trace: str) -> dict[str, Any]:
    """Encode an exception as an answer; :func:`from_answer` decodes it on the other side.

    Args:
        error: The exception.
        trace: Its traceback, sent for exceptions that are faults of this package.
    """
    if isinstance(error, MemoryError):
        return {"ok": False, "kind": MemoryError.__name__}
    if isinstance(error, OSError):
        fields = {"errno": error.errno, "error": error.strerror or str(error)}
        return {"ok": False, "kind": OSError.__name__, **fields}
    if not isinstance(error, ParityError):
        return {"ok": False, "kind": "fault", "error": trace}
    kind = type(error) if isinstance(error, MeasurementError | RecipeError) else MeasurementError
    body = {"ok": False, "kind": kind.__name__, "error": error.reason, "next_step": error.next_step}
    if isinstance(error, MeasurementError):
        body["transient"] = error.transient
    if isinstance(error, WorkerDied):
        body["signal"] = error.signal
    return body


def from_answer(body: Mapping[str, Any], *, name: str, step: str) -> Exception | None:
    """Decode what :func:`to_answer` encoded; ``None`` for any other answer."""
    kind = getattr(errors, str(body.get("kind")), None)
    if isinstance(kind, type) and issubclass(kind, (MeasurementError, RecipeError)):
        more: dict[str, Any] = {"transient": bool(body["transient"])} if "transient" in body else {}
        more |= {"signal": body.get("signal")} if issubclass(kind, WorkerDied) else {}
        return kind(str(body.get("error")), next_step=str(body.get("next_step", "")), **more)
    if body.get("kind") == MemoryError.__name__:
        return MemoryError()
    if body.get("kind") == OSError.__name__:
        return OSError(body.get("errno"), body.get("error"))
    if body.get("kind") == "fault":
        return RuntimeError(f"{name} failed while {step}:\n{body.get('error')}")
    return None
