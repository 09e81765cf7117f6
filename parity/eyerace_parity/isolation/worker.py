"""The worker program: loads and runs ONNX models for a host that is connected to its standard streams.

It is one file for Python 3.8 and newer that needs only the standard library, numpy and onnxruntime. So it also runs in
another virtual environment, under ``qemu-aarch64`` with a foreign Python, or over ``ssh``. It is longer than other
files here because it must reach the target as one file. It is run by its path; only the command in front differs. The
client is :mod:`eyerace_parity.isolation.runtime_worker`.

A frame is a fixed prefix (magic, protocol version, two lengths, two checksums), a JSON header and the raw bytes of the
arrays that the header describes. Nothing is pickled, so neither side executes data of the other. Native code that
prints would tear the frames; so the protocol takes standard output, and everything else prints to standard error.
``docs/protocol.md`` describes frames and operations for authors of workers in other languages.

A request is ``{"op": name, …}``. An answer is ``{"ok": true, …}`` or ``{"ok": false, "error": sentence, "kind": …}``.
``kind`` is ``refused`` (the runtime refused), ``request`` (the request is invalid) or ``setup`` (numpy or onnxruntime
cannot be imported). :mod:`eyerace_parity.isolation.server` serves other operations with :func:`serve`. The in-process
runner creates its sessions with the functions of this file, so that sessions are equal everywhere.

Under an emulator with the plugin of the extension ``emulation`` the worker counts the instructions of its work.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # A program that is run by its path imports modules of its own folder first. They must not shadow the runtime.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]

import contextlib
import json
import os
import platform
import re
import struct
import time
import zlib
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]
    Answer = tuple[dict[str, Any], Arrays]
    Operation = Callable[[dict[str, Any], Arrays], Answer]

MAGIC = b"EYPF"
PROTOCOL = 2
MAX_HEADER = 1 << 24
MAX_PAYLOAD = 1 << 33
"""Largest header and payload in bytes: 16 MiB and 8 GiB. Without a limit a torn length would exhaust the memory."""

CHUNK = 1 << 24
"""Bytes that are allocated at once (16 MiB): memory grows with the bytes that arrive, not with the stated length."""

MAX_SENTENCE = 300
"""Characters of a runtime's message that reach the user."""

ALIGNMENT = 16
"""Arrays start at multiples of this many bytes, so that numpy reads them without a copy."""

_PREFIX = struct.Struct("<4sHHIQI")
"""Magic, protocol version, reserved, bytes of the header, bytes of the payload, CRC-32 of header and payload."""

_SEAL = struct.Struct("<I")
"""CRC-32 of the prefix, which follows the prefix: a damaged length must not be used."""

