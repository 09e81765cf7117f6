"""``docs/protocol.md`` says what the worker does, to the byte."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.isolation import worker
from eyerace_parity.isolation.conformance import SETTINGS, model
from eyerace_parity.isolation.connection import ANSWER_SECONDS, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "protocol.md"

FEEDS = {"x": np.array([1, -2, 0.5], np.float32)}


def frame(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """One frame as bytes."""
    stream = io.BytesIO()
    worker.write_frame(stream, header, arrays)
    return stream.getvalue()


def annotated(content: bytes) -> str:
    """A frame in hexadecimal, with what each part is."""
    _, _, _, header, _, _ = worker._PREFIX.unpack(content[: worker._PREFIX.size])
    start = worker._PREFIX.size + worker._SEAL.size
    described = json.loads(content[start : start + header])["arrays"]
    parts = [
        (4, f"magic: {content[:4].decode()}"),
        (2, f"protocol version: {worker.PROTOCOL}"),
        (2, "reserved"),
        (4, f"bytes of the header: {header}"),
        (8, f"bytes of the arrays: {len(content) - start - header}"),
        (4, "CRC-32 of header and arrays"),
        (4, "CRC-32 of the 24 bytes before"),
        (header, "the header"),
    ]
    for array in described:
        size = int(np.prod(array["shape"], dtype=int)) * np.dtype(array["dtype"]).itemsize
        parts += [(size, f"array {array['name']}: {array['dtype']} {array['shape']}"), (-size % 16, "filled up")]
    return "\n".join(_lines(content, parts))


def _lines(content: bytes, parts: list[tuple[int, str]]) -> Iterator[str]:
    place = 0
    for size, what in parts:
        for begin in range(place, place + size, 16):
            piece = content[begin : min(begin + 16, place + size)]
            note = what if begin == place else ""
            text = f"  {piece.decode()!r}" if what == "the header" else ""
            yield f"{begin:4d}  {piece.hex(' '):<47}  {note}{text}".rstrip()
        place += size
    assert place == len(content)


def example(name: str) -> str:
    """A code block of the document, by the comment before it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.search(rf"<!-- example: {name} -->\n\n```text\n(.*?)\n```", text, re.DOTALL)
    assert found, f"no example {name}"
    return found.group(1)


REQUEST = frame({"op": "run", "session": "m"}, FEEDS)
ANSWER = frame({"ok": True, "wall_ns": 21000, "cpu_ns": 20000, "peak": 61865984}, {"y": FEEDS["x"]})


@pytest.mark.parametrize(("name", "content"), [("request", REQUEST), ("answer", ANSWER)])
def test_the_example_is_what_goes_over_the_pipe(name: str, content: bytes) -> None:
    """To the byte."""
    assert example(name) == annotated(content)


def test_the_example_can_be_read_back() -> None:
    """Somebody who types the document's bytes in has a frame, and the shipped worker answers with the other."""
    lines = {name: example(name).splitlines() for name in ("request", "answer")}
    bytes_of = {name: bytes.fromhex("".join(line[6:53] for line in lines[name])) for name in lines}
    served = worker.RuntimeOperations().operations
    given = {"model": np.frombuffer(model(), np.uint8)}
    requests = frame({"op": "load", "session": "m", "settings": SETTINGS}, given) + bytes_of["request"]
    sink = io.BytesIO()
    assert worker.serve(io.BytesIO(requests), sink, served) == 0
    sink.seek(0)
    worker.read_frame(sink)
    body, outputs = worker.read_frame(sink)
    wanted, values = worker.read_frame(io.BytesIO(bytes_of["answer"]))
    assert wanted.keys() <= body.keys()
    assert outputs["y"].tobytes() == values["y"].tobytes()
    assert body.keys() - wanted.keys() == {"instructions", "others"}


def test_every_operation_and_field_is_described() -> None:
    """Operations by a heading; fields that the worker reads or writes, and kinds of refusal, in the text."""
    text = DOCUMENT.read_text(encoding="utf-8")
    operations = {*worker.RuntimeOperations().operations, "bye"}
    assert operations == set(re.findall(r"^### `(\w+)`$", text, re.MULTILINE))
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"))
    read = {
        str(node.slice.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"header", "settings"}
        and isinstance(node.slice, ast.Constant)
    } | {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "header"
        and isinstance(node.args[0], ast.Constant)
    }
    assert {"op", "session", "path", "settings", "providers", "runs", "count", "reset"} <= read
    answers = _answers()
    for name in {*read, *answers, "refused", "request", "setup"}:
        assert f"`{name}`" in text, name


def _answers() -> set[str]:
    """Fields and arrays of the shipped worker's answers."""
    served = worker.RuntimeOperations().operations
    given = {"model": np.frombuffer(model(), np.uint8)}
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"op": "hello"}, {}),
        ({"op": "load", "session": "m", "settings": SETTINGS}, given),
        ({"op": "run", "session": "m"}, FEEDS),
        ({"op": "time", "sessions": ["m"], "runs": 1}, {"0/x": FEEDS["x"]}),
        ({"op": "memory"}, {}),
    ]
    sink = io.BytesIO()
    worker.serve(io.BytesIO(b"".join(frame(*one) for one in asked)), sink, served)
    sink.seek(0)
    names: set[str] = set()
    for header, _ in asked:
        body, arrays = worker.read_frame(sink)
        assert body["ok"], body
        names |= body.keys() | (arrays.keys() if header["op"] == "time" else set())
    return names


def test_every_number_is_the_programs_own() -> None:
    """Limits, sizes, versions and waits."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"magic: `{worker.MAGIC.decode()}`" in text
    assert f"protocol version: {worker.PROTOCOL} |" in text
    assert f"| {worker.PROTOCOL} | 0." in text
    assert f"at most {worker.MAX_HEADER} " in text
    assert f"at most {worker.MAX_PAYLOAD} " in text
    assert f"multiple of {worker.ALIGNMENT};" in text
    assert f"a prefix of {worker._PREFIX.size + worker._SEAL.size} bytes" in text
    assert f"{START_SECONDS:g} s for the first answer and {ANSWER_SECONDS:g} s" in text
    kinds = {dtype.replace("\\", "") for dtype in re.findall(r"`(\\\|[biu]1|<[iuf][248])`", text)}
    assert kinds == {
        np.dtype(name).newbyteorder("<").str
        for name in ("b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8")
    }


if __name__ == "__main__":  # python -m tests.isolation.test_protocol writes the examples anew
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, content in (("request", REQUEST), ("answer", ANSWER)):
        block = f"<!-- example: {name} -->\n\n```text\n{annotated(content)}\n```\n"
        pattern = rf"<!-- example: {name} -->\n(?:\n```text\n.*?\n```\n)?"
        text = re.sub(pattern, lambda _, block=block: block, text, flags=re.DOTALL)  # type: ignore[misc]
    DOCUMENT.write_text(text, encoding="utf-8")
    sys.exit(0)
