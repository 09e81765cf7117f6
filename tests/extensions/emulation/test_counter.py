"""The instruction counter: compiled for the qemu at hand, believed only when it counts right, refused in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from eyerace_parity.extensions.emulation import counter
from eyerace_parity.extensions.emulation.counter import CountingUnavailable, InstructionCounter, build, known_program
from eyerace_parity.isolation.worker import COUNT
from tests.extensions.emulation.emulators import counting, emulator, lacking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="qemu emulates user programs on Linux only")

MACHINES = ("aarch64", "x86_64")


@pytest.fixture
def fake(tmp_path: Path):
    """Make a command that behaves like some qemu: the body sees the arguments as ``$@``."""

    def make(body: str) -> Path:
        path = tmp_path / "qemu-aarch64"
        path.write_text(f"#!/bin/sh\n{dedent(body)}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def compiler() -> str:
    """The host's compiler."""
    found = next(filter(None, map(shutil.which, counter.COMPILERS)), None)
    return found or lacking("there is no C compiler on this machine")


@pytest.mark.parametrize("machine", MACHINES)
def test_the_plugin_is_compiled_tried_and_kept(machine, tmp_path: Path, monkeypatch) -> None:
    """What is built has counted right; a second build finds it and needs no compiler."""
    qemu = emulator(machine).bare()
    found = build(qemu, tmp_path / "a folder, with a comma")
    assert found.interface in counter.INTERFACES
    assert found.plugin.read_bytes()[:4] == b"\x7fELF"
    assert [path.name for path in found.plugin.parent.iterdir()] == [found.plugin.name], "nothing is left behind"
    monkeypatch.setattr(counter, "COMPILERS", ())
    monkeypatch.delenv("CC", raising=False)
    assert build(qemu, tmp_path / "a folder, with a comma") == found


@pytest.mark.parametrize("machine", MACHINES)
def test_every_instruction_is_counted(machine, tmp_path: Path, tmp_path_factory) -> None:
    """A program of known length: one instruction more in its loop is seen, to the very number."""
    plugin = counting(machine, tmp_path_factory.getbasetemp() / "counters")
    program = tmp_path / "known"
    program.write_bytes(known_program(machine))
    program.chmod(0o755)
    command = (*emulator(machine).bare(), *plugin.arguments, str(program))
    told = subprocess.run(command, capture_output=True, check=True).stdout
    before, after, last = (COUNT.unpack_from(told, place * COUNT.size) for place in range(3))
    assert after[1] - before[1] - (last[1] - after[1]) == 1 + 2 * 1000
    assert before[0] == after[0] == last[0] == 1
    assert before[2] == last[2] == 0, "there was one thread"
    assert before[3] == plugin.interface


def test_without_the_plugin_nothing_is_told(tmp_path: Path) -> None:
    """The same program by itself runs through and learns that nobody counts."""
    program = tmp_path / "known"
    program.write_bytes(known_program("x86_64"))
    program.chmod(0o755)
    done = subprocess.run((*emulator("x86_64").bare(), str(program)), capture_output=True, check=True)
    assert done.stdout == b""


@pytest.mark.parametrize("interface", counter.INTERFACES)
def test_the_source_compiles_for_every_interface(interface: int, compiler: str, tmp_path: Path) -> None:
    """Also for those that no qemu on this machine speaks, without a warning."""
    counter._compile(compiler, interface, tmp_path / "plugin.so")
    strict = (
        compiler,
        *counter._FLAGS,
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Werror",
        f"-DINTERFACE={interface}",
    )
    subprocess.run((*strict, "-o", str(tmp_path / "strict.so"), str(counter.SOURCE)), check=True)


