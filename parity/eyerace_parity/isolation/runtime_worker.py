"""A guest: a process that runs the worker, started by any command, from which only frames come back.

The same few lines drive a worker on this Python, in another virtual environment, under ``qemu-aarch64`` or behind
``ssh``: only the command differs.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.evidence.artefacts import PortFact
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.connection import WorkerConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from eyerace_parity.contract.variants import Session
    from eyerace_parity.evidence.base import Array

WORKER: Final = Path(worker.__file__)
"""The file that a command has to run."""


def local_command(python: str | Path = sys.executable) -> tuple[str, ...]:
    """The plainest command: a Python on this machine that has numpy and onnxruntime."""
    return (str(python), str(WORKER))


def _whole(number: object) -> int:
    """A count as a guest tells it.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 63:
        message = f"{str(number)[:60]!r} is no count"
        raise ValueError(message)
    return number


class RuntimeWorker(WorkerConnection):
    """A worker process and the conversation with it; see :class:`WorkerConnection` for its arguments."""

    counts = False
    """Whether its emulator counts instructions; known once it has started."""

    def start(self) -> Hello:
        """Start the process and greet it.

        Raises:
            MeasurementError: The command cannot be run, speaks another protocol, or lacks numpy or onnxruntime.
            WorkerDied: It ended before it answered, or did not answer in time.
        """
        answer = self.greet()
        fields = ("python", "numpy", "onnxruntime", "machine", "system")
        self.counts = answer.get("counts") is True
        return Hello(**{field: str(answer.get(field, "?")) for field in fields}, counts=self.counts)

    def __enter__(self) -> Self:
        self.start()
        return self

    # ---- what a guest can do -----------------------------------------------------------------------------------------

    def load(self, session: str, model: bytes | Path, settings: Session, *, count: bool = False) -> Loaded:
        """Make a session.

        Args:
            session: Name to call it by later.
            model: The file's bytes; or its path, which the guest must see, where it keeps weights beside itself.
            settings: Session settings.
            count: Whether to count the instructions, too.

        Raises:
            ArtefactError: The runtime refused the model.
            MeasurementError: Instructions are asked for where nothing counts them, or several threads ran.
            WorkerDied: The guest died of it.
        """
        header: dict[str, Any] = {"session": session, "settings": settings.model_dump(mode="json"), "count": count}
        arrays: dict[str, Array] = {}
        if isinstance(model, Path):
            header["path"] = str(model.absolute())
        else:
            import numpy as np  # noqa: PLC0415 - a guest is started only where something is measured

            arrays["model"] = np.frombuffer(model, np.uint8)
        step = f"loading {session}"
        answer, _ = self.ask("load", header, arrays, step=step, refused=ArtefactError)
        with self._understood(step):
            inputs, outputs = (
                tuple(PortFact.model_validate(port) for port in answer[s]) for s in ("inputs", "outputs")
            )
            spent = (_whole(answer["wall_ns"]), _whole(answer["cpu_ns"]))
            baseline = None if answer["baseline"] is None else _whole(answer["baseline"])
            counted = next(iter(self._counted(answer, step)), None)
            return Loaded(*spent, baseline, _whole(answer["peak"]), inputs, outputs, counted)

    def run(self, session: str, feeds: Mapping[str, Array], *, count: bool = False) -> Ran:
        """Run a session once.

        Args:
            session: Its name.
            feeds: Inputs by name.
            count: Whether to count the instructions, too.

        Raises:
            MeasurementError: The runtime refused the inputs or failed; or instructions are asked for where nothing
                counts them, or several threads ran.
            WorkerDied: The guest died of it.
        """
        step = f"running {session}"
        answer, outputs = self.ask("run", {"session": session, "count": count}, feeds, step=step)
        with self._understood(step):
            counted = next(iter(self._counted(answer, step)), None)
            spent = (_whole(answer["wall_ns"]), _whole(answer["cpu_ns"]))
            return Ran(outputs, *spent, _whole(answer["peak"]), counted)

    def count(self, session: str, feeds: Mapping[str, Array], runs: int) -> tuple[int, ...]:
        """Run a session several times and count the instructions of each run.

        Raises:
            MeasurementError: As for :meth:`run`.
            WorkerDied: The guest died of it.
        """
        step = f"counting {session}"
        header = {"session": session, "count": True, "runs": runs}
        answer, _ = self.ask("run", header, feeds, step=step, seconds=runs * self._answer_seconds)
        with self._understood(step):
            return self._counted(answer, step)

    def time(self, feeds: Mapping[str, Mapping[str, Array]], runs: int) -> Times:
        """Run several sessions in turn, A B A B.

        Args:
            feeds: Inputs by session, in the order in which the sessions take turns.
            runs: Runs of each.

        Raises:
            MeasurementError: The runtime refused the inputs or failed.
            WorkerDied: The guest died of it.
        """
        arrays = {f"{place}/{name}": value for place, fed in enumerate(feeds.values()) for name, value in fed.items()}
        step = f"timing {' and '.join(feeds)}"
        _, times = self.ask("time", {"sessions": list(feeds), "runs": runs}, arrays, step=step)
        with self._understood(step):
            wall, cpu = times["wall_ns"], times["cpu_ns"]
            if any(taken.shape != (len(feeds), runs) or taken.dtype.kind not in "iu" for taken in (wall, cpu)):
                message = "times of other sessions or runs"
                raise ValueError(message)
            return Times(wall, cpu)  # type: ignore[arg-type]

    def resident(self) -> int | None:
        """Resident memory of the process now, in bytes; ``None`` where the system does not tell."""
        step = "telling its memory"
        answer, _ = self.ask("memory", step=step)
        with self._understood(step):
            return None if answer["current"] is None else _whole(answer["current"])

    def drop(self, session: str) -> None:
        """Free a session."""
        self.ask("drop", {"session": session}, step=f"freeing {session}")

    def _counted(self, answer: Mapping[str, Any], step: str) -> tuple[int, ...]:
        """What was counted, if it is one thread's work: others add to the same number, and not atomically."""
        if answer.get("others"):
            raise MeasurementError(
                f"{self.name} was not alone with one thread while {step}: others were awake {answer['others']} times,"
                " so its instructions cannot be counted",
                next_step="use one thread, and keep libraries from starting their own (OMP_NUM_THREADS=1)",
            )
        return tuple(_whole(number) for number in answer.get("instructions", ()))

    @contextlib.contextmanager
    def _understood(self, step: str) -> Iterator[None]:
        """Tell an answer that is a whole frame, and says what cannot be, from a fault of our own."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            sentence = " ".join(str(error).split())[:200]
            self.close()
            raise self._foreign(f"an answer that makes no sense ({sentence})", step) from error


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answered: versions and the machine as the guest sees them, and whether it can count instructions."""

    python: str
    numpy: str
    onnxruntime: str
    machine: str
    system: str
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session made in the guest.

    Attributes:
        wall_ns: Wall time of making it.
        cpu_ns: Process CPU time of making it.
        baseline: Resident bytes before, with the runtime imported and the file's bytes read; ``None`` if not told.
        peak: Highest resident bytes since then.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
        instructions: Instructions of making it, where they were asked for.
    """

    wall_ns: int
    cpu_ns: int
    baseline: int | None
    peak: int
    inputs: tuple[PortFact, ...]
    outputs: tuple[PortFact, ...]
    instructions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """One inference in the guest.

    Attributes:
        outputs: Every output by name.
        wall_ns: Wall time.
        cpu_ns: Process CPU time, over all threads.
        peak: Highest resident bytes since the session's file was read.
        instructions: Instructions of it, where they were asked for.
    """

    outputs: Mapping[str, Array]
    wall_ns: int
    cpu_ns: int
    peak: int
    instructions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Times of several sessions run in turn; both int64 [sessions, runs]."""

    wall_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64]
