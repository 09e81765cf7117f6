"""What it takes to start a worker: natively, under an emulator, or a refusal that says what to do."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.emulation.tiers import KNOWN
from eyerace_parity.extensions.emulation.toolkit import INSTALL, GuestVersions, Sources, missing, obtain
from eyerace_parity.isolation.runtime_worker import WORKER, RuntimeWorker, local_command
from tests.equipment import NEW, OLD, X86
from tests.extensions.emulation.test_qemu import fake
from tests.extensions.emulation.test_userland import root  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.extensions.emulation.tiers import Tier
    from eyerace_parity.measure.targets.equipment import TargetCommand

OWN = GuestVersions(importlib.metadata.version("onnxruntime"), importlib.metadata.version("numpy"))
OTHER = GuestVersions("1.2.3", OWN.numpy)

linux = pytest.mark.skipif(sys.platform != "linux", reason="programs are emulated on Linux only")


def toolkit(tier: Tier, sources: Sources, runtime: GuestVersions = OWN) -> TargetCommand:
    """A toolkit for which nothing is fetched."""
    return obtain(tier, runtime, sources, offline=True, progress=SilentProgress())


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    """A machine of x86-64 without an emulator, and nothing installed."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    return Sources(tmp_path / "home")


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
@pytest.mark.parametrize("name", [OLD, NEW])
def test_an_arm64_host_runs_its_tiers_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, machine: str
) -> None:
    """No emulator, no userland and nothing to fetch: this Python's own worker, which answers."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    sources = Sources(tmp_path / "home")
    assert missing(KNOWN[name], OWN, sources) == ()
    native = toolkit(KNOWN[name], sources)
    assert native.command == local_command()
    guest = RuntimeWorker(native.command, name="the native worker")
    try:
        assert guest.start().onnxruntime == OWN.onnxruntime
    finally:
        guest.close()
    assert not sources.home.exists(), "nothing was installed"


def test_a_native_count_is_refused_and_never_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an emulator counts; and a native answer is not kept under the key of an emulated one."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    native = toolkit(KNOWN[OLD], Sources(tmp_path))
    assert native.counting_command == ()
    assert "on this arm64 host nothing is emulated" in native.counting_refused
    assert native.identity["emulator"] == "none, native"
    assert native.identity["cpu"] != KNOWN[OLD].cpu


@pytest.mark.parametrize(("machine", "name"), [("aarch64", OLD), ("x86_64", X86)])
def test_what_runs_this_python_has_its_runtime_and_no_other(
    bare: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, name: str
) -> None:
    """Asked for another version it refuses: answers of one would be told as those of the other."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    sources = Sources(bare.home, qemu=fake(tmp_path / "own", "qemu-x86_64").parent)
    with pytest.raises(MeasurementError, match=f"own onnxruntime {OWN.onnxruntime} here, not 1.2.3") as told:
        toolkit(KNOWN[name], sources, OTHER)
    assert "an environment with onnxruntime 1.2.3" in told.value.next_step


def test_an_older_x86_is_no_target_of_an_arm64_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This host's own Python is no program for it."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    for ask in (toolkit, lambda tier, sources: missing(tier, OWN, sources)):
        with pytest.raises(MeasurementError, match="this host is aarch64") as told:
            ask(KNOWN[X86], Sources(tmp_path))
        assert told.value.next_step == "judge this target on an x86-64 machine"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_than_on_linux_nothing_is_emulated(
    bare: Sources, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """Told at once, not after something was fetched that cannot run."""
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(MeasurementError, match="emulated on Linux only") as told:
        toolkit(KNOWN[OLD], bare)
    assert "on Linux" in told.value.next_step


@linux
def test_all_that_is_missing_is_named_once(bare: Sources) -> None:
    """Offline: in the order in which it would be fetched, with the command that fetches it."""
    lacking = missing(KNOWN[OLD], OWN, bare)
    assert lacking[0] == "qemu-aarch64"
    assert lacking[2] == f"onnxruntime {OWN.onnxruntime} for arm64"
    assert missing(KNOWN[X86], OWN, bare) == ("qemu-x86_64",)
    with pytest.raises(MeasurementError) as told:
        toolkit(KNOWN[OLD], bare)
    assert all(part in told.value.reason for part in lacking)
    assert "are not installed, and offline nothing is downloaded" in told.value.reason
    assert INSTALL in told.value.next_step
    assert not bare.home.exists(), "to ask leaves nothing behind"


@linux
def test_ones_own_parts_are_not_missing(bare: Sources, root: Path, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    """Of a user with a userland and an emulator only the runtime is to be fetched."""
    own = Sources(bare.home, sysroot=root, qemu=fake(tmp_path / "own").parent)
    assert missing(KNOWN[OLD], OWN, own) == (f"onnxruntime {OWN.onnxruntime} for arm64",)
    with pytest.raises(MeasurementError, match="for arm64 is not installed"):
        toolkit(KNOWN[OLD], own)


@linux
def test_ones_own_wheels_need_no_network(bare: Sources, root: Path, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    """They are unpacked offline, too; these are empty, and so they are refused for what they are."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("onnxruntime", "numpy"):
        (wheels / f"{name}-1.0-cp311-cp311-manylinux_2_28_aarch64.whl").touch()
    own = Sources(bare.home, sysroot=root, qemu=fake(tmp_path / "own").parent, wheels=wheels)
    assert missing(KNOWN[OLD], OWN, own) == ()
    with pytest.raises(MeasurementError) as told:
        toolkit(KNOWN[OLD], own)
    assert "download" not in told.value.reason


@linux
def test_an_emulator_that_cannot_count_still_executes(bare: Sources, tmp_path: Path) -> None:
    """The reason goes with the toolkit; and no path of this machine is part of what evidence is kept under."""
    own = Sources(bare.home, qemu=fake(tmp_path / "own", "qemu-x86_64").parent)
    found = toolkit(KNOWN[X86], own)
    at = found.command.index("-cpu")
    assert found.command[at : at + 2] == ("-cpu", "Haswell")
    assert found.command[-1] == str(WORKER)
    assert found.counting_command == ()
    assert found.counting_refused
    assert found.identity["emulator"] == "qemu 9.9.9 (Test)"
    assert not [value for value in found.identity.values() if "/" in value]


@linux
def test_a_script_in_front_of_python_cannot_be_emulated(
    bare: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as what it is, not as a crash of the guest."""
    monkeypatch.setattr(sys, "executable", str(fake(tmp_path / "bin", "python")))
    own = Sources(bare.home, qemu=fake(tmp_path / "own", "qemu-x86_64").parent)
    with pytest.raises(MeasurementError, match="is not a program for x86-64") as told:
        toolkit(KNOWN[X86], own)
    assert "with the Python itself" in told.value.next_step
