"""Tests any worker, in any language, against every operation and every fault of the protocol.

Each :class:`ConformanceCase` starts the command anew, exchanges frames with it, and raises :class:`NotConforming` if
the worker departs from ``docs/protocol.md``. The models are ONNX files of one node, written here byte by byte so that
the kit needs no onnx package.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np

from eyerace_parity.core.errors import ContractError, MeasurementError, signal_in_words
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.connection import WorkerProcess

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


class WorkerUnderTest(WorkerProcess):
    """A worker under test: sends frames or any other bytes to its process, and reads frames from it.

    Args:
        command: The command that starts it.
        seconds: Longest wait for anything.
    """

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        super().__init__(command, name="the worker", folder=Path.cwd())
        self._seconds = seconds

    def __enter__(self) -> Self:
        try:
            self._start()
        except MeasurementError as error:
            step = "give the command that starts the worker, with its arguments"
            raise ContractError(error.reason, next_step=step) from error
        return self

    def send(self, content: bytes) -> None:
        """Write bytes from another thread: a worker that does not read must not block the kit."""

        def write(stream: IO[bytes]) -> None:
            stream.write(content)
            stream.flush()

        self._requests.put(write)

    def hang_up(self) -> None:
        """Close the worker's standard input after what was sent, as a host does when it ends."""
        self._requests.put(None)

    def answer(self) -> worker.Answer:
        """Return the next answer; progress reports are skipped.

        Raises:
            NoAnswer: There is none in time, the worker closed its output, or its bytes are no frame.
        """
        while True:
            try:
                answer = self._answers.get(timeout=self._seconds)
            except queue.Empty:
                raise NoAnswer(f"no answer within {self._seconds:g} s{self._last_words()}") from None
            if isinstance(answer, worker.Closed):
                raise NoAnswer(f"it closed its output instead of answering; {self._ending()}")
            if isinstance(answer, Exception):
                raise NoAnswer(f"it answered with {answer}{self._last_words()}")
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
        code = self._exit_code()
        if code is None:
            raise NotConforming(f"it did not leave within {self._seconds:g} s")
        if code < 0 or (codes and code not in codes):
            wanted = f" instead of {' or '.join(map(str, codes))}" if codes else ""
            raise NotConforming(f"{self._ending()}{wanted}")

    def _exit_code(self) -> int | None:
        """Exit code of the process; ``None`` if it goes on running."""
        assert self._process is not None  # noqa: S101 - it was started
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(self._seconds)
        return None

    def _ending(self) -> str:
        code = self._exit_code()
        if code is None:
            return "it went on running"
        how = f"it died of {signal_in_words(-code)}" if code < 0 else f"it left with exit code {code}"
        return how + self._last_words()


def frame(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return the bytes of one valid frame."""
    stream = io.BytesIO()
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