@pytest.mark.parametrize("interface", [interface for interface in counter.INTERFACES if interface > 1])
def test_newer_interfaces_are_used_as_qemu_declares_them(interface: int, compiler: str, tmp_path: Path) -> None:
    """A stand-in of the newer interfaces: the right calls with the right arguments, and a count for all threads."""
    plugin, host = tmp_path / "plugin.so", tmp_path / "host"
    counter._compile(compiler, interface, plugin)
    source = Path(__file__).with_name("host.c")
    flags = ("-std=c11", "-rdynamic", "-Wall", "-Werror", f"-DINTERFACE={interface}")
    subprocess.run((compiler, *flags, "-o", str(host), str(source), "-ldl"), check=True)
    done = subprocess.run((str(host), str(plugin)), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [COUNT.unpack_from(done.stdout, at) for at in range(0, len(done.stdout), COUNT.size)]
    assert told == [(0, 0, 0, interface), (1, 17, 0, interface), (1, 20, 1, interface), (0, 20, 1, interface)]


@pytest.mark.usefixtures("compiler")
def test_a_static_qemu_is_refused_in_words(fake, tmp_path: Path) -> None:
    """A qemu without plugins, as Debian builds it from 9.1 on, is named with what to do."""
    qemu = fake("""
        [ "$1" = --version ] && echo "qemu-aarch64 version 10.0.2 (Debian 1:10.0.2)" && exit 0
        [ "$1" = -plugin ] && echo "qemu: unknown option 'plugin'" >&2 && exit 1
        exit 0
    """)
    with pytest.raises(
        CountingUnavailable, match=r"10\.0\.2.* was built without plugins, as static builds are"
    ) as refused:
        build(qemu, tmp_path / "kept")
    assert "--qemu" in refused.value.next_step
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.usefixtures("compiler")
def test_a_qemu_of_the_future_is_refused_with_its_own_words(fake, tmp_path: Path) -> None:
    """Where every interface is refused, the user reads what the emulator says of it."""
    qemu = fake("""
        [ "$1" = --version ] && echo "qemu-aarch64 version 20.0" && exit 0
        [ "$1" = -plugin ] && echo "this QEMU supports only a minimum version of 9" >&2 && exit 1
        exit 0
    """)
    with pytest.raises(CountingUnavailable, match=r"accepts no version of the counter: .*minimum version of 9"):
        build(qemu, tmp_path)


@pytest.mark.usefixtures("compiler")
def test_a_plugin_that_counts_wrong_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    """A library that loads but counts one more for every block is refused, whatever the interface."""
    wrong = tmp_path / "wrong.c"
    wrong.write_text(
        counter.SOURCE.read_text().replace(
            "qemu_plugin_tb_n_insns(translated);", "1 + qemu_plugin_tb_n_insns(translated);", 1
        )
    )
    assert wrong.read_text() != counter.SOURCE.read_text()
    monkeypatch.setattr(counter, "SOURCE", wrong)
    with pytest.raises(CountingUnavailable, match=r"it counts wrong: \d+ instructions instead of 2001"):
        build(emulator("x86_64").bare(), tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_no_compiler_is_told_with_the_package_to_install(tmp_path: Path, monkeypatch) -> None:
    """A machine without a compiler learns which package has one."""
    monkeypatch.setattr(counter, "COMPILERS", ())
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CountingUnavailable, match="there is no C compiler") as refused:
        build(emulator("x86_64").bare(), tmp_path)
    assert "gcc" in refused.value.next_step


def test_a_compiler_that_fails_says_why(tmp_path: Path, monkeypatch) -> None:
    """The first error of the compiler reaches the user."""
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'icount.c:9:10: fatal error: stdbool.h: No such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(CountingUnavailable, match=r"cannot compile the counter: .*stdbool\.h") as refused:
        build(emulator("x86_64").bare(), tmp_path / "kept")
    assert "libc6-dev" in refused.value.next_step


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_no_emulator_is_refused(machine: str, tmp_path: Path) -> None:
    """A program that is not there, and one that is no qemu, are told apart from a qemu without plugins."""
    with pytest.raises(CountingUnavailable, match="cannot be run"):
        build(tmp_path / f"qemu-{machine}", tmp_path / "kept")
    with pytest.raises(CountingUnavailable, match=r"does not report its version|runs neither arm64 nor x86-64"):
        build((sys.executable, "-S"), tmp_path / "kept")


def test_two_builds_at_once_do_each_other_no_harm(tmp_path: Path) -> None:
    """Several processes that build into one folder all get the same plugin, and leave only that."""
    qemu = emulator("x86_64").bare()
    code = f"""
        from pathlib import Path
        from eyerace_parity.extensions.emulation.counter import build
        print(build({qemu!r}, Path({str(tmp_path)!r})).plugin)
    """
    root = Path(__file__).parents[3]
    runs = [
        subprocess.Popen(
            (sys.executable, "-c", dedent(code)), stdout=subprocess.PIPE, text=True, cwd=root, env=dict(os.environ)
        )
        for _ in range(3)
    ]
    said = {run.communicate()[0].strip() for run in runs}
    assert said == {str(path) for path in tmp_path.iterdir()}
    assert len(said) == 1


def test_a_comma_in_the_path_is_no_option() -> None:
    """Options of qemu are separated by commas; a doubled one is a comma of the path."""
    assert InstructionCounter(Path("/a,b/c.so"), 1).arguments == ("-plugin", "/a,,b/c.so")
