"""A guest: a process that runs the worker, started by any command, from which only frames come back.

The same few lines drive a worker on this Python, in another virtual environment, under ``qemu-aarch64`` or behind
``ssh``: only the command differs. What the guest runs is native code that may crash, hang or print, so it has its own
process group, every answer has a timeout, its error stream is drained at all times (the tail serves messages), and
requests are written by a thread of their own: a full pipe in either direction stalls nobody. Whatever ends the
conversation early ends the guest with all its children.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from parity.errors import ArtefactError, MeasurementError, WorkerDied, signal_in_words
from parity.evidence.model import PortFact
from parity.runners import worker
from parity.runners.answers import Hello, Loaded, Ran, Times
from parity.runners.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from parity.contract.variants import Session
    from parity.evidence.model import Array

WORKER: Final = Path(worker.__file__)
"""The file that a command has to run."""

START_SECONDS: Final = 120.0
"""How long a guest may take to import its runtime; emulation takes seconds, a machine behind ``ssh`` may be waking."""

ANSWER_SECONDS: Final = 300.0
"""How long any one request may take."""

_TAIL_LINES: Final = 20
_POLL_SECONDS: Final = 0.2
_SIGNAL_NOTES: Final = ("qemu: uncaught target signal",)
"""What an emulator says of a signal, by which it then dies itself: nothing that is not told better already."""

_SHELL_SIGNALS: Final = range(129, 193)
"""Exit codes by which a shell, or whatever else stands in front, reports a signal (128 + number)."""


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


class Guest:
    """A worker process and the conversation with it.

    Use it as a context manager. One request at a time: calls from several threads wait for one another.

    Args:
        command: What to run; it must end in a Python that runs :data:`WORKER`.
        name: What the guest is called in messages.
        processor: What its processor is called in them, after "this".
        env: The whole environment; this process's own by default.
        start_seconds: Longest wait for the first answer.
        answer_seconds: Longest wait for any later one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str = "the worker process",
        processor: str = "processor",
        env: Mapping[str, str] | None = None,
        start_seconds: float = START_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.name = name
        self.counts = False
        """Whether its emulator counts instructions; known once it has started."""
        self._processor = processor
        self._command = tuple(command)
        self._env = None if env is None else dict(env)
        self._start_seconds = start_seconds
        self._answer_seconds = answer_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], Mapping[str, Array]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[dict[str, Any], dict[str, Array]] | Exception] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=_TAIL_LINES)
        self._threads: list[threading.Thread] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    # ---- life --------------------------------------------------------------------------------------------------------

    def start(self) -> Hello:
        """Start the process and greet it.

        Raises:
            MeasurementError: The command cannot be run, speaks another protocol, or lacks numpy or onnxruntime.
            WorkerDied: It ended before it answered, or did not answer in time.
        """
        # An empty folder of its own: ONNX Runtime looks for external data of a model made from bytes where it stands.
        self._folder = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running the given command is what a guest is
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._folder.name,
                env=self._env,
                **new_group(),
            )
        except OSError as error:
            self.close()
            raise MeasurementError(
                f"{self.name} cannot be started: {self._command[0]}: {error.strerror or error}",
                next_step="check the command that starts it",
            ) from error
        streams = self._process.stdin, self._process.stdout, self._process.stderr
        for work, stream in zip((self._write, self._read, self._listen), streams, strict=True):
            thread = threading.Thread(target=work, args=(stream,), name=f"guest-{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        try:
            answer, _ = self._ask("hello", "starting", seconds=self._start_seconds)
        except BaseException:
            self.close()
            raise
        if answer.get("protocol") != worker.PROTOCOL:
            self.close()
            raise self._foreign(f"protocol version {answer.get('protocol')!r}", "starting")
        fields = ("python", "numpy", "onnxruntime", "machine", "system")
        self.counts = answer.get("counts") is True
        return Hello(**{field: str(answer.get(field, "?")) for field in fields}, counts=self.counts)

    def close(self) -> None:
        """End the guest with all its children. Closing twice does no harm."""
        process, self._process = self._process, None
        if process is not None:
            self._requests.put(None)
            end_group(process)
            # Each closes its own stream. One whose pipe a stray child has inherited is left behind: it is a daemon.
            for thread in self._threads:
                thread.join(_POLL_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        answer, _ = self._ask("load", step, header, arrays, refused=ArtefactError)
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
        answer, outputs = self._ask("run", step, {"session": session, "count": count}, feeds)
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
        answer, _ = self._ask("run", step, header, feeds, seconds=runs * self._answer_seconds)
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
        _, times = self._ask("time", step, {"sessions": list(feeds), "runs": runs}, arrays)
        with self._understood(step):
            wall, cpu = times["wall_ns"], times["cpu_ns"]
            if any(taken.shape != (len(feeds), runs) or taken.dtype.kind not in "iu" for taken in (wall, cpu)):
                message = "times of other sessions or runs"
                raise ValueError(message)
            return Times(wall, cpu)  # type: ignore[arg-type]

    def drop(self, session: str) -> None:
        """Free a session."""
        self._ask("drop", f"freeing {session}", {"session": session})

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

    # ---- the conversation --------------------------------------------------------------------------------------------

    def _ask(
        self,
        operation: str,
        step: str,
        header: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Array] | None = None,
        *,
        seconds: float | None = None,
        refused: type[MeasurementError] = MeasurementError,
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a request and wait for its answer."""
        with self._turn:
            if self._process is None:
                raise WorkerDied(f"{self.name} has ended before {step}", next_step="see why in the first verdict above")
            self._requests.put(({**(header or {}), "op": operation}, arrays or {}))
            try:
                answer = self._await(self._answer_seconds if seconds is None else seconds, step)
            except BaseException:  # a timeout, or Ctrl-C: an answer that comes later would be taken for another's
                self.close()
                raise
            if isinstance(answer, Exception):
                raise self._ended(answer, step)
        body, results = answer
        if body.get("ok"):
            return body, results
        if body.get("kind") == "setup":
            reason = f"{self.name} cannot work: {body.get('error')}"
            raise MeasurementError(reason, next_step="install numpy and onnxruntime for the Python that it runs on")
        if body.get("kind") == "refused":
            raise refused(str(body.get("error")))
        raise MeasurementError(f"{self.name} failed while {step}: {body.get('error', 'no reason given')}")

    def _await(self, seconds: float, step: str) -> tuple[dict[str, Any], dict[str, Array]] | Exception:
        # In slices, because a lock that waits for long cannot be interrupted on every system.
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                return self._answers.get(timeout=min(_POLL_SECONDS, left))
            except queue.Empty:
                continue
        raise WorkerDied(
            f"{self.name} gave no answer within {seconds:g} s while {step}, and was ended{self._last_words()}",
            next_step="run the file alone to see whether it ever ends; a smaller model or fewer threads may help",
        )

    def _ended(self, ending: Exception, step: str) -> MeasurementError:
        """Say why there will be no more answers."""
        process = self._process
        if process is None or not isinstance(ending, worker.Closed | worker.TornFrameError | OSError):
            self.close()
            return self._foreign(str(ending), step)
        end_group(process, patience=2.0)
        code = process.returncode
        self.close()
        if isinstance(ending, worker.TornFrameError) and code >= 0:
            return self._foreign(str(ending), step)
        number = -code if code < 0 else code - 128 if code in _SHELL_SIGNALS else None
        if number is not None:
            how = f"died of {signal_in_words(number, processor=self._processor)}"
            next_step = "the file must not ship for this target; another runtime version or optimisation level may live"
        else:
            how = f"left with exit code {code}"
            next_step = "run the command by hand to see what it says"
        return WorkerDied(f"{self.name} {how} while {step}{self._last_words()}", signal=number, next_step=next_step)

    def _foreign(self, what: str, step: str) -> MeasurementError:
        return MeasurementError(
            f"{self.name} does not speak the worker's protocol: {what}, while {step}{self._last_words()}",
            next_step="let the command run parity's own worker.py, and let nothing else print to its standard output",
        )

    def _last_words(self) -> str:
        for thread in self._threads[-1:]:  # what it said last may still be on its way
            thread.join(_POLL_SECONDS)
        words = next((line for line in reversed(self._said) if line and not line.startswith(_SIGNAL_NOTES)), "")
        return f'; its last words: "{words}"' if words else ""

    # ---- threads: each owns one stream, so that none can stall another -----------------------------------------------

    def _write(self, stream: IO[bytes]) -> None:
        # Closing flushes once more, and a guest that is gone refuses that too. The reader tells how it ended.
        with contextlib.suppress(OSError, ValueError), stream:
            while (request := self._requests.get()) is not None:
                worker.write_frame(stream, *request)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while True:
                try:
                    self._answers.put(worker.read_frame(stream))
                except (worker.Closed, worker.FrameError, OSError, ValueError, MemoryError) as ending:
                    self._answers.put(ending)
                    return

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(4096):
                self._said.append(line.decode("utf-8", errors="replace").strip()[:200])
