"""The emulator: the user's own, the machine's, or none; and what of its surroundings reaches a guest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.extensions.emulation.home import Home
from eyerace_parity.extensions.emulation.qemu import Emulator, find_qemu

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="qemu emulates user programs on Linux only")


def fake(folder: Path, name: str = "qemu-aarch64", body: str = "echo 'qemu-aarch64 version 9.9.9 (Test)'") -> Path:
    """Write a program that answers as qemu does."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["qemu-aarch64", "qemu-aarch64-static"])
def test_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Before the machine's; the static build has a name of its own."""
    monkeypatch.setenv("PATH", str(fake(tmp_path / "path").parent), prepend=":")
    found = find_qemu("aarch64", Home(tmp_path), fake(tmp_path / "own", name).parent)
    assert found == Emulator(tmp_path / "own" / name, (), "9.9.9 (Test)", "your own")


def test_each_target_asks_but_the_program_answers_once(tmp_path: Path) -> None:
    """A file that stays the same is run once in a process; another in its place is asked anew."""
    body = f"echo asked >> {tmp_path / 'asked'}; echo 'qemu-aarch64 version 9.9.9 (Test)'"
    folder = fake(tmp_path / "own", body=body).parent
    versions = {find_qemu("aarch64", Home(tmp_path), folder).version for _ in range(3)}  # type: ignore[union-attr]
    assert (versions, (tmp_path / "asked").read_text()) == ({"9.9.9 (Test)"}, "asked\n")
    fake(tmp_path / "own", body="echo 'qemu-aarch64 version 10.0 (Test)'")
    assert find_qemu("aarch64", Home(tmp_path), folder).version == "10.0 (Test)"  # type: ignore[union-attr]


def test_the_machines_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched where it is installed already."""
    binary = fake(tmp_path / "path")
    monkeypatch.setenv("PATH", str(binary.parent), prepend=":")
    found = find_qemu("aarch64", Home(tmp_path))
    assert found is not None
    assert (found.binary, found.origin) == (binary, "of this machine")


def test_without_one_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the machine and none installed."""
    real = subprocess.run(["sh", "-c", "command -v dpkg"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dpkg").symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_qemu("aarch64", Home(tmp_path)) is None


@pytest.mark.parametrize("body", ["exit 1", "echo something else", "kill -ILL $$"])
def test_one_that_does_not_run_is_told(tmp_path: Path, body: str) -> None:
    """A program of another processor, or another program altogether."""
    with pytest.raises(MeasurementError, match="does not run") as told:
        find_qemu("aarch64", Home(tmp_path), fake(tmp_path / "own", body=body).parent)
    assert "--qemu" in told.value.next_step


def test_a_folder_without_one_is_told(tmp_path: Path) -> None:
    """The user has named it, so no other is taken in its place."""
    with pytest.raises(MeasurementError, match="there is no qemu-aarch64 in"):
        find_qemu("aarch64", Home(tmp_path), tmp_path)


def test_the_hosts_settings_stay_outside_of_an_arm64_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of threads, of Python and of qemu would change what is measured."""
    for name in ("OMP_NUM_THREADS", "PYTHONHOME", "QEMU_CPU"):
        monkeypatch.setenv(name, "7")
    binary = fake(tmp_path / "own", body="env")
    emulator = Emulator(binary, (tmp_path,), "9", "own")
    seen = subprocess.run(emulator.bare(), capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [line for line in seen if line.endswith("=7")]
    assert f"LD_LIBRARY_PATH={tmp_path}" in seen
    assert emulator.hidden(keep=False) == ("-U", "LD_LIBRARY_PATH"), "qemu's libraries are not the guest's"


def test_a_guest_on_this_python_keeps_the_hosts_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the run's own Python, but for what qemu itself would read, and for the path of libraries."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("QEMU_CPU", "8")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own/libraries")
    emulator = Emulator(fake(tmp_path / "own", body="env"), (tmp_path,), "9", "own")
    seen = subprocess.run(emulator.within(), capture_output=True, text=True, check=True).stdout.splitlines()
    assert "OMP_NUM_THREADS=7" in seen
    assert "QEMU_CPU=8" not in seen
    assert emulator.hidden(keep=True) == ("-E", "LD_LIBRARY_PATH=/own/libraries")
