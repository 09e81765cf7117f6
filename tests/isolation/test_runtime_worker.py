"""A guest: a plain command that works, and every way in which one may fail."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.contract.variants import Session
from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.runtime_worker import WORKER, RuntimeWorker, local_command
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parent.parent.parent / "parity"
ONES = {"pixel_values": np.ones((1, 3, 32, 32), np.float32)}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are told the POSIX way")


def impostor(code: str) -> tuple[str, ...]:
    """A command that greets like a worker, then runs ``code``; ``source`` and ``sink`` are its streams."""
    script = f"""
        import os, signal, subprocess, sys, time
        sys.path.insert(0, {str(SOURCE)!r})
        from eyerace_parity.isolation import worker
        source, sink = os.fdopen(0, "rb"), os.fdopen(1, "wb")
        worker.read_frame(source)
        worker.write_frame(sink, {{"ok": True, "protocol": worker.PROTOCOL}}, {{}})
    """
    return (sys.executable, "-c", dedent(script) + dedent(code))


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    """Bytes of a small model."""
    return write_linear(tmp_path / "m.onnx").read_bytes()


@pytest.fixture(scope="module")
def plain() -> Iterator[RuntimeWorker]:
    """A real worker on this Python, shared by the tests that do it no harm."""
    with RuntimeWorker(local_command()) as guest:
        yield guest


def test_a_plain_command_answers_like_this_process(plain: RuntimeWorker, model: bytes) -> None:
    """The same bytes give the same numbers in a guest as in this process, with times and memory beside them."""
    loaded = plain.load("m", model, Session())
    assert loaded.wall_ns > 0
    assert loaded.baseline is not None
    assert [port.name for port in loaded.outputs] == ["scores"]
    ran = plain.run("m", ONES)
    here = worker.infer(worker.create_session(model, Session().model_dump(mode="json")), ONES)
    np.testing.assert_array_equal(ran.outputs["scores"], here["scores"])
    assert ran.peak >= loaded.baseline
    plain.drop("m")
    with pytest.raises(MeasurementError, match="no session 'm'"):
        plain.run("m", ONES)


def test_sessions_take_turns(plain: RuntimeWorker, model: bytes) -> None:
    """Times come for every run of every session, and none is dropped."""
    for name in ("a", "b"):
        plain.load(name, model, Session())
    times = plain.time({"a": ONES, "b": ONES}, runs=7)
    assert times.wall_ns.shape == times.cpu_ns.shape == (2, 7)
    assert (times.wall_ns > 0).all()


def test_a_refusal_leaves_the_guest_alive(plain: RuntimeWorker, model: bytes) -> None:
    """A foreign file and wrong inputs are answers; the guest serves the next request."""
    with pytest.raises(ArtefactError, match=r"INVALID_PROTOBUF|No graph"):
        plain.load("bad", b"no model at all", Session())
    plain.load("good", model, Session())
    with pytest.raises(MeasurementError, match="pixel_values"):
        plain.run("good", {"pixel_values": np.ones((1, 5), np.float32)})
    assert plain.run("good", ONES).outputs["scores"].shape == (1, 3)


def test_a_model_from_bytes_cannot_find_its_external_data(plain: RuntimeWorker, tmp_path: Path, monkeypatch) -> None:
    """A guest stands in an empty folder, so data beside the file are not found by luck."""
    path = write_linear(tmp_path / "m.onnx", external="m.data")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtefactError, match="External data"):
        plain.load("external", path.read_bytes(), Session())
    plain.load("external", path, Session())  # by its path it is


def test_a_print_of_native_code_cannot_tear_frames(model: bytes) -> None:
    """What a library writes to standard output ends in the error stream."""
    code = f"""
        import os, runpy, onnxruntime
        run = onnxruntime.InferenceSession.run
        def loud(*given):
            os.write(1, b"noise of native code")
            print("noise of Python")
            return run(*given)
        onnxruntime.InferenceSession.run = loud
        runpy.run_path({str(WORKER)!r}, run_name="__main__")
    """
    with RuntimeWorker((sys.executable, "-c", dedent(code))) as guest:
        guest.load("m", model, Session())
        assert guest.run("m", ONES).outputs["scores"].shape == (1, 3)


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGKILL"])
def test_a_death_is_told_by_its_signal_and_step(name: str) -> None:
    """The signal stands in words, with the model, the step and the last words of the process."""
    code = f"""
        sys.stderr.write("my last words\\n"); sys.stderr.flush()
        worker.read_frame(source)
        os.kill(os.getpid(), signal.{name})
    """
    with RuntimeWorker(impostor(code), name="the guest") as guest, pytest.raises(WorkerDied) as died:
        guest.load("int8", b"x", Session())
    assert died.value.signal == getattr(signal, name)
    assert f"the guest died of {name} (" in died.value.reason
    assert 'while loading int8; its last words: "my last words"' in died.value.reason
    assert ("with more memory" if name == "SIGKILL" else "must not ship") in died.value.next_step


def test_a_signal_reported_by_a_shell_is_one() -> None:
    """Whatever stands in front of the worker may report its death as an exit code of 128 and the signal."""
    with (
        RuntimeWorker(impostor("worker.read_frame(source); os._exit(132)")) as guest,
        pytest.raises(WorkerDied) as died,
    ):
        guest.run("m", {})
    assert died.value.signal == signal.SIGILL


def test_a_death_inside_an_answer_is_a_death() -> None:
    """Half a frame and a signal: the signal is the news, not the torn frame."""
    code = """
        worker.read_frame(source)
        sink.write(worker.MAGIC); sink.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    """
    with RuntimeWorker(impostor(code)) as guest, pytest.raises(WorkerDied, match="SIGSEGV"):
        guest.run("m", {})


def test_later_requests_say_that_it_ended() -> None:
    """A guest that has ended answers nothing more, at once."""
    with RuntimeWorker(impostor("worker.read_frame(source); os._exit(3)")) as guest:
        with pytest.raises(WorkerDied, match="left with exit code 3 while running m"):
            guest.run("m", {})
        with pytest.raises(WorkerDied, match="has ended before running m"):
            guest.run("m", {})


@pytest.mark.parametrize(
    "front",
    [
        ("/usr/bin/env", "SOMETHING=else"),
        ("/bin/sh", "-c", 'exec "$@"', "sh"),
        ("/bin/sh", "-c", '"$@"; exit $?', "sh"),
    ],
    ids=["env", "a shell that steps aside", "a shell that waits"],
)
def test_any_command_may_stand_in_front(front: tuple[str, ...], model: bytes) -> None:
    """What starts the worker needs nothing but to hand its streams on, as ``ssh`` and an emulator do."""
    with RuntimeWorker((*front, *local_command())) as guest:
        guest.load("m", model, Session())
        assert guest.run("m", ONES).outputs["scores"].shape == (1, 3)


def test_another_virtual_environment_is_only_another_command(tmp_path: Path, model: bytes) -> None:
    """A worker runs in an environment that knows nothing of this project."""
    place = tmp_path / "venv"
    venv.create(place)
    (found,) = place.glob("lib/python3*/site-packages")
    libraries = Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs", "onnxruntime"):
        if (libraries / name).exists():
            (found / name).symlink_to(libraries / name)
    python = place / "bin" / "python"
    code = "import sys, importlib.util; print(sys.prefix, importlib.util.find_spec('eyerace_parity'))"
    said = subprocess.run((python, "-c", code), capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert said.split() == [str(place), "None"]
    with RuntimeWorker(local_command(python)) as guest:
        guest.load("m", model, Session())
        assert guest.run("m", ONES).outputs["scores"].shape == (1, 3)


def test_what_dies_or_hangs_behind_a_shell_is_told_and_ended(tmp_path: Path) -> None:
    """A shell that stays in front reports the signal as a number, and is ended with the worker that hangs."""
    shell = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
    dying = impostor("worker.read_frame(source); os.kill(os.getpid(), signal.SIGILL)")
    with (
        RuntimeWorker((*shell, *dying), processor="phone generation") as guest,
        pytest.raises(WorkerDied, match=r"SIGILL \(an instruction that this phone generation does not have\)"),
    ):
        guest.run("m", {})
    note = tmp_path / "hanging"
    hanging = impostor(f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    with (
        RuntimeWorker((*shell, *hanging), answer_seconds=1.0) as guest,
        pytest.raises(WorkerDied, match="no answer within 1 s"),
    ):
        guest.run("m", {})
    assert gone(int(note.read_text()))


def test_a_hang_is_ended_with_its_children(tmp_path: Path) -> None:
    """A guest that does not answer in time is killed, and so is what it started."""
    note = tmp_path / "child"
    code = f"""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(note)!r}, "w").write(str(child.pid))
        time.sleep(60)
    """
    with RuntimeWorker(impostor(code), answer_seconds=2.0) as guest:
        with pytest.raises(WorkerDied, match=r"gave no answer within 2 s while running m") as died:
            guest.run("m", {})
        assert died.value.signal is None
    assert gone(int(note.read_text()))


def test_an_interrupt_ends_the_guest() -> None:
    """Ctrl-C while waiting ends the guest and comes through."""
    guest = RuntimeWorker(impostor("time.sleep(60)"))
    guest.start()
    assert guest._process is not None
    number = guest._process.pid
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        guest.run("m", {})
    assert gone(number)


def test_full_pipes_stall_nobody() -> None:
    """Megabytes in all three streams at once: the error stream is drained, answers are read, requests written."""
    code = """
        sys.stderr.write("x" * (1 << 21)); sys.stderr.flush()
        header, arrays = worker.read_frame(source)
        worker.write_frame(sink, {"ok": True, "wall_ns": 1, "cpu_ns": 1, "peak": 1}, arrays)
        sys.stderr.write("y" * (1 << 21)); sys.stderr.flush()
        worker.read_frame(source)
    """
    big = np.arange(1 << 22, dtype=np.float64)
    with RuntimeWorker(impostor(code), answer_seconds=30) as guest:
        np.testing.assert_array_equal(guest.run("m", {"x": big}).outputs["x"], big)


def test_a_guest_that_never_reads_is_ended_in_time() -> None:
    """A request that does not fit into the pipe does not hang the host."""
    with (
        RuntimeWorker(impostor("time.sleep(60)"), answer_seconds=1.0) as guest,
        pytest.raises(WorkerDied, match="no answer"),
    ):
        guest.run("m", {"x": np.zeros(1 << 22)})


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ((sys.executable, "-c", "print('Welcome to this machine! It has rules.')"), "foreign bytes"),
        ((sys.executable, "-c", "print('hi')"), "torn frame"),
        (impostor("sink.write(b'no frame of ours at all, is it'); sink.flush(); time.sleep(9)"), "foreign bytes"),
        (impostor("worker.PROTOCOL = 99; worker.write_frame(sink, {'ok': True}, {}); time.sleep(9)"), "version 99"),
        (impostor("sink.write(worker.MAGIC + bytes(2)); sink.flush()"), "torn frame"),
    ],
)
def test_foreign_and_torn_frames_are_errors(command: tuple[str, ...], told: str) -> None:
    """Whatever does not speak the protocol is named as such, never read as an answer."""
    with pytest.raises(MeasurementError, match=told) as caught, RuntimeWorker(command) as guest:
        guest.run("m", {})
    assert not isinstance(caught.value, WorkerDied)
    assert "does not speak the worker's protocol" in caught.value.reason


def test_another_version_of_the_worker_is_refused() -> None:
    """A worker that greets with another protocol version is not spoken to."""
    code = f"import runpy, sys; sys.path.insert(0, {str(SOURCE)!r}); from eyerace_parity.isolation import worker; "
    code += "worker.PROTOCOL = 7; worker.main()"
    with pytest.raises(MeasurementError, match="version"):
        RuntimeWorker((sys.executable, "-c", code)).start()


def test_a_command_that_is_not_there_is_named() -> None:
    """A wrong command is the user's mistake, told without a traceback."""
    with pytest.raises(MeasurementError, match=r"no-such-command") as caught:
        RuntimeWorker(("/nowhere/no-such-command", str(WORKER))).start()
    assert caught.value.next_step


def test_a_python_without_the_runtime_is_named() -> None:
    """A worker that cannot import numpy says so, and what to install; its process does not stay behind."""
    guest = RuntimeWorker((sys.executable, "-S", "-E", str(WORKER)))
    with pytest.raises(MeasurementError, match="cannot be imported") as caught:
        guest.start()
    assert "install" in caught.value.next_step
    assert guest._process is None


def test_the_worker_may_be_run_through_a_link(tmp_path: Path) -> None:
    """Modules beside the real file, of which one is called ``onnxruntime``, are never taken for the runtime."""
    link = tmp_path / "linked.py"
    link.symlink_to(WORKER)
    with RuntimeWorker((sys.executable, str(link))) as guest:
        guest.load("m", write_linear(tmp_path / "m.onnx").read_bytes(), Session())


def test_a_guest_leaves_when_its_host_is_gone(plain: RuntimeWorker) -> None:
    """A worker whose standard input closes ends by itself: a killed host leaves none behind."""
    assert plain is not None
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as source:
        assert worker.serve(source, source, worker.RuntimeOperations().operations) == 0


def gone(process: int) -> bool:
    """Whether a process has ended (or is a zombie that nobody has collected) within a few seconds."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
