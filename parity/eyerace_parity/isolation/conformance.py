"""Tests any worker, in any language, against every operation and every fault of the protocol.

Each :class:`ConformanceCase` starts the command anew, exchanges frames with it, and raises :class:`NotConforming` if
the worker departs from ``docs/protocol.md``. The models are ONNX files of one node, written here byte by byte so that
the kit needs no onnx package.
"""

from __future__ import annotations

import contextlib
import json
import queue
import struct
import subprocess
import tempfile
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np

from eyerace_parity.core.errors import ContractError, signal_in_words
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.processes import end_group, new_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eyerace_parity.evidence.base import Array

SECONDS: Final = 60.0
"""Longest wait for the first answer, for any later answer, and for the end of the worker."""

LARGE: Final = 1 << 24
"""Elements of the large tensor: 64 MiB of float32, more than any pipe or buffer takes at once."""

SETTINGS: Final = {
    "intra_op_threads": 1,
    "inter_op_threads": 1,
    "spinning": False,
    "optimisation": "all",
    "providers": ["CPUExecutionProvider"],
    "config": {},
}
"""Settings of a session, as a ``load`` carries them."""

_LAST_WORDS: Final = 120
"""Characters of an answer or of a line of output that a message quotes."""

_PATIENCE: Final = 2.0
"""Seconds to wait for a reading thread after its process has ended."""


class NotConforming(Exception):  # noqa: N818 - a finding about the worker
    """The worker departs from the protocol."""


class NoAnswer(NotConforming):
    """The worker gave no answer at all, so that its answers cannot be judged."""


# ---- models ----------------------------------------------------------------------------------------------------------


def model(operator: str = "Identity", element: int = 1, extents: Sequence[int | str] = ("n",)) -> bytes:
    """Make an ONNX file (IR version 8, opset 13) with one node from the input ``x`` to the output ``y``.

    Args:
        operator: The node's operator; it must have one input and one output of the same type and shape.
        element: Element type, as a number of ``TensorProto.DataType``.
        extents: Shape of both; a string names a dynamic axis.
    """
    axes = b"".join(
        _field(1, _field(2, axis.encode()) if isinstance(axis, str) else _number(1, axis)) for axis in extents
    )
    tensor = _field(1, _number(1, element) + _field(2, axes))
    node = _field(1, b"x") + _field(2, b"y") + _field(4, operator.encode())
    ports = (_field(at, _field(1, name) + _field(2, tensor)) for at, name in ((11, b"x"), (12, b"y")))
    graph = _field(1, node) + _field(2, b"g") + b"".join(ports)
    return _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 13))


def _field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited protobuf field (wire type 2)."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """Encode a varint protobuf field (wire type 0)."""
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    """Encode a number with seven bits a byte, the lowest first."""
    encoded = b""
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte
        encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
    return encoded + bytes([value])


# ---- the worker under test ------------------------------------------------------------------------------------------


class WorkerUnderTest:
    """A worker under test: sends frames or any other bytes to its process, and reads frames from it.

    Args:
        command: The command that starts it.
        seconds: Longest wait for anything.
    """

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._command = tuple(command)
        self._seconds = seconds
        self._answers: queue.SimpleQueue[worker.Answer | Exception] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._said = b""

    def __enter__(self) -> Self:
        self.folder = Path(self._made().name)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **new_group(),
            )
        except OSError as error:
            self._folder.cleanup()
            reason = f"{self._command[0]} cannot be started: {error.strerror or error}"
            raise ContractError(
                reason, next_step="give the command that starts the worker, with its arguments"
            ) from error
        streams = self._process.stdout, self._process.stderr
        for work, stream in zip((self._read, self._listen), streams, strict=True):
            self._threads.append(threading.Thread(target=work, args=(stream,), daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        end_group(self._process)
        # A thread whose pipe a stray child has inherited does not end; it is a daemon and is left behind.
        for thread, stream in zip(self._threads, (self._process.stdout, self._process.stderr), strict=True):
            thread.join(_PATIENCE)
            if stream is not None and not thread.is_alive():
                stream.close()
        self._folder.cleanup()

    def _made(self) -> tempfile.TemporaryDirectory[str]:
        self._folder = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        return self._folder

    def send(self, content: bytes) -> threading.Thread:
        """Write bytes from a new thread, and return it: a worker that does not read must not block the kit."""
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - it was asked for

        def write() -> None:
            with contextlib.suppress(OSError, ValueError):  # the worker has ended; the missing answer reports that
                stream.write(content)
                stream.flush()

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Close the worker's standard input, as a host does when it ends."""
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def answer(self) -> worker.Answer:
        """Return the next answer; progress reports are skipped.

        Raises:
            NoAnswer: There is none in time, the worker closed its output, or its bytes are no frame.
        """
        while True:
            try:
                answer = self._answers.get(timeout=self._seconds)
            except queue.Empty:
                raise NoAnswer(f"no answer within {self._seconds:g} s{self._words()}") from None
            if isinstance(answer, worker.Closed):
                raise NoAnswer(f"it closed its output instead of answering; {self._ending()}")
            if isinstance(answer, Exception):
                raise NoAnswer(f"it answered with {answer}{self._words()}")
            if "progress" not in answer[0]:
                return answer

    def ask(self, operation: str, arrays: Mapping[str, Array] | None = None, **header: Any) -> worker.Answer:
        """Send a request that must succeed, and return its answer."""
        self.send(frame({"op": operation, **header}, arrays or {}))
        body, results = self.answer()
        if body.get("ok") is not True:
            raise NotConforming(f"{operation} was refused: {_short(body)}")
        return body, results

    def refused(self, kind: str, operation: str, arrays: Mapping[str, Array] | None = None, **header: Any) -> None:
        """Send a request that must be refused; the worker must go on serving."""
        self.send(frame({"op": operation, **header}, arrays or {}))
        self.refusal(kind, operation)
        self.ask("memory")

    def refusal(self, kind: str, what: str) -> None:
        """Read an answer that must be a refusal of the kind ``kind``."""
        body, _ = self.answer()
        if body.get("ok") is not False:
            raise NotConforming(f"{what} must be refused, the answer is {_short(body)}")
        if body.get("kind") != kind:
            raise NotConforming(f"{what} must be refused as {kind!r}, not as {body.get('kind')!r}")
        if not (isinstance(body.get("error"), str) and body["error"]):
            raise NotConforming("a refusal must say why in `error`")

    def load(self, session: str = "m", **form: Any) -> dict[str, Any]:
        """Load a model of one node."""
        content = np.frombuffer(model(**form), np.uint8)
        return self.ask("load", {"model": content}, session=session, settings=SETTINGS)[0]

    def leaves(self, *codes: int) -> None:
        """Require that the worker ends by itself, with one of ``codes``; with any exit code if none is given."""
        try:
            code = self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise NotConforming(f"it did not leave within {self._seconds:g} s") from None
        if code < 0 or (codes and code not in codes):
            wanted = f" instead of {' or '.join(map(str, codes))}" if codes else ""
            raise NotConforming(f"{self._ending()}{wanted}")

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._seconds)
        code = self._process.returncode
        if code is None:
            return "it went on running"
        how = f"it died of {signal_in_words(-code)}" if code < 0 else f"it left with exit code {code}"
        return how + self._words()

    def _words(self) -> str:
        lines = [line for line in self._said.decode("utf-8", errors="replace").splitlines() if line.strip()]
        return f'; its last words: "{lines[-1].strip()[:_LAST_WORDS]}"' if lines else ""

    def _read(self, stream: IO[bytes]) -> None:
        while True:
            try:
                self._answers.put(worker.read_frame(stream))
            except (worker.Closed, worker.FrameError, OSError, ValueError, MemoryError) as ending:
                self._answers.put(ending)
                return

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline(4096):
                self._said = line


