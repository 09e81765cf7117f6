"""Cases for every operation and every fault of the worker protocol, which ``docs/protocol.md`` describes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.isolation import worker
from eyerace_parity.isolation.conformance import (
    LARGE,
    SETTINGS,
    ConformanceCase,
    NotConforming,
    WorkerUnderTest,
    count_of,
    damaged_frame,
    frame,
    model,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    CarryOut = Callable[[WorkerUnderTest], None]

    from eyerace_parity.evidence.base import Array

ELEMENTS: Final = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
"""Element types that a frame can carry, with their numbers of ``TensorProto.DataType``."""

ONES: Final = {"x": np.ones(3, np.float32)}

_RUNS: Final = 5


CASES: Final[list[ConformanceCase]] = []
"""All cases, in the order of the table that the command prints."""


def case(area: str, name: str) -> Callable[[CarryOut], CarryOut]:
    """Add the decorated function as a case; see :class:`ConformanceCase`."""

    def add(carry_out: CarryOut) -> CarryOut:
        CASES.append(ConformanceCase(area, name, carry_out))
        return carry_out

    return add


def _same(found: dict[str, Array], wanted: Array) -> None:
    if list(found) != ["y"]:
        raise NotConforming(f"the outputs must be ['y'], not {list(found)}")
    value = found["y"]
    if (value.dtype, value.shape) != (wanted.dtype, wanted.shape):
        raise NotConforming(f"y must be {wanted.dtype} {list(wanted.shape)}, not {value.dtype} {list(value.shape)}")
    if value.tobytes() != wanted.tobytes():
        raise NotConforming("y has other values than the model gives")


def _loaded(body: dict[str, Any]) -> None:
    count_of(body, "wall_ns", "cpu_ns", "peak")
    if body.get("baseline", 0) is not None:
        count_of(body, "baseline")
    for side, name in (("inputs", "x"), ("outputs", "y")):
        wanted = [{"name": name, "dtype": "float32", "shape": ["n", 3]}]
        if body.get(side) != wanted:
            raise NotConforming(f"`{side}` must be {wanted}, not {body.get(side)!r}")


def _refused(name: str, kind: str, operation: str, arrays: Mapping[str, Array], **header: Any) -> None:
    """Add the case of a request that must be refused while a session is loaded."""

    @case("refusals", name)
    def carry_out(tested: WorkerUnderTest) -> None:
        tested.load(extents=("n", 3))
        tested.refused(kind, operation, arrays, **header)
        value = np.ones((2, 3), np.float32)
        _same(tested.ask("run", {"x": value}, session="m")[1], value)


def _no_frame(name: str, content: bytes) -> None:
    """Add the case of bytes that are no frame: the worker may refuse once, then it must end with exit code 3."""

    @case("no frame", name)
    def carry_out(tested: WorkerUnderTest) -> None:
        tested.ask("hello")
        tested.send(content)
        tested.refusal("request", "this")
        tested.leaves(3)


@case("hello", "greets with the protocol version and its runtime")
def _hello(tested: WorkerUnderTest) -> None:
    body, _ = tested.ask("hello")
    if body.get("protocol") != worker.PROTOCOL:
        raise NotConforming(f"`protocol` must be {worker.PROTOCOL}, not {body.get('protocol')!r}")
    for name in ("onnxruntime", "machine", "system"):
        if not (isinstance(body.get(name), str) and body[name]):
            raise NotConforming(f"`{name}` must be a text, not {body.get(name)!r}")
    if not isinstance(body.get("counts", False), bool):
        raise NotConforming(f"`counts` must be true or false, not {body['counts']!r}")


@case("load", "from bytes, and describes inputs, outputs, times and memory")
def _load(tested: WorkerUnderTest) -> None:
    _loaded(tested.load(extents=("n", 3)))


@case("load", "from a path")
def _load_path(tested: WorkerUnderTest) -> None:
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model(extents=("n", 3)))
        _loaded(tested.ask("load", session="m", settings=SETTINGS, path=str(path))[0])
        _same(tested.ask("run", {"x": np.ones((2, 3), np.float32)}, session="m")[1], np.ones((2, 3), np.float32))


@case("load", "under a name in use: the new session takes its place")
def _load_again(tested: WorkerUnderTest) -> None:
    tested.load(operator="Abs")
    tested.load(operator="Neg")
    _same(tested.ask("run", ONES, session="m")[1], -ONES["x"])


@case("run", "gives the outputs, times and memory")
def _run(tested: WorkerUnderTest) -> None:
    tested.load(operator="Neg")
    body, outputs = tested.ask("run", ONES, session="m")
    count_of(body, "wall_ns", "cpu_ns", "peak")
    _same(outputs, -ONES["x"])


@case("run", "several times in one request")
def _run_often(tested: WorkerUnderTest) -> None:
    tested.load(operator="Neg")
    _same(tested.ask("run", ONES, session="m", runs=_RUNS, count=False)[1], -ONES["x"])


@case("run", "every element type, bit for bit")
def _types(tested: WorkerUnderTest) -> None:
    for name, element in ELEMENTS.items():
        value = np.arange(5).astype(name)
        tested.load(name, element=element)
        try:
            _same(tested.ask("run", {"x": value}, session=name)[1], value)
        except NotConforming as error:
            raise NotConforming(f"{name}: {error}") from error


@case("run", "scalars and empty arrays")
def _shapes(tested: WorkerUnderTest) -> None:
    for extents in ((), (0,), (2, 0, 3), (1, 1, 1, 1, 1)):
        tested.load("m", extents=tuple("abcde"[: len(extents)]))
        value = np.full(extents, 2, np.float32)
        try:
            _same(tested.ask("run", {"x": value}, session="m")[1], value)
        except NotConforming as error:
            raise NotConforming(f"shape {list(extents)}: {error}") from error


@case("run", "a tensor of 64 MiB")
def _large(tested: WorkerUnderTest) -> None:
    tested.load()
    value = np.arange(LARGE, dtype=np.float32)
    _same(tested.ask("run", {"x": value}, session="m")[1], value)


@case("run", "two sessions side by side")
def _two_sessions(tested: WorkerUnderTest) -> None:
    tested.load("a", operator="Neg")
    tested.load("b", operator="Abs")
    for name, wanted in (("a", -ONES["x"]), ("b", ONES["x"]), ("a", -ONES["x"])):
        _same(tested.ask("run", ONES, session=name)[1], wanted)


@case("run", "counts instructions, or refuses to")
def _counts(tested: WorkerUnderTest) -> None:
    counts = tested.ask("hello")[0].get("counts", False)
    tested.load()
    if not counts:
        tested.refused("request", "run", ONES, session="m", count=True)
        return
    body, _ = tested.ask("run", ONES, session="m", count=True, runs=_RUNS)
    counted = body.get("instructions")
    if not isinstance(counted, list) or len(counted) != _RUNS:
        raise NotConforming(f"`instructions` must be a list of {_RUNS} counts, not {counted!r}")
    for place in range(_RUNS):
        count_of({"instructions": counted[place]}, "instructions")
    count_of(body, "others")


@case("time", "two sessions in turn")
def _time(tested: WorkerUnderTest) -> None:
    tested.load("a", operator="Neg")
    tested.load("b", operator="Abs")
    feeds = {"0/x": ONES["x"], "1/x": np.ones(7, np.float32)}
    _, times = tested.ask("time", feeds, sessions=["a", "b"], runs=_RUNS)
    for name in ("wall_ns", "cpu_ns"):
        taken = times.get(name)
        if taken is None or taken.shape != (2, _RUNS) or taken.dtype != np.int64:
            raise NotConforming(f"`{name}` must be int64 [2, {_RUNS}]")
    if not (times["wall_ns"] > 0).all() or not (times["cpu_ns"] >= 0).all():
        raise NotConforming("a run takes some wall time, and no negative CPU time")


@case("memory", "tells resident memory and its peak")
def _memory(tested: WorkerUnderTest) -> None:
    for reset in (False, True):
        body, _ = tested.ask("memory", reset=reset)
        count_of(body, "peak")
        if body.get("current", 0) is not None:
            count_of(body, "current")
        if not isinstance(body.get("reset"), bool):
            raise NotConforming(f"`reset` must say whether the peak was forgotten, not {body.get('reset')!r}")


@case("drop", "frees one session and leaves the other")
def _drop(tested: WorkerUnderTest) -> None:
    tested.load("a", operator="Neg")
    tested.load("b", operator="Abs")
    tested.ask("drop", session="a")
    tested.refused("request", "run", ONES, session="a")
    _same(tested.ask("run", ONES, session="b")[1], ONES["x"])


@case("bye", "answers, and leaves with exit code 0")
def _bye(tested: WorkerUnderTest) -> None:
    tested.ask("bye")
    tested.leaves(0)


_ROWS = {"x": np.ones((2, 3), np.float32)}
_BEYOND = b'{"op":"memory","arrays":[{"name":"x","dtype":"<f4","shape":[9]}]}'
_OBJECT = b'{"op":"memory","arrays":[{"name":"x","dtype":"|O","shape":[1]}]}'

_refused("unknown operation", "request", "no-such-operation", {})
_refused("no operation", "request", "", {})
_refused("unknown session", "request", "run", _ROWS, session="other")
_refused("unknown session, freed", "request", "drop", {}, session="other")
_refused("no session named", "request", "run", _ROWS)


@case("refusals", "bytes that are no model")
def _bad_model(tested: WorkerUnderTest) -> None:
    for content in (b"", b"no model at all", model()[:40]):
        given = {"model": np.frombuffer(content, np.uint8)}
        tested.refused("refused", "load", given, session="m", settings=SETTINGS)


@case("refusals", "a provider that is not there")
def _bad_provider(tested: WorkerUnderTest) -> None:
    given = {"model": np.frombuffer(model(), np.uint8)}
    settings = {**SETTINGS, "providers": ["NoSuchProvider"]}
    tested.refused("refused", "load", given, session="m", settings=settings)


_refused("wrong name of an input", "refused", "run", {"z": _ROWS["x"]}, session="m")
_refused("an input too few", "refused", "run", {}, session="m")
_refused("wrong type of an input", "refused", "run", {"x": np.ones((2, 3))}, session="m")
_refused("wrong shape of an input", "refused", "run", {"x": np.ones((2, 4), np.float32)}, session="m")
_no_frame("wrong magic", damaged_frame(magic=b"HTTP"))
_no_frame("another protocol version", damaged_frame(protocol=99))
_no_frame("wrong checksum of the beginning", damaged_frame(seal=1))
_no_frame("wrong checksum of the contents", damaged_frame(checksum=1))
_no_frame("states more bytes than a frame may have", damaged_frame(stated=1 << 62))
_no_frame("a header that is no JSON", damaged_frame(text=b"{op: memory}"))
_no_frame("an array beyond the frame's end", damaged_frame(text=_BEYOND))
_no_frame("an unknown element type", damaged_frame(text=_OBJECT, payload=bytes(16)))
_no_frame("bytes that belong to no array", damaged_frame(payload=bytes(16)))


@case("no frame", "half a frame, then the end")
def _torn(tested: WorkerUnderTest) -> None:
    tested.ask("hello")
    tested.send(frame({"op": "memory"}, {})[:30])
    tested.hang_up()
    tested.refusal("request", "half a frame")
    tested.leaves(3)


@case("the end", "input closed between two frames")
def _closed(tested: WorkerUnderTest) -> None:
    tested.ask("hello")
    tested.hang_up()
    tested.leaves(0)


@case("the end", "input closed before the first frame")
def _closed_at_once(tested: WorkerUnderTest) -> None:
    tested.hang_up()
    tested.leaves(0)
