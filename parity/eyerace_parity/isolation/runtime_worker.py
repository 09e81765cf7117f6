"""Client of a runtime worker: a subprocess that loads and runs ONNX models.

The same code drives a worker in this Python, in another virtual environment, under ``qemu-aarch64`` or over ``ssh``;
only the command differs.
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
"""Path of the worker program that a command must run."""


def local_command(python: str | Path = sys.executable) -> tuple[str, ...]:
    """Return the command of a worker on this machine.

    Args:
        python: A Python that has numpy and onnxruntime.
    """
    return (str(python), str(WORKER))


def _whole(number: object) -> int:
    """Check a count that a worker reported.

    Raises:
        ValueError: The value is no integer from 0 to 2⁶³ - 1.
    """
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 63:
        message = f"{str(number)[:60]!r} is no count"
        raise ValueError(message)
    return number


class RuntimeWorker(WorkerConnection):
    """A worker process that runs ONNX Runtime; see :class:`WorkerConnection` for the arguments."""

    counts = False
    """Whether its emulator counts instructions; set by :meth:`start`."""

    def start(self) -> Hello:
        """Start the process and read its versions.

        Raises:
            MeasurementError: The command cannot be run, speaks another protocol, or lacks numpy or onnxruntime.
            WorkerDied: The process ended before it answered, or did not answer in time.
        """
        answer = self.greet()
        fields = ("python", "numpy", "onnxruntime", "machine", "system")
        self.counts = answer.get("counts") is True
        return Hello(**{field: str(answer.get(field, "?")) for field in fields}, counts=self.counts)

    def __enter__(self) -> Self:
        self.start()
        return self

    # ---- operations --------------------------------------------------------------------------------------------------

    def load(self, session: str, model: bytes | Path, settings: Session, *, count: bool = False) -> Loaded:
        """Create a session.

        Args:
            session: Name of the session in later calls.
            model: The file's bytes; or its path if it has external data. The worker must be able to open the path.
            settings: Session settings.
            count: Whether to count instructions.

        Raises:
            ArtefactError: The runtime refused the model.
            MeasurementError: Instructions cannot be counted there, or several threads ran while counting.
            WorkerDied: The worker died while loading.
        """
        header: dict[str, Any] = {"session": session, "settings": settings.model_dump(mode="json"), "count": count}
        arrays: dict[str, Array] = {}
        if isinstance(model, Path):
            header["path"] = str(model.absolute())
        else:
            import numpy as np  # noqa: PLC0415 - a run whose evidence is all cached starts no worker and needs no numpy here

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
            session: Name of the session.
            feeds: Inputs by name, batch axis included.
            count: Whether to count instructions.

        Raises:
            MeasurementError: The runtime refused the inputs or failed; or instructions cannot be counted there, or
                several threads ran while counting.
            WorkerDied: The worker died while running.
        """
        step = f"running {session}"
        answer, outputs = self.ask("run", {"session": session, "count": count}, feeds, step=step)
        with self._understood(step):
            counted = next(iter(self._counted(answer, step)), None)
            spent = (_whole(answer["wall_ns"]), _whole(answer["cpu_ns"]))
            return Ran(outputs, *spent, _whole(answer["peak"]), counted)

    def count(self, session: str, feeds: Mapping[str, Array], runs: int) -> tuple[int, ...]:
        """Run a session several times and count the instructions of each run.

        Args:
            session: Name of the session.
            feeds: Inputs by name, batch axis included.
            runs: Number of runs.

        Returns:
            Instructions of each run.

        Raises:
            MeasurementError: As for :meth:`run`.
            WorkerDied: The worker died while running.
        """
        step = f"counting {session}"
        header = {"session": session, "count": True, "runs": runs}
        answer, _ = self.ask("run", header, feeds, step=step, seconds=runs * self._answer_seconds)
        with self._understood(step):
            return self._counted(answer, step)

    def time(self, feeds: Mapping[str, Mapping[str, Array]], runs: int) -> Times:
        """Time several sessions, interleaved: A B A B.

        Args:
            feeds: Inputs by session, in the order of the runs.
            runs: Runs of each session.

        Raises:
            MeasurementError: The runtime refused the inputs or failed.
            WorkerDied: The worker died while running.
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
        """Return the current resident memory of the process in bytes; ``None`` if the system does not report it."""
        step = "telling its memory"
        answer, _ = self.ask("memory", step=step)
        with self._understood(step):
            return None if answer["current"] is None else _whole(answer["current"])

    def drop(self, session: str) -> None:
        """Free a session."""
        self.ask("drop", {"session": session}, step=f"freeing {session}")

    def _counted(self, answer: Mapping[str, Any], step: str) -> tuple[int, ...]:
        """Read the instruction counts of an answer.

        The plugin's counter is shared by all threads and not atomic (inline adds of QEMU's plugin API version 1), so a
        count is valid only if a single thread ran.

        Raises:
            MeasurementError: Other threads ran.
        """
        if answer.get("others"):
            raise MeasurementError(
                f"{self.name} was not alone with one thread while {step}: others were awake {answer['others']} times,"
                " so its instructions cannot be counted",
                next_step="use one thread, and keep libraries from starting their own (OMP_NUM_THREADS=1)",
            )
        return tuple(_whole(number) for number in answer.get("instructions", ()))

    @contextlib.contextmanager
    def _understood(self, step: str) -> Iterator[None]:
        """Turn an error while reading a well-formed frame with impossible content into a protocol error."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            sentence = " ".join(str(error).split())[:200]
            self.close()
            raise self._foreign(f"an answer that makes no sense ({sentence})", step) from error


@dataclass(frozen=True, slots=True)
class Hello:
    """Versions and machine as the worker reports them, and whether it can count instructions."""

    python: str
    numpy: str
    onnxruntime: str
    machine: str
    system: str
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session that a worker created.

    Attributes:
        wall_ns: Wall time of the creation in ns.
        cpu_ns: Process CPU time of the creation in ns.
        baseline: Resident bytes before it, with the runtime imported and the file read; ``None`` if not reported.
        peak: Highest resident bytes since then.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
        instructions: Instructions of the creation; ``None`` if they were not counted.
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
    """One inference in a worker.

    Attributes:
        outputs: All outputs by name, batch axis included.
        wall_ns: Wall time in ns.
        cpu_ns: Process CPU time over all threads in ns.
        peak: Highest resident bytes since the session's file was read.
        instructions: Instructions of the run; ``None`` if they were not counted.
    """

    outputs: Mapping[str, Array]
    wall_ns: int
    cpu_ns: int
    peak: int
    instructions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Times of several interleaved sessions in ns; both int64 [sessions, runs]."""

    wall_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64]