def frame(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return the bytes of one valid frame."""
    from io import BytesIO  # noqa: PLC0415 - used nowhere else

    stream = BytesIO()
    worker.write_frame(stream, header, arrays)
    return stream.getvalue()


def damaged_frame(
    *,
    magic: bytes = worker.MAGIC,
    protocol: int = worker.PROTOCOL,
    text: bytes | None = None,
    payload: bytes = b"",
    stated: int | None = None,
    seal: int = 0,
    checksum: int = 0,
) -> bytes:
    """Return the bytes of a frame with a defect.

    Args:
        magic: First four bytes.
        protocol: Stated protocol version.
        text: JSON header; that of a ``memory`` request by default.
        payload: Bytes of the arrays.
        stated: Stated length of the payload; the true one by default.
        seal: Added to the checksum of the prefix.
        checksum: Added to the checksum of the contents.
    """
    text = json.dumps({"op": "memory", "arrays": []}).encode() if text is None else text
    sum_of_contents = zlib.crc32(payload, zlib.crc32(text)) + checksum & 0xFFFFFFFF
    length = len(payload) if stated is None else stated
    prefix = struct.pack("<4sHHIQI", magic, protocol, 0, len(text), length, sum_of_contents)
    return prefix + struct.pack("<I", zlib.crc32(prefix) + seal & 0xFFFFFFFF) + text + payload


def _short(body: Mapping[str, Any]) -> str:
    return json.dumps(body)[:_LAST_WORDS]


def count_of(body: Mapping[str, Any], *names: str) -> None:
    """Require that each of these fields is an integer from 0."""
    for name in names:
        value = body.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise NotConforming(f"`{name}` must be a whole number from 0, not {value!r}")


# ---- running the cases -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConformanceCase:
    """One requirement of the protocol.

    Attributes:
        area: Its group: an operation, or ``faults``.
        name: The requirement in words.
        carry_out: Tests it with a freshly started worker; raises :class:`NotConforming`.
    """

    area: str
    name: str
    carry_out: Callable[[WorkerUnderTest], None]


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """Result of a case.

    Attributes:
        case: The case.
        failure: What the worker did instead; empty if it conforms.
        silent: Whether it gave no answer at all.
    """

    case: ConformanceCase
    failure: str = ""
    silent: bool = False


def check(
    command: Sequence[str], cases: Sequence[ConformanceCase], seconds: float = SECONDS
) -> list[ConformanceResult]:
    """Test a worker.

    Args:
        command: The command that starts it.
        cases: The cases; each gets a worker of its own. If the worker does not answer the first case, the others are
            not run: each would only wait for its timeout.
        seconds: Longest wait for anything.

    Returns:
        One result for each case, in the same order.

    Raises:
        ContractError: The command cannot be started.
    """
    results: list[ConformanceResult] = []
    for case in cases:
        if results and results[0].silent:
            results.append(ConformanceResult(case, "not tried"))
            continue
        try:
            with WorkerUnderTest(command, seconds) as tested:
                case.carry_out(tested)
        except NoAnswer as error:
            results.append(ConformanceResult(case, str(error), silent=True))
        except NotConforming as error:
            results.append(ConformanceResult(case, str(error)))
        else:
            results.append(ConformanceResult(case))
    return results
