"""The conformance kit: the shipped worker passes, and a broken one fails at the row that says what is broken."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from eyerace_parity.cli import main
from eyerace_parity.core.errors import ContractError
from eyerace_parity.isolation import conformance
from eyerace_parity.isolation.conformance import check, model
from eyerace_parity.isolation.conformance_cases import CASES, ELEMENTS
from eyerace_parity.isolation.runtime_worker import local_command

if TYPE_CHECKING:
    from collections.abc import Collection

SOURCE = Path(__file__).parent.parent.parent / "parity"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and exit codes are told the POSIX way")


def broken(code: str) -> tuple[str, ...]:
    """The shipped worker, with something in it replaced."""
    script = f"""
        import os, sys, time
        sys.path.insert(0, {str(SOURCE)!r})
        from eyerace_parity.isolation import worker
        Right = worker.RuntimeOperations
    """
    return (sys.executable, "-c", f"{dedent(script)}{dedent(code)}\nworker.main()")


def overlooking(said: str) -> str:
    """A worker that takes one kind of bytes that are no frame for a request."""
    return f"""
        read_frame = worker.read_frame
        def lax(stream):
            try:
                return read_frame(stream)
            except worker.FrameError as error:
                if {said!r} not in str(error):
                    raise
                return {{"op": "memory"}}, {{}}
        worker.read_frame = lax
    """


def instead(operation: str, body: str) -> str:
    """A worker one of whose operations does something else; ``right`` is the sound one."""
    return (
        f"\nclass Wrong(Right):\n    def _{operation}(self, header, arrays):\n"
        f"        right = super()._{operation}\n        {body}\nworker.RuntimeOperations = Wrong\n"
    )


def failing(command: tuple[str, ...], areas: Collection[str], seconds: float = 30.0) -> dict[str, str]:
    """What the worker did instead, by the names of the cases that it failed."""
    results = check(command, [case for case in CASES if case.area in areas], seconds)
    return {result.case.name: result.failure for result in results if result.failure}


def test_the_shipped_worker_conforms(capsys: pytest.CaptureFixture[str]) -> None:
    """Every row of the table, and exit code 0."""
    assert main(["worker", "check", *local_command()]) == 0
    said = capsys.readouterr().out
    assert f"{len(CASES)} of {len(CASES)} conform" in said
    for case in CASES:
        assert case.name in said


@pytest.mark.parametrize(
    ("code", "areas", "rows"),
    [
        (
            instead("hello", "return {**right(header, arrays)[0], 'protocol': '2'}, {}"),
            ("hello",),
            {"greets with the protocol version and its runtime": "`protocol` must be 2, not '2'"},
        ),
        (
            instead("load", "return {**right(header, arrays)[0], 'inputs': []}, {}"),
            ("hello", "load"),
            {
                "from bytes, and describes inputs, outputs, times and memory": "`inputs` must be [{",
                "from a path": "`inputs` must be [{",
            },
        ),
        (
            instead("load", "assert 'path' not in header; return right(header, arrays)"),
            ("hello", "load"),
            {"from a path": "load was refused"},
        ),
        (
            instead("run", "body, found = right(header, arrays); return body, {'y': abs(found['y'])}"),
            ("run",),
            {
                "gives the outputs, times and memory": "y has other values",
                "several times in one request": "y has other values",
                "two sessions side by side": "y has other values",
            },
        ),
        (
            instead("run", "assert sum(v.nbytes for v in arrays.values()) < 1 << 20; return right(header, arrays)"),
            ("run",),
            {"a tensor of 64 MiB": "run was refused"},
        ),
        (
            instead("run", "return right(header, {k: v.reshape(v.shape or 1) for k, v in arrays.items()})"),
            ("run",),
            {"scalars and empty arrays": "shape []: y must be"},
        ),
        (
            instead("time", "return {}, {k: v.astype('f8') for k, v in right(header, arrays)[1].items()}"),
            ("time", "memory", "drop"),
            {"two sessions in turn": "`wall_ns` must be int64 [2, 5]"},
        ),
        (
            instead("drop", "self._sessions.clear(); return {}, {}"),
            ("run", "drop"),
            {"frees one session and leaves the other": "run was refused"},
        ),
        (
            instead("drop", "return {}, {}"),
            ("drop",),
            {"frees one session and leaves the other": "run must be refused"},
        ),
        (
            instead(
                "run",
                "os.kill(os.getpid(), 11) if header.get('session') == 'other' else None; return right(header, arrays)",
            ),
            ("refusals",),
            {"unknown session": "it died of SIGSEGV"},
        ),
        (
            instead("run", "return right(header, {k: v.astype('f4') for k, v in arrays.items()})"),
            ("refusals",),
            {"wrong type of an input": "run must be refused"},
        ),
    ],
)
def test_a_broken_operation_fails_at_its_row(code: str, areas: tuple[str, ...], rows: dict[str, str]) -> None:
    """And nowhere else among those that are tried with it."""
    found = failing(broken(code), areas)
    assert found.keys() == rows.keys()
    for name, said in rows.items():
        assert said in found[name]


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ("foreign bytes", "wrong magic"),
        ("protocol version", "another protocol version"),
        ("beginning is damaged", "wrong checksum of the beginning"),
        ("checksum does not fit", "wrong checksum of the contents"),
        ("more than any frame", "states more bytes than a frame may have"),
        ("larger than the frame", "an array beyond the frame's end"),
        ("unknown element type", "an unknown element type"),
        ("belong to no array", "bytes that belong to no array"),
    ],
)
def test_a_fault_that_is_overlooked_fails_at_its_row(said: str, row: str) -> None:
    """Each alone."""
    cases = [case for case in CASES if case.area == "no frame"]
    (mine,) = (case for case in cases if case.name == row)
    (result,) = check(broken(overlooking(said)), [mine])
    assert "must be refused" in result.failure
    other = cases[(cases.index(mine) + 1) % len(cases)]
    assert not check(broken(overlooking(said)), [other])[0].failure


def test_one_that_does_not_leave_or_leaves_otherwise_fails_at_the_end() -> None:
    """By a hang, and by another exit code."""
    stays = "serve = worker.serve\nworker.serve = lambda *given: [serve(*given), time.sleep(60)]\n"
    assert set(failing(broken(stays), ("bye", "the end"), 3.0).values()) == {"it did not leave within 3 s"}
    fails = "serve = worker.serve\nworker.serve = lambda *given: serve(*given) + 7\n"
    assert failing(broken(fails), ("bye", "the end")) == dict.fromkeys(
        (case.name for case in CASES if case.area in {"bye", "the end"}),
        "it left with exit code 7 instead of 0",
    )


def test_one_that_hangs_is_ended() -> None:
    """After the time that it is given; the next case has another process."""
    hangs = instead("drop", "time.sleep(60)")
    assert failing(broken(hangs), ("hello", "drop", "bye"), 10.0) == {
        "frees one session and leaves the other": "no answer within 10 s"
    }


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.write(1, b'Welcome to this machine! It has rules.' * 9)", "foreign bytes"),
        ("import sys; sys.exit('I am no worker')", 'left with exit code 1; its last words: "I am no worker"'),
    ],
)
def test_a_stranger_fails_at_once(code: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What never answers is not tried forty times; exit code 1."""
    assert main(["worker", "check", "--seconds", "20", sys.executable, "-c", code]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert said in " ".join(lines)
    assert f"0 of {len(CASES)} conform" in lines[-1]


@pytest.mark.parametrize("given", [[], ["--"], ["/nowhere/no-such-command"]])
def test_a_bad_command_is_wrong_usage(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, and what to do."""
    assert main(["worker", "check", *given]) == 4
    assert "next: " in capsys.readouterr().err


@pytest.mark.parametrize("given", [["worker"], ["worker", "try"], ["worker", "check", "--seconds", "0", "cat"]])
def test_bad_options_are_wrong_usage(given: list[str]) -> None:
    """As in every command."""
    with pytest.raises(SystemExit) as left:
        main(given)
    assert left.value.code == 4


def test_the_models_are_sound() -> None:
    """As ONNX itself sees them; else a worker would be blamed for them."""
    for name, element in ELEMENTS.items():
        assert onnx.helper.tensor_dtype_to_np_dtype(element) == np.dtype(name)
        onnx.checker.check_model(onnx.load_model_from_string(model(element=element)), full_check=True)
    for extents in ((), (1,), ("n", 3), (200, "m", 1 << 20)):
        whole = onnx.load_model_from_string(model("Neg", extents=extents))
        onnx.checker.check_model(whole, full_check=True)
        shape = whole.graph.input[0].type.tensor_type.shape
        assert tuple(axis.dim_param or axis.dim_value for axis in shape.dim) == extents


def test_a_command_that_cannot_be_started_is_named() -> None:
    """By what the system says of it."""
    with pytest.raises(ContractError, match="the worker cannot be started: no-such-command: No such file"):
        check(("no-such-command",), CASES)
    assert conformance.SECONDS > 0