# Telemetry: on by default in some builds of the runtime (https://github.com/microsoft/onnxruntime/issues/27379).
# OpenBLAS: numpy's thread pool would run beside the session and disturb times, memory and instruction counts.
QUIET = {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment that numpy and onnxruntime read when they are imported."""

MAGIC_CALL = 0x5EED0000
"""Process number of a magic ``getpgid`` call. No process has it, so the call fails; the counting plugin observes it."""

BEGIN, TELL, END = 1, 2, 3
"""Requests to the plugin: start counting, report the count, report it and stop."""

COUNT = struct.Struct("<QQQQ")
"""Answer of the plugin: whether it counts, instructions so far, system calls of other threads, interface version."""

_DTYPE = re.compile(r"^(\|b1|[<|][iuf][1248])$")

_NUMPY_NAMES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "bool": "bool",
    "string": "string",
}
"""Element types that numpy names differently from ONNX Runtime; all others have the same name in both."""


class FrameError(Exception):
    """Bytes that are not a whole frame of this protocol."""


class TornFrameError(FrameError):
    """A frame that ends early: the other side died, or never spoke this protocol."""


class Closed(Exception):  # noqa: N818 - a normal end, not an error
    """The other side closed the stream between two frames."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The runtime refused; the message is meant for the user."""


class BadRequest(Exception):  # noqa: N818 - the host's fault
    """The host requested something that this worker does not offer."""


# ---- frames ----------------------------------------------------------------------------------------------------------


def write_frame(stream: IO[bytes], header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write one frame and flush it.

    Args:
        stream: The stream.
        header: JSON values; the key ``arrays`` is reserved.
        arrays: Arrays of numbers or booleans by name, of any shape.

    Raises:
        Refused: An array has elements that are no numbers.
    """
    parts: list[memoryview] = []
    described: list[dict[str, Any]] = []
    for name, given in arrays.items():
        array, dtype = sendable(given)
        parts += [array, memoryview(bytes(-array.nbytes % ALIGNMENT))]
        described.append({"name": name, "dtype": dtype, "shape": list(given.shape)})
    text = json.dumps({**header, "arrays": described}).encode("utf-8")
    checksum = zlib.crc32(text)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    payload = sum(part.nbytes for part in parts)
    prefix = _PREFIX.pack(MAGIC, PROTOCOL, 0, len(text), payload, checksum)
    stream.write(prefix + _SEAL.pack(zlib.crc32(prefix)))
    stream.write(text)
    for part in parts:
        stream.write(part)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], Arrays]:
    """Read one frame.

    Returns:
        Its header, and its arrays by name; the arrays are writable and own their memory.

    Raises:
        Closed: The stream ended before a frame began.
        FrameError: The bytes are torn, no frame, or of another protocol version.
    """
    prefix = _read(stream, _PREFIX.size, start=True)
    magic, protocol, _, header_bytes, payload_bytes, checksum = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FrameError(f"foreign bytes where a frame should begin: {bytes(prefix)!r}")
    if protocol != PROTOCOL:
        raise FrameError(f"a frame of protocol version {protocol}, this side speaks version {PROTOCOL}")
    if _SEAL.unpack(_read(stream, _SEAL.size))[0] != zlib.crc32(prefix):
        raise FrameError("a frame whose beginning is damaged")
    if header_bytes > MAX_HEADER or payload_bytes > MAX_PAYLOAD:
        raise FrameError(f"a frame of {header_bytes} + {payload_bytes} bytes, more than any frame may have")
    text = _read(stream, header_bytes)
    payload = _read(stream, payload_bytes)
    if zlib.crc32(payload, zlib.crc32(text)) != checksum:
        raise FrameError("a frame whose checksum does not fit its contents")
    try:
        header = json.loads(bytes(text).decode("utf-8"))
        described = header.pop("arrays")
        return header, _arrays(described, payload)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FrameError(f"a frame whose header cannot be read: {error}") from error


def sendable(array: np.ndarray[Any, Any]) -> tuple[memoryview, str]:
    """Convert an array to the form of a frame.

    Returns:
        Its bytes, little-endian and in C order, and its element type as numpy spells it.

    Raises:
        Refused: Its elements are no numbers.
    """
    import numpy as np  # noqa: PLC0415 - the worker answers even where numpy is missing

    dtype = array.dtype.newbyteorder("<")
    if not _DTYPE.match(dtype.str):
        raise Refused(f"values of type {array.dtype} cannot be sent")
    flat = np.ascontiguousarray(array, dtype=dtype).reshape(-1)
    return flat.view(np.uint8).data, dtype.str


def _arrays(described: Sequence[Mapping[str, Any]], payload: bytearray) -> Arrays:
    """Read the arrays that a header describes, without copying them.

    Raises:
        ValueError: The description does not fit the payload.
    """
    arrays: dict[str, Any] = {}
    offset = 0
    if described:
        import numpy as np  # noqa: PLC0415 - the worker answers even where numpy is missing
    for entry in described:
        if not _DTYPE.match(entry["dtype"]):
            raise ValueError("unknown element type {!r}".format(entry["dtype"]))
        dtype = np.dtype(entry["dtype"])
        shape = tuple(int(extent) for extent in entry["shape"])
        count = 1
        for extent in shape:
            count *= extent
        if min(shape, default=0) < 0 or offset + count * dtype.itemsize > len(payload):
            raise ValueError("array {!r} is larger than the frame".format(entry["name"]))
        arrays[entry["name"]] = (
            np.frombuffer(payload, dtype, count, offset).reshape(shape) if count else np.empty(shape, dtype)
        )
        offset += count * dtype.itemsize + -(count * dtype.itemsize) % ALIGNMENT
    if offset != len(payload):
        raise ValueError(f"{len(payload) - offset} bytes belong to no array")
    return arrays


def _read(stream: IO[bytes], size: int, *, start: bool = False) -> bytearray:
    """Read exactly ``size`` bytes; a stream may return them in pieces.

    Raises:
        Closed: The stream ended before the first byte of a frame (``start``).
        TornFrameError: The stream ended early.
    """
    content = bytearray(min(size, CHUNK))
    done = 0
    while done < size:
        if done == len(content):  # grows with the bytes that have arrived: the stated length may be wrong
            content.extend(bytes(min(size - done, max(done, CHUNK))))
        with memoryview(content) as view:
            got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            if start and not done:
                raise Closed
            raise TornFrameError(f"a torn frame: {done} of {size} bytes")
        done += got
    return content


# ---- sessions --------------------------------------------------------------------------------------------------------


def create_session(model: bytes | str, settings: Mapping[str, Any]) -> Any:
    """Create an ONNX Runtime session.

    Args:
        model: The file's bytes, or its path if it has external data.
        settings: Fields of :class:`eyerace_parity.contract.variants.Session` as JSON.

    Raises:
        Refused: The runtime lacks a provider, falls back to another one, or refuses the model.
    """
    import onnxruntime  # noqa: PLC0415 - imported only where a session is created

    wanted = list(settings["providers"])
    offered = onnxruntime.get_available_providers()
    missing = [provider for provider in wanted if provider not in offered]
    if missing:
        raise Refused(
            "onnxruntime {} has no {}, only {}".format(onnxruntime.__version__, ", ".join(missing), ", ".join(offered))
        )
    try:
        session = onnxruntime.InferenceSession(model, _options(onnxruntime, settings), providers=wanted)
    except Exception as error:
        raise Refused(in_words(error)) from error
    # The runtime falls back to the CPU with only a warning. Numbers of another provider would then be judged.
    session.disable_fallback()
    used = session.get_providers()
    lost = [provider for provider in wanted if provider not in used]
    if lost:
        raise Refused(
            "onnxruntime offers {} but could not start it, and fell back to {}".format(", ".join(lost), ", ".join(used))
        )
    return session


def _options(onnxruntime: Any, settings: Mapping[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal only: errors arrive as exceptions as well
    options.intra_op_num_threads = settings["intra_op_threads"]
    options.inter_op_num_threads = settings["inter_op_threads"]
    modes = onnxruntime.ExecutionMode
    options.execution_mode = modes.ORT_PARALLEL if settings["inter_op_threads"] > 1 else modes.ORT_SEQUENTIAL
    level = {"disabled": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, "ORT_" + level[settings["optimisation"]]
    )
    spin = "1" if settings["spinning"] else "0"
    entries = {"session.intra_op.allow_spinning": spin, "session.inter_op.allow_spinning": spin}
    entries.update(settings["config"])
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options


def describe(nodes: Sequence[Any]) -> list[dict[str, Any]]:
    """Describe a session's inputs or outputs: name, element type as numpy spells it, shape (``?``: an unnamed axis)."""
    described = []
    for node in nodes:
        shape = [axis if isinstance(axis, (int, str)) and axis not in ("", -1) else "?" for axis in node.shape or ()]
        inner = re.match(r"^tensor\((\w+)\)$", node.type)
        dtype = _NUMPY_NAMES.get(inner.group(1), inner.group(1)) if inner else node.type
        described.append({"name": node.name, "dtype": dtype, "shape": shape})
    return described


def infer(session: Any, feeds: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """Run a session once.

    Args:
        session: The session.
        feeds: Inputs by name, batch axis included.

    Returns:
        All outputs by name, batch axis included.

    Raises:
        Refused: The runtime refused the inputs or failed, or an output is no tensor.
    """
    try:
        values = session.run(None, feeds)
    except Exception as error:
        raise Refused(in_words(error)) from error
    names = [node.name for node in session.get_outputs()]
    for name, value in zip(names, values):  # noqa: B905 - Python 3.8 has no strict zip
        if not hasattr(value, "dtype"):
            raise Refused(f"output {name!r} is a {type(value).__name__}, not a tensor")
    return dict(zip(names, values))  # noqa: B905


def in_words(error: BaseException) -> str:
    """Reduce an exception of the runtime to the sentence that is useful to the user.

    Source locations, paths and signatures are removed. The text has at most :data:`MAX_SENTENCE` characters.
    """
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : ", "", str(error).strip()) or type(error).__name__
    whole = " ".join(text.split())
    text = re.sub(r"\s*\S*\.(?:cc|h):\d+ .*?(?=(?: was false| External data | Error:|$))", "", whole)
    if text.endswith(":"):  # the sentence followed the source location and was removed with it: remove less
        text = re.sub(r"\S*\.(?:cc|h):\d+ (?:operator\(\) )?", "", whole)
    text = re.sub(r"Load model from \S+ failed:\s*", "", text)
    # ONNX Runtime up to 1.20 puts the function's whole signature before the message.
    text = re.sub(r"(?<=error: )(?:[\w:]+ )?onnxruntime::[\w:]+\(.*?\) (?=[A-Z])", "", text)
    # A long remark on backward compatibility precedes the useful number: the newest opset of this runtime.
    text = re.sub(r" The operator schemas and or .*? backward compatibility\.", "", text)
    return text if len(text) <= MAX_SENTENCE else text[: MAX_SENTENCE - 1] + "…"


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory(*, reset: bool = False) -> dict[str, Any]:
    """Return the resident memory of this process in bytes.

    Args:
        reset: Whether to reset the peak first, if the system can.

    Returns:
        ``current`` (``None`` if the system does not report it), ``peak``, and whether the peak was ``reset``.
    """
    if os.path.exists("/proc/self/status"):  # noqa: PTH110 - importing pathlib is slow under emulation
        return _memory_of_linux(reset=reset)
    if sys.platform == "win32":
        return _memory_of_windows()
    import resource  # noqa: PLC0415 - not on every system

    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS and in KiB elsewhere
    return {"current": None, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "reset": False}


def _memory_of_linux(*, reset: bool) -> dict[str, Any]:
    done = False
    if reset:
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write("5")  # resets VmHWM, see proc(5)
            done = True
        except OSError:
            pass  # a hardened kernel refuses: the peak then counts from the start of the process
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return {
        "current": int(lines["VmRSS"].split()[0]) * 1024,
        "peak": int(lines["VmHWM"].split()[0]) * 1024,
        "reset": done,
    }


def resident() -> dict[str, int]:
    """Return the exact resident memory of this process in bytes, if the system counts it page by page.

    Linux updates VmRSS in batches, one for each processor, so it lags behind; more processors mean a larger error.

    Returns:
        ``current``, or nothing if only :func:`memory` is available.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/smaps_rollup", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            sizes = [line.split() for line in file if line.startswith("Rss:")]
        return {"current": int(sizes[0][1]) * 1024}
    return {}


def _memory_of_windows() -> dict[str, Any]:
    import ctypes  # noqa: PLC0415 - Windows only

    names = ("peak", "current", "a", "b", "c", "d", "e", "f")
    counters = type(
        "Counters",
        (ctypes.Structure,),
        {
            "_fields_": [
                ("size", ctypes.c_ulong),
                ("faults", ctypes.c_ulong),
                *((name, ctypes.c_size_t) for name in names),
            ]
        },
    )()
    counters.size = ctypes.sizeof(counters)
    libraries: Any = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
    libraries.kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(libraries.kernel32.GetCurrentProcess())
    libraries.psapi.GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size)
    return {"current": int(counters.current), "peak": int(counters.peak), "reset": False}


# ---- instructions ----------------------------------------------------------------------------------------------------


class InstructionProbe:
    """Reads the instruction counter of the emulator that runs this process, if it has one.

    The magic system call carries a request; the plugin answers by writing to a pipe, because emulated code cannot read
    the plugin's memory.
    """

    def __init__(self) -> None:
        self._source, self._sink = os.pipe()
        self._unix = hasattr(os, "getpgid")
        if self._unix:
            os.set_blocking(self._source, False)
        self.there = self._ask(TELL) is not None

    def begin(self) -> None:
        """Start counting. Emulated code runs 2 to 4 times slower while it is counted.

        Raises:
            RuntimeError: The plugin does not start to count.
        """
        self._ask(BEGIN)
        for _ in range(1000):
            answer = self._ask(TELL)
            if answer and answer[0]:  # counting starts shortly after the call, with newly translated code
                return
        raise RuntimeError("the counting plugin does not begin to count")

    def tell(self, *, last: bool = False) -> tuple[int, int]:
        """Return the instructions so far, and how often other threads ran; stop counting if ``last``."""
        _, instructions, others, _ = self._ask(END if last else TELL) or (0, 0, 0, 0)
        return instructions, others

    def _ask(self, what: int) -> tuple[int, ...] | None:
        if not self._unix:
            return None
        with contextlib.suppress(OSError):  # there is no such process, as intended
            os.getpgid(MAGIC_CALL | what << 12 | self._sink)  # under user emulation the plugin shares the descriptors
        try:
            return COUNT.unpack(os.read(self._source, COUNT.size))
        except BlockingIOError:
            return None  # nothing was written: there is no plugin, or the request has no answer


# ---- operations ------------------------------------------------------------------------------------------------------


def serve(source: IO[bytes], sink: IO[bytes], operations: Mapping[str, Operation]) -> int:
    """Answer requests one after the other, until the host says ``bye`` or closes the stream.

    Args:
        source: Stream of requests.
        sink: Stream of answers.
        operations: Operations by name. Each takes a request's header and arrays, and returns those of its answer; it
            may return a refusal by setting ``ok`` itself.

    Returns:
        The exit code: 0; or 3 after bytes that are no frame, because the start of the next frame is then unknown.
    """
    while True:
        try:
            header, arrays = read_frame(source)
        except Closed:
            return 0
        except FrameError as error:
            write_frame(sink, {"ok": False, "kind": "request", "error": f"the worker read {error}"}, {})
            return 3
        write_frame(sink, *_answer(operations, header, arrays))
        if header.get("op") == "bye":
            return 0


def _answer(operations: Mapping[str, Operation], header: dict[str, Any], arrays: Arrays) -> Answer:
    try:
        name = header.get("op")
        if name == "bye":
            return {"ok": True}, {}
        operation = operations.get(name) if isinstance(name, str) else None
        if operation is None:
            raise BadRequest(f"there is no operation {name!r}")  # noqa: TRY301 - one way to answer
        body, results = operation(header, arrays)
        for value in results.values():
            sendable(value)  # checked before the first byte is written: the answer is a refusal, not a torn frame
    except Refused as error:
        return {"ok": False, "kind": "refused", "error": str(error)}, {}
    except ImportError as error:
        return {"ok": False, "kind": "setup", "error": f"numpy and onnxruntime cannot be imported: {error}"}, {}
    except Exception as error:  # noqa: BLE001 - every error is reported to the host
        return {"ok": False, "kind": "request", "error": f"{type(error).__name__}: {error}"}, {}
    return {"ok": True, **body}, results


class RuntimeOperations:
    """Operations of a runtime worker: load, run, time and drop models, and report its memory."""

    def __init__(self) -> None:
        self._sessions: dict[str, Any] = {}
        self._counter = InstructionProbe()
        self.operations: dict[str, Operation] = {
            "hello": self._hello,
            "load": self._load,
            "run": self._run,
            "time": self._time,
            "memory": lambda header, _: ({**memory(reset=bool(header.get("reset"))), **resident()}, {}),
            "drop": self._drop,
        }

    def _hello(self, _header: dict[str, Any], _arrays: dict[str, Any]) -> Answer:
        import numpy as np  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415

        return {
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": onnxruntime.__version__,
            "machine": platform.machine(),
            "system": platform.system(),
            "pid": os.getpid(),
            "counts": self._counter.there,
        }, {}

    def _load(self, header: dict[str, Any], arrays: dict[str, Any]) -> Answer:
        model = arrays.pop("model").tobytes() if "model" in arrays else str(header["path"])
        before = memory(reset=True)
        session, spent = self._spent(header, lambda: create_session(model, header["settings"]))
        self._sessions[str(header["session"])] = session
        # If the peak cannot be reset, only the peak so far is comparable with a later peak.
        baseline = before["current"] if before["reset"] else before["peak"]
        ports = {"inputs": describe(session.get_inputs()), "outputs": describe(session.get_outputs())}
        return {**spent, **ports, "baseline": baseline, "peak": memory()["peak"]}, {}

    def _run(self, header: dict[str, Any], arrays: dict[str, Any]) -> Answer:
        session = self._session(header["session"])
        outputs, spent = self._spent(header, lambda: infer(session, arrays))
        return {**spent, "peak": memory()["peak"]}, outputs

    def _spent(self, header: dict[str, Any], work: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
        """Do some work as often as the host requests, and measure it.

        Times are of all runs together. Instructions are counted for each run, and only on request, because counting
        slows the work down.
        """
        counting = bool(header.get("count"))
        if counting and not self._counter.there:
            raise BadRequest("nothing counts instructions here")
        marks: list[tuple[int, int]] = []
        if counting:
            self._counter.begin()
            marks.append(self._counter.tell())
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        try:
            for _ in range(int(header.get("runs", 1))):
                result = work()
                if counting:
                    marks.append(self._counter.tell())
        finally:
            spent = {"wall_ns": time.perf_counter_ns() - wall, "cpu_ns": time.process_time_ns() - cpu}
            if counting:
                self._counter.tell(last=True)
        counted = [after[0] - before[0] for before, after in zip(marks, marks[1:])]  # noqa: B905, RUF007 - Python 3.8
        return result, {**spent, "instructions": counted, "others": marks[-1][1] - marks[0][1] if marks else 0}

    def _time(self, header: dict[str, Any], arrays: dict[str, Any]) -> Answer:
        """Time several sessions, interleaved (A B A B), so that system noise affects all of them alike."""
        import numpy as np  # noqa: PLC0415

        names = [str(name) for name in header["sessions"]]
        sessions = [self._session(name) for name in names]
        feeds = [
            {key.partition("/")[2]: value for key, value in arrays.items() if key.partition("/")[0] == str(place)}
            for place in range(len(names))
        ]
        times = np.zeros((2, len(names), int(header["runs"])), dtype=np.int64)
        for turn in range(times.shape[2]):
            for place, session in enumerate(sessions):
                wall, cpu = time.perf_counter_ns(), time.process_time_ns()
                infer(session, feeds[place])
                times[1, place, turn] = time.process_time_ns() - cpu
                times[0, place, turn] = time.perf_counter_ns() - wall
        return {}, {"wall_ns": times[0], "cpu_ns": times[1]}

    def _drop(self, header: dict[str, Any], _arrays: dict[str, Any]) -> Answer:
        self._session(header["session"])
        del self._sessions[str(header["session"])]
        return {}, {}

    def _session(self, name: str) -> Any:
        if name not in self._sessions:
            raise BadRequest(f"no session {name!r} was loaded")
        return self._sessions[name]


def claim_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Take the standard streams for the protocol.

    From then on standard input is empty, and standard output goes to standard error: native code that prints cannot
    tear a frame.
    """
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - Windows only

        for number in (0, 1):
            msvcrt.setmode(number, os.O_BINARY)
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, sink


def main() -> NoReturn:
    """Take the standard streams and serve."""
    os.environ.update(QUIET)
    sys.exit(serve(*claim_streams(), RuntimeOperations().operations))


if __name__ == "__main__":
    main()
