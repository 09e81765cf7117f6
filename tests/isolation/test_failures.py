"""What is said of a process that failed: whom it accuses, and whether it is true of this run only."""

from __future__ import annotations

import signal

import pytest

from eyerace_parity.core.errors import (
    NEXT_STEP_MEMORY,
    ArtefactError,
    InputChanged,
    MeasurementError,
    RecipeError,
    WorkerDied,
)
from eyerace_parity.isolation import failures, worker
from eyerace_parity.isolation.failures import FILE, RECIPE, SAMPLES

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are told the POSIX way")


def ended(exit_code: int | None, ending: Exception | None = None) -> MeasurementError:
    """What is said of a process that ended while it ran m."""
    given = worker.Closed() if ending is None else ending
    return failures.failure(given, name="it", step="running m", exit_code=exit_code, accuse=FILE, last_words="; hm")


OF_THE_FILE = ["SIGILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTRAP", "SIGSYS"]
FROM_OUTSIDE = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGXCPU", "SIGXFSZ"]


@pytest.mark.parametrize("name", OF_THE_FILE + FROM_OUTSIDE)
@pytest.mark.parametrize("behind_a_shell", [False, True])
def test_a_file_is_accused_of_signals_of_its_own_only(name: str, behind_a_shell: bool) -> None:  # noqa: FBT001
    """Any other signal is true of this run: nothing of it is kept, and memory is the likeliest reason."""
    number = getattr(signal, name)
    error = ended(128 + number if behind_a_shell else -number)
    assert isinstance(error, WorkerDied)
    assert error.signal == number
    assert error.reason.startswith(f"it died of {name}")
    assert error.reason.endswith("while running m; hm")
    assert error.transient is (name in FROM_OUTSIDE)
    assert error.next_step == (NEXT_STEP_MEMORY if name in FROM_OUTSIDE else FILE.next_step)


def test_want_of_memory_accuses_nobody() -> None:
    """Native code that finds no memory ends itself, and says so."""
    error = failures.death("it died of SIGABRT; its last words: std::bad_alloc", signal.SIGABRT, FILE)
    assert error.transient
    assert error.next_step == NEXT_STEP_MEMORY


@pytest.mark.parametrize(
    ("exit_code", "ending", "said"),
    [
        (3, None, "it left with exit code 3 while running m; hm"),
        (0, None, "it left with exit code 0 while running m; hm"),
        (0, worker.TornFrameError("half"), "it does not speak the worker's protocol: half, while running m; hm"),
        (-11, worker.TornFrameError("half"), "it died of SIGSEGV"),
        (0, worker.FrameError("noise"), "it does not speak the worker's protocol: noise"),
        (-11, worker.FrameError("noise"), "it does not speak the worker's protocol: noise"),
        (None, worker.Closed(), "it was ended while running m; hm"),
        (None, worker.FrameError("noise"), "it does not speak the worker's protocol: noise"),
    ],
)
def test_an_end_is_told_for_what_it_is(exit_code: int | None, ending: Exception | None, said: str) -> None:
    """A death in the middle of an answer is a death; what was never a frame is a stranger."""
    error = ended(exit_code, ending)
    assert error.reason.startswith(said)
    assert error.transient is (exit_code != -11 or not isinstance(ending, worker.TornFrameError))
    assert error.next_step


@pytest.mark.parametrize("accuse", [SAMPLES, RECIPE])
def test_another_may_be_accused(accuse: failures.Accusation) -> None:
    """Of a death of its own; one from outside and a hang accuse nobody."""
    own, outside = (failures.death("it died", number, FILE) for number in (signal.SIGSEGV, signal.SIGKILL))
    hang = failures.silence("it", "running m", 3.0, "")
    assert failures.accused(own, accuse).next_step == accuse.next_step
    assert failures.accused(outside, accuse).next_step == NEXT_STEP_MEMORY
    assert failures.accused(hang, accuse).next_step == hang.next_step
    assert [failures.accused(error, accuse).signal for error in (own, outside, hang)] == [11, 9, None]


def test_samples_are_named_a_few() -> None:
    """The first four, and how many more."""
    error = failures.death("it died", signal.SIGSEGV, FILE)
    names = [f"{number}.jpg" for number in range(6)]
    assert failures.accused(error, SAMPLES, names[:2]).reason == "it died; under way: 0.jpg, 1.jpg"
    assert failures.accused(error, SAMPLES, names).reason.endswith("under way: 0.jpg, 1.jpg, 2.jpg, 3.jpg and 2 more")


@pytest.mark.parametrize(
    "error",
    [
        MeasurementError("slow", next_step="wait", transient=True),
        ArtefactError("torn", next_step="fetch"),
        InputChanged("changed"),
        RecipeError("no such recipe", next_step="correct it"),
        WorkerDied("died", signal=11, next_step="do not ship"),
        WorkerDied("hung"),
    ],
    ids=repr,
)
def test_an_error_crosses_whole(error: MeasurementError | RecipeError) -> None:
    """Its kind, its words, its signal, and whether it is true of this run only."""
    found = failures.from_answer(failures.to_answer(error, ""), name="it", step="measuring")
    assert type(found) is type(error)
    for name in ("reason", "next_step", "transient", "signal"):
        assert getattr(found, name, None) == getattr(error, name, None)


def test_no_answer_makes_up_an_error() -> None:
    """What another worker says is left to the general reading."""
    for body in ({}, {"kind": "refused"}, {"kind": "ParityError"}, {"kind": "Final"}, {"kind": 3}):
        assert failures.from_answer(body, name="it", step="measuring") is None


def test_a_refusal_of_the_runtime_alone_speaks_of_the_file() -> None:
    """A request that was wrong, or a Python without a runtime, is no property of it."""
    told = {
        kind: failures.refusal({"kind": kind, "error": "no"}, name="it", step="loading m", refused=ArtefactError)
        for kind in ("refused", "request", "setup", "else")
    }
    assert {kind: type(error) for kind, error in told.items() if kind == "refused"} == {"refused": ArtefactError}
    assert {kind: getattr(error, "transient", None) for kind, error in told.items()} == {
        "refused": False,
        "request": True,
        "setup": True,
        "else": True,
    }
