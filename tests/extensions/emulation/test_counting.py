"""A guest that counts: real workers in a real emulator, which is fast while it does not count."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.contract.variants import Session
from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from tests.extensions.emulation.emulators import counting, x86_command
from tests.isolation.test_runtime_worker import SOURCE
from tests.onnx_files import write_convolutions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONES = {"pixel_values": np.ones((1, 3, 32, 32), np.float32)}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="qemu emulates user programs on Linux only")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """This Python in an emulator with the plugin."""
    return x86_command(*counting("x86_64", tmp_path_factory.getbasetemp() / "counters").arguments)


@pytest.fixture(scope="module")
def guest(command: tuple[str, ...]) -> Iterator[RuntimeWorker]:
    """A guest that counts, shared by the tests that do it no harm."""
    with RuntimeWorker(command, name="the emulated worker") as opened:
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twelve convolutions."""
    return write_convolutions(tmp_path_factory.mktemp("models") / "m.onnx").read_bytes()


def steady(guest: RuntimeWorker, path: Path) -> int:
    """Instructions of a steady inference of a file."""
    guest.load("other", path.read_bytes(), Session())
    guest.run("other", ONES)
    found = guest.count("other", ONES, 2)
    guest.drop("other")
    return max(found)


def spread(counts: list[int]) -> float:
    """How far repeats are apart, as a share of the least."""
    return (max(counts) - min(counts)) / min(counts)


def test_repeats_agree_within_a_guest_and_between_two(
    guest: RuntimeWorker, command: tuple[str, ...], model: bytes
) -> None:
    """Loading, first run and later runs repeat within half a percent, in this process and in a fresh one."""
    load: list[int] = []
    first: list[int] = []
    later: list[int] = []
    with RuntimeWorker(command) as other:
        for counted in (guest, other):
            counted.load("m", model, Session())
            counted.run("m", ONES)  # the first session of a process sets up what later ones find
            for _ in range(2):
                load.append(counted.load("m", model, Session(), count=True).instructions or 0)
                first.append(counted.run("m", ONES, count=True).instructions or 0)
                later += counted.count("m", ONES, 3)
    assert min(*load, *first, *later) > 100_000
    assert [spread(counts) < 0.005 for counts in (load, first, later)] == [True] * 3, (load, first, later)


def test_counting_changes_no_answer(guest: RuntimeWorker, model: bytes) -> None:
    """What is counted is what is run: before, while and after counting the same numbers come out."""
    guest.load("m", model, Session())
    answers = [guest.run("m", ONES, count=count) for count in (False, True, False)]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.outputs["scores"], answers[0].outputs["scores"])
    assert [answer.instructions is None for answer in answers] == [True, False, True]


def test_one_layer_more_is_seen_and_another_export_is_not(guest: RuntimeWorker, tmp_path: Path) -> None:
    """A thirteenth layer costs more than 5 %; the same network under other names costs the same."""
    base = steady(guest, write_convolutions(tmp_path / "a.onnx"))
    more = steady(guest, write_convolutions(tmp_path / "b.onnx", layers=13))
    again = steady(guest, write_convolutions(tmp_path / "c.onnx", names="exported_anew"))
    assert more / base > 1.05
    assert again / base == pytest.approx(1, abs=0.005)


def test_other_threads_make_a_count_worthless(guest: RuntimeWorker, tmp_path: Path) -> None:
    """Two threads add to the same number: that is refused, and says so, and the guest lives on."""
    big = write_convolutions(tmp_path / "big.onnx", channels=32).read_bytes()
    guest.load("two", big, Session(intra_op_threads=2))
    with pytest.raises(
        MeasurementError, match="the emulated worker was not alone with one thread while running two"
    ) as e:
        guest.run("two", ONES, count=True)
    assert "one thread" in e.value.next_step
    guest.drop("two")
    assert steady(guest, write_convolutions(tmp_path / "m.onnx")) > 0


def test_a_refusal_while_counting_ends_the_counting(guest: RuntimeWorker, model: bytes) -> None:
    """A model that does not load, and inputs that do not fit, are refused as ever, and the next count is right."""
    with pytest.raises(ArtefactError):
        guest.load("bad", b"no model", Session(), count=True)
    guest.load("m", model, Session())
    guest.run("m", ONES)
    before = guest.count("m", ONES, 2)
    with pytest.raises(MeasurementError):
        guest.run("m", {"pixel_values": np.ones((1, 5), np.float32)}, count=True)
    assert spread([*before, *guest.count("m", ONES, 2)]) < 0.005


def test_where_nothing_counts_that_is_said(model: bytes) -> None:
    """A plain worker knows that nobody counts it, and counts nothing rather than zero."""
    with RuntimeWorker(local_command()) as plain:
        assert not plain.counts
        plain.load("m", model, Session())
        with pytest.raises(MeasurementError, match="nothing counts instructions here"):
            plain.count("m", ONES, 2)
        assert plain.run("m", ONES).instructions is None


@pytest.mark.parametrize("plugin", ["", "with the plugin"])
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("page.write(b'\\x0f\\x0b')", r"SIGILL \(an instruction that this phone generation does not have\)"),
        ("page.write(b'\\x31\\xc0\\x8b\\x00')", r"SIGSEGV \(native code touched memory that is not its own\)"),
    ],
)
def test_an_emulated_death_is_told_by_its_signal(plugin: str, code: str, told: str, tmp_path_factory) -> None:
    """An instruction that the processor lacks, and a wild pointer: the emulator dies of the same signal."""
    script = f"""
        import ctypes, mmap, sys
        sys.path.insert(0, {str(SOURCE)!r})
        from eyerace_parity.isolation import worker
        source, sink = open(0, "rb", closefd=False), open(1, "wb", closefd=False)
        worker.read_frame(source)
        worker.write_frame(sink, {{"ok": True, "protocol": worker.PROTOCOL}}, {{}})
        worker.read_frame(source)
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        {code}
        sys.stderr.write("my last words\\n"); sys.stderr.flush()
        ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    """
    arguments = counting("x86_64", tmp_path_factory.getbasetemp() / "counters").arguments if plugin else ()
    command = x86_command(*arguments, code=dedent(script))
    with (
        RuntimeWorker(command, name="the guest", processor="phone generation") as guest,
        pytest.raises(WorkerDied) as died,
    ):
        guest.load("int8", b"x", Session())
    assert died.value.signal is not None
    assert died.match(f"the guest died of {told} while loading int8")
    assert "my last words" in died.value.reason
