"""Connection to a worker process: requests and answers are frames over its standard streams.

Any command can start the worker. The worker runs native code that may crash, hang or print. So it gets its own process
group, every answer has a timeout, and its error stream is drained at all times; its last lines serve error messages.
Requests are written by a separate thread, so that a full pipe in either direction blocks nothing. An error or an
interrupt ends the worker with all its children.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import tempfile
import threading
import time
from collections import deque
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Final, Self

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.isolation import failures, worker
from eyerace_parity.isolation.failures import FILE, Accusation
from eyerace_parity.isolation.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from eyerace_parity.evidence.base import Array

START_SECONDS: Final = 120.0
"""Longest wait for the first answer. Importing onnxruntime takes 3-4 s under emulation; a remote machine may sleep."""

ANSWER_SECONDS: Final = 300.0
"""Longest wait for any later answer. An emulated inference of an EfficientNet-B0 takes up to 3 s."""

_TAIL_LINES: Final = 20
"""Lines of the error stream that are kept for messages."""

_POLL_SECONDS: Final = 0.2
"""Longest uninterruptible wait: a lock without a timeout blocks Ctrl-C on Windows."""

_SIGNAL_NOTES: Final = ("qemu: uncaught target signal",)
"""Lines that are no last words: QEMU prints them before it dies of the signal, which the exit code already names."""


class WorkerProcess:
    """A process that reads and writes frames on its standard streams.

    Args:
        command: The command; it must speak the frames of :mod:`eyerace_parity.isolation.worker`.
        name: Name of the process in messages.
        env: The whole environment; this process's environment by default.
        folder: Its working directory; an empty temporary folder by default.
    """

    def __init__(
        self, command: Sequence[str], *, name: str, env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._env = None if env is None else dict(env)
        self._stands = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: queue.SimpleQueue[Callable[[IO[bytes]], None] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[dict[str, Any], dict[str, Array]] | Exception] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=_TAIL_LINES)
        self._threads: list[threading.Thread] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def _start(self) -> None:
        stands = self._stands
        if stands is None:
            # ONNX Runtime looks for external data of a model from bytes in the working directory. An app would not
            # find files there, so the worker must not find any by chance either.
            self._folder = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - running the given command is what this is for
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._folder.name if self._folder is not None else stands,
                env=self._env,
                **new_group(),
            )
        except OSError as error:
            why = f"cannot be started: {self._command[0]}: {error.strerror or error}"
            raise failures.unstarted(self.name, why, "check the command that starts it") from error
        streams = process.stdin, process.stdout, process.stderr
        for work, stream in zip((self._write, self._read, self._listen), streams, strict=True):
            thread = threading.Thread(target=work, args=(stream,), name=f"worker-{work.__name__}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no memory for its stack, or too many threads
                why = f"cannot be talked to: {error}"
                raise failures.unstarted(self.name, why, "free memory, or raise its limit") from error
            self._threads.append(thread)

    @property
    def ended(self) -> bool:
        """Whether the process has not been started or has been closed."""
        return self._process is None

    def close(self) -> None:
        """End the process with all its children. Closing twice does no harm."""
        process, self._process = self._process, None
        if process is not None:
            self._requests.put(None)
            end_group(process)
            # Each thread closes its own stream. A thread may not end because a stray child has inherited its pipe; it
            # is a daemon and is left behind.
            for thread in self._threads:
                thread.join(_POLL_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        for thread in self._threads[-1:]:  # the last lines may still be in the pipe
            thread.join(_POLL_SECONDS)
        words = next((line for line in reversed(self._said) if line and not line.startswith(_SIGNAL_NOTES)), "")
        return f'; its last words: "{words}"' if words else ""

    # Threads: each owns one stream, so that none can stall another.

    def _write(self, stream: IO[bytes]) -> None:
        # Closing flushes once more, which also fails when the worker is gone. The reading thread reports the end.
        with contextlib.suppress(OSError, ValueError), stream:
            while (request := self._requests.get()) is not None:
                request(stream)

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


class WorkerConnection(WorkerProcess):
    """A worker process and the connection to it.

    Use it as a context manager. It serves one request at a time: calls from several threads wait for one another.

    Args:
        command: See :class:`WorkerProcess`.
        name: See :class:`WorkerProcess`.
        processor: Name of its processor in messages, after "this".
        accuse: What to blame when a signal of its own native code ends it.
        env: See :class:`WorkerProcess`.
        folder: See :class:`WorkerProcess`.
        start_seconds: Longest wait for the first answer.
        answer_seconds: Longest wait for any later answer, or for the next progress report before it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str = "the worker process",
        processor: str = "processor",
        accuse: Accusation = FILE,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        start_seconds: float = START_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        super().__init__(command, name=name, env=env, folder=folder)
        self._accuse = replace(accuse, processor=processor)
        self._start_seconds = start_seconds
        self._answer_seconds = answer_seconds
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        self.greet()
        return self

    def greet(self) -> dict[str, Any]:
        """Start the process and send ``hello``.

        Returns:
            Header of its answer: protocol version and, for a runtime worker, its versions.

        Raises:
            MeasurementError: The command cannot be run, or speaks another protocol.
            WorkerDied: The process ended before it answered, or did not answer in time.
        """
        try:
            self._start()
            answer, _ = self.ask("hello", step="starting", seconds=self._start_seconds)
            if answer.get("protocol") != worker.PROTOCOL:
                raise self._foreign(f"protocol version {answer.get('protocol')!r}", "starting")  # noqa: TRY301
        except BaseException:
            self.close()
            raise
        return answer

    def ask(
        self,
        operation: str,
        header: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Array] | None = None,
        *,
        step: str,
        seconds: float | None = None,
        refused: type[MeasurementError] = MeasurementError,
        hear: Callable[[Any], None] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a request and wait for its answer.

        Args:
            operation: Name of the operation.
            header: Fields of the request.
            arrays: Arrays of the request.
            step: What the process does meanwhile, for messages: "loading int8".
            seconds: Longest wait in seconds; ``answer_seconds`` by default.
            refused: Exception class for a refusal by the runtime itself.
            hear: Called with each progress report. Each report restarts the wait.

        Returns:
            Fields and arrays of the answer.

        Raises:
            WorkerDied: The process ended before it answered, or did not answer in time.
            MeasurementError: The process refused, or does not speak the protocol.
        """
        with self._turn:
            if self._process is None:
                raise failures.gone(self.name, step)
            request = {**(header or {}), "op": operation}
            self._requests.put(lambda stream: worker.write_frame(stream, request, arrays or {}))
            try:
                answer = self._await(self._answer_seconds if seconds is None else seconds, step, hear)
            except BaseException:  # a timeout or Ctrl-C: a late answer would be taken for that of the next request
                self.close()
                raise
            if isinstance(answer, Exception):
                raise self._ended(answer, step)
        body, results = answer
        if body.get("ok"):
            return body, results
        raise self._refusal(body, step, refused)

    def _refusal(self, body: Mapping[str, Any], step: str, refused: type[MeasurementError]) -> Exception:
        """Turn an answer without ``ok`` into an exception."""
        return failures.refusal(body, name=self.name, step=step, refused=refused)

    def _await(
        self, seconds: float, step: str, hear: Callable[[Any], None] | None
    ) -> tuple[dict[str, Any], dict[str, Array]] | Exception:
        # Waits in slices: on Windows a long wait for a lock cannot be interrupted by Ctrl-C.
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                answer = self._answers.get(timeout=min(_POLL_SECONDS, left))
            except queue.Empty:
                continue
            if isinstance(answer, Exception) or "progress" not in answer[0]:
                return answer
            if hear is not None:  # without a listener, progress reports do not extend the timeout
                hear(answer[0]["progress"])
                until = time.monotonic() + seconds
        raise failures.silence(self.name, step, seconds, self._last_words())

    def _ended(self, ending: Exception, step: str) -> MeasurementError:
        """Return the error that explains why the connection ended."""
        process, code = self._process, None
        if process is not None and failures.is_ending(ending):
            end_group(process, patience=2.0)
            code = process.returncode
        self.close()
        return failures.failure(
            ending, name=self.name, step=step, exit_code=code, accuse=self._accuse, last_words=self._last_words()
        )

    def _foreign(self, what: str, step: str) -> MeasurementError:
        return failures.foreign(self.name, step, what, self._last_words())
