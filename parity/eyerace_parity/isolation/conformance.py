"""Tries a worker of anybody's, in any language, against every operation and every fault of the protocol.

Each :class:`ConformanceCase` has the command started afresh, speaks frames with it, and raises :class:`NotConforming`
where the worker does something else than ``docs/protocol.md`` says. The models are ONNX files of one node, made here
byte by byte.
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
"""How long a worker may take for its first answer, for any later one, and to leave."""

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
_PATIENCE: Final = 2.0


class NotConforming(Exception):  # noqa: N818 - a finding about the worker
    """The worker does something else than the protocol says."""


class NoAnswer(NotConforming):
    """It gave no answer at all, so there is nothing to say of what it would answer."""


# ---- models ----------------------------------------------------------------------------------------------------------


def model(operator: str = "Identity", element: int = 1, extents: Sequence[int | str] = ("n",)) -> bytes:
    """Make an ONNX file (IR version 8, opset 13) with one node from the input ``x`` to the output ``y``.

    Args:
        operator: The node's operator; one input, one output, of the same type and shape.
        element: Number of the element type, as ``TensorProto.DataType`` has it.
        extents: Shape of both; a text names a free axis.
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
    """A field of protobuf that holds bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """A field of protobuf that holds a number."""
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    found = b""
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


# ---- the worker under test ------------------------------------------------------------------------------------------


class WorkerUnderTest:
    """A worker under test: a process, and frames or any other bytes to and from it.

    Args:
        command: What starts it.
        seconds: How long it may take for anything.
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
        # A thread whose pipe a stray child has inherited is left behind: it is a daemon.
        for thread, stream in zip(self._threads, (self._process.stdout, self._process.stderr), strict=True):
            thread.join(_PATIENCE)
            if stream is not None and not thread.is_alive():
                stream.close()
        self._folder.cleanup()

    def _made(self) -> tempfile.TemporaryDirectory[str]:
        self._folder = tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True)
        return self._folder

    def send(self, content: bytes) -> threading.Thread:
        """Write bytes, from a thread that is returned: a worker that does not read must not hang the kit."""
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - it was asked for

        def write() -> None:
            with contextlib.suppress(OSError, ValueError):  # it left; the missing answer tells that
                stream.write(content)
                stream.flush()

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Close the worker's standard input, as a host does that leaves."""
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def answer(self) -> worker.Answer:
        """The next answer, reports of progress passed over."""
        while True:
            try:
                found = self._answers.get(timeout=self._seconds)
            except queue.Empty:
                raise NoAnswer(f"no answer within {self._seconds:g} s{self._words()}") from None
            if isinstance(found, worker.Closed):
                raise NoAnswer(f"it closed its output instead of answering; {self._ending()}")
            if isinstance(found, Exception):
                raise NoAnswer(f"it answered with {found}{self._words()}")
            if "progress" not in found[0]:
                return found

    def ask(self, operation: str, arrays: Mapping[str, Array] | None = None, **header: Any) -> worker.Answer:
        """Ask for something that must succeed."""
        self.send(frame({"op": operation, **header}, arrays or {}))
        body, results = self.answer()
        if body.get("ok") is not True:
            raise NotConforming(f"{operation} was refused: {_short(body)}")
        return body, results

    def refused(self, kind: str, operation: str, arrays: Mapping[str, Array] | None = None, **header: Any) -> None:
        """Ask for something that must be refused; the worker has to live on."""
        self.send(frame({"op": operation, **header}, arrays or {}))
        self.refusal(kind, operation)
        self.ask("memory")

    def refusal(self, kind: str, what: str) -> None:
        """Take an answer that must be a refusal."""
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
        """It must end by itself, with one of these exit codes; by any that is no signal if none is given."""
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
    """One sound frame."""
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
    """A frame with one thing wrong in it.

    Args:
        magic: Its first bytes.
        protocol: The version that it states.
        text: Its header; that of a ``memory`` request by default.
        payload: Its arrays.
        stated: How many bytes of arrays it states, if others than there are.
        seal: What is added to the checksum of its beginning.
        checksum: What is added to the checksum of its contents.
    """
    text = json.dumps({"op": "memory", "arrays": []}).encode() if text is None else text
    sum_of_contents = zlib.crc32(payload, zlib.crc32(text)) + checksum & 0xFFFFFFFF
    length = len(payload) if stated is None else stated
    prefix = struct.pack("<4sHHIQI", magic, protocol, 0, len(text), length, sum_of_contents)
    return prefix + struct.pack("<I", zlib.crc32(prefix) + seal & 0xFFFFFFFF) + text + payload


def _short(body: Mapping[str, Any]) -> str:
    return json.dumps(body)[:_LAST_WORDS]


def count_of(body: Mapping[str, Any], *names: str) -> None:
    """Each of these fields must be a count."""
    for name in names:
        value = body.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise NotConforming(f"`{name}` must be a whole number from 0, not {value!r}")


# ---- running all of it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConformanceCase:
    """One thing that is tried.

    Attributes:
        area: What it belongs to: an operation, or ``faults``.
        name: What is tried, and must be.
        carry_out: Does it with a worker that has just been started; raises :class:`NotConforming`.
    """

    area: str
    name: str
    carry_out: Callable[[WorkerUnderTest], None]


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """What came of a case.

    Attributes:
        case: The case.
        failure: What the worker did instead; empty where it conforms.
        silent: Whether it gave no answer at all.
    """

    case: ConformanceCase
    failure: str = ""
    silent: bool = False


def check(
    command: Sequence[str], cases: Sequence[ConformanceCase], seconds: float = SECONDS
) -> list[ConformanceResult]:
    """Try a worker.

    Args:
        command: What starts it.
        cases: What to try; each begins with a worker that was started for it. One that does not answer the first is
            not tried further.
        seconds: How long the worker may take for any one thing.

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
