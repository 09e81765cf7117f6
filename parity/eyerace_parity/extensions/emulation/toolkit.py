"""Assembles what a worker on a tier needs: the command, and the identity of all its parts.

An arm64 tier is the distribution's userland under ``qemu-aarch64``. ``x86/avx2`` is this host's own Python under
``qemu-x86_64``. On an arm64 host the arm64 tiers run in this Python without emulation. Missing parts are installed
once, in the order emulator, userland, runtime; parts that are present are not downloaded again.
"""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import text_digest
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.files import display_path
from eyerace_parity.extensions.emulation.counter import CountingUnavailable, build
from eyerace_parity.extensions.emulation.home import Home, trouble_at
from eyerace_parity.extensions.emulation.qemu import find_qemu, install_qemu
from eyerace_parity.extensions.emulation.tiers import KNOWN
from eyerace_parity.extensions.emulation.userland import NAME as USERLAND
from eyerace_parity.extensions.emulation.userland import cpuinfo, find_userland, install_userland, view_of
from eyerace_parity.extensions.emulation.wheels import GuestVersions, find_site, install_site
from eyerace_parity.isolation.runtime_worker import WORKER, RuntimeWorker, local_command
from eyerace_parity.measure.targets.equipment import TargetCommand
from eyerace_parity.runners.onnxruntime import runtime as own_runtime

if TYPE_CHECKING:
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.emulation.qemu import Emulator
    from eyerace_parity.extensions.emulation.tiers import Tier
    from eyerace_parity.extensions.emulation.userland import Userland
    from eyerace_parity.extensions.emulation.wheels import Site

__all__ = ["INSTALL", "GuestVersions", "Sources", "missing", "obtain"]

INSTALL: Final = "eyerace-parity arm64 install"
"""The command that installs everything that is missing."""

PHONES: Final = "phone generation"
"""What an arm64 target is in words."""

_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other names that some systems use for the architectures."""

_ELF_X86_64: Final = b"\x3e\x00"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts come from.

    Attributes:
        home: Folder of installed parts.
        sysroot: The user's own arm64 userland.
        qemu: A folder with the user's own ``qemu-aarch64`` and ``qemu-x86_64``.
        wheels: A folder with the user's own aarch64 wheels.
    """

    home: Path
    sysroot: Path | None = None
    qemu: Path | None = None
    wheels: Path | None = None


def obtain(tier: Tier, runtime: GuestVersions, sources: Sources, *, offline: bool, progress: Progress) -> TargetCommand:
    """Say how a worker is started, and install missing parts unless ``offline``.

    Args:
        tier: The processor.
        runtime: Versions for the guest.
        sources: Where the parts come from.
        offline: Download nothing.
        progress: Receives the progress of installing.

    Raises:
        MeasurementError: A part is missing and may not, or cannot, be downloaded; or this machine cannot run the tier.
    """
    if _is_native(tier):
        return _native(tier, runtime)
    _require_host(tier)
    parts = _find(tier, runtime, sources)
    absent = _absent(tier, runtime, sources, parts)
    if absent and offline:
        raise MeasurementError(
            f"{tier.name} cannot be run: {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not "
            "installed, and offline nothing is downloaded",
            next_step=f"run `{INSTALL}` once, with network access",
        )
    if absent or not parts.ready(tier):
        parts = _install(tier, runtime, sources, progress)
    if tier.architecture == "x86_64":
        return _on_this_python(tier, runtime, sources, parts)
    return _on_the_userland(tier, sources, parts)


def missing(tier: Tier, runtime: GuestVersions, sources: Sources) -> tuple[str, ...]:
    """What :func:`obtain` would download, for a run's header; empty if the tier cannot run here at all."""
    if _is_native(tier):
        return ()
    _require_host(tier)
    return _absent(tier, runtime, sources, _find(tier, runtime, sources))


# ---- installed parts -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts found."""

    emulator: Emulator | None
    userland: Userland | None = None
    site: Site | None = None

    def ready(self, tier: Tier) -> bool:
        """Whether nothing has to be unpacked or compiled."""
        if tier.architecture == "x86_64":
            return self.emulator is not None
        return self.emulator is not None and self.site is not None and self.site.compiled.is_dir()


def _find(tier: Tier, runtime: GuestVersions, sources: Sources) -> _Parts:
    home = Home(sources.home)
    emulator = find_qemu(tier.architecture, home, sources.qemu)
    if tier.architecture == "x86_64":
        return _Parts(emulator)
    userland = find_userland(home, sources.sysroot)
    site = None if userland is None else find_site(home, runtime, userland, sources.wheels)
    return _Parts(emulator, userland, site)


def _absent(tier: Tier, runtime: GuestVersions, sources: Sources, parts: _Parts) -> tuple[str, ...]:
    """What has to be downloaded; the user's own wheels only have to be unpacked."""
    absent = [f"qemu-{tier.architecture}"] if parts.emulator is None else []
    if tier.architecture == "aarch64":
        absent += [f"the {USERLAND}"] if parts.userland is None else []
        absent += (
            [f"onnxruntime {runtime.onnxruntime} for arm64"] if parts.site is None and sources.wheels is None else []
        )
    return tuple(absent)


def _install(tier: Tier, runtime: GuestVersions, sources: Sources, progress: Progress) -> _Parts:
    home = Home(sources.home)
    with home.claim(progress):
        # Checked again under the lock: the previous holder may have installed it.
        emulator = find_qemu(tier.architecture, home, sources.qemu)
        if emulator is None:
            emulator = install_qemu(tier.architecture, home, progress)
        if tier.architecture == "x86_64":
            return _Parts(emulator)
        userland = find_userland(home, sources.sysroot) or install_userland(home, progress)
        site = find_site(home, runtime, userland, sources.wheels)
        if site is None:
            site = install_site(home, runtime, userland, progress, sources.wheels)
        if not site.compiled.is_dir():
            with progress.task("starting the guest for the first time", None):
                _compile(home, emulator, userland, site)
        return _Parts(emulator, userland, site)


def _compile(home: Home, emulator: Emulator, userland: Userland, site: Site) -> None:
    """Start a guest once: this tests the install, and compiles all modules that later starts import.

    A package compiles its modules when root installs it; here nobody is root. Without compiled modules every start
    takes twice as long.
    """
    oldest = KNOWN["arm64/armv8.0"]
    staging = site.compiled.with_suffix(".making")
    shutil.rmtree(staging, ignore_errors=True)
    prefix = _prefix(emulator, view_of(home, userland, oldest), oldest)
    worker = RuntimeWorker(
        (*prefix, *_python(home, userland, site, oldest, writing_to=staging)), name="the new arm64 guest"
    )
    try:
        hello = worker.start()
    finally:
        worker.close()
    if (hello.machine, hello.onnxruntime) != ("aarch64", site.versions["onnxruntime"]):
        raise MeasurementError(
            f"the new arm64 guest reports onnxruntime {hello.onnxruntime} on {hello.machine}",
            next_step="run `eyerace-parity arm64 clean`, then install again",
        )
    with home.readable_errors():
        staging.mkdir(exist_ok=True)
        staging.rename(site.compiled)


# ---- commands --------------------------------------------------------------------------------------------------------


def _on_the_userland(tier: Tier, sources: Sources, parts: _Parts) -> TargetCommand:
    emulator, userland, site = parts.emulator, parts.userland, parts.site
    assert emulator is not None  # noqa: S101 - for the type checker: all parts are there
    assert userland is not None  # noqa: S101
    assert site is not None  # noqa: S101
    home = Home(sources.home)
    rest = (*_prefix_options(emulator, view_of(home, userland, tier), tier), *_python(home, userland, site, tier))
    plugin, refusal = _counting(emulator, emulator.bare(), home)
    identity = {
        "emulator": f"qemu {emulator.version}",
        "cpu": tier.cpu,
        "cpuinfo": text_digest(cpuinfo(tier)),
        "userland": userland.digest,
        "python": userland.python_version,
        **site.versions,
    }
    return TargetCommand(
        (*emulator.bare(), *rest),
        MappingProxyType(identity),
        (*emulator.bare(), *plugin, *rest) if plugin else (),
        refusal,
        processor=PHONES,
    )


def _prefix(emulator: Emulator, view: Path, tier: Tier) -> tuple[str, ...]:
    return (*emulator.bare(), *_prefix_options(emulator, view, tier))


def _prefix_options(emulator: Emulator, view: Path, tier: Tier) -> tuple[str, ...]:
    return (*emulator.hidden(keep=False), "-cpu", tier.cpu, "-L", str(view))


def _python(
    home: Home, userland: Userland, site: Site, tier: Tier, *, writing_to: Path | None = None
) -> tuple[str, ...]:
    """The guest's Python and the worker. ``-S``: the ``site`` module would add the distribution's own packages."""
    view = view_of(home, userland, tier)
    # One -E option a variable: qemu splits the value of -E at commas.
    variables = {"PYTHONPATH": site.folder, "PYTHONPYCACHEPREFIX": writing_to or site.compiled}
    settings = [word for name, folder in variables.items() for word in ("-E", f"{name}={folder.absolute()}")]
    flags = ("-S",) if writing_to is not None else ("-S", "-B")
    return (*settings, str(view.absolute() / userland.python), *flags, str(WORKER))


def _on_this_python(tier: Tier, runtime: GuestVersions, sources: Sources, parts: _Parts) -> TargetCommand:
    emulator = parts.emulator
    assert emulator is not None  # noqa: S101 - for the type checker: all parts are there
    _require_own(tier, runtime)
    _require_elf(Path(sys.executable))
    rest = (*emulator.hidden(keep=True), "-cpu", tier.cpu, *local_command())
    plugin, refusal = _counting(emulator, emulator.within(), Home(sources.home))
    identity = {
        "emulator": f"qemu {emulator.version}",
        "cpu": tier.cpu,
        "userland": f"this host's, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "onnxruntime": runtime.onnxruntime,
        "numpy": runtime.numpy,
    }
    return TargetCommand(
        (*emulator.within(), *rest),
        MappingProxyType(identity),
        (*emulator.within(), *plugin, *rest) if plugin else (),
        refusal,
    )


def _native(tier: Tier, runtime: GuestVersions) -> TargetCommand:
    _require_own(tier, runtime)
    identity = {
        "emulator": "none, native",
        "cpu": _native_processor(),
        "userland": f"this host's, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "onnxruntime": runtime.onnxruntime,
        "numpy": runtime.numpy,
    }
    refusal = "the emulator counts instructions, and on this arm64 host nothing is emulated; count them on x86-64"
    return TargetCommand(local_command(), MappingProxyType(identity), counting_refused=refusal, processor=PHONES)


def _native_processor() -> str:
    """Digest that distinguishes processors of one architecture: the lines with the part number and the features."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    features = sorted({line for line in lines if line.startswith(("Features", "CPU "))})
    return text_digest("\n".join(features)) if features else platform.machine()


def _counting(emulator: Emulator, start: tuple[str, ...], home: Home) -> tuple[tuple[str, ...], str]:
    """Arguments that load the counter; if it cannot be loaded, the reason."""
    try:
        return build((*start, *emulator.hidden(keep=False)), home.folder / "counters").arguments, ""
    except CountingUnavailable as error:
        return (), str(error.reason)
    except OSError as error:
        return (), trouble_at(home.folder, error).reason


# ---- requirements on this machine ------------------------------------------------------------------------------------


def _host() -> str:
    machine = platform.machine().lower()
    return _MACHINES.get(machine, machine)


def _is_native(tier: Tier) -> bool:
    return tier.architecture == "aarch64" == _host()


def _require_host(tier: Tier) -> None:
    if sys.platform != "linux":
        raise MeasurementError(
            f"{tier.name} cannot be run here: other processors are emulated on Linux only",
            next_step="judge this target on Linux, for example in continuous integration",
        )
    if tier.architecture == "x86_64" != _host():
        raise MeasurementError(
            f"{tier.name} is this host's own Python on an older x86 processor, and this host is {_host()}",
            next_step="judge this target on an x86-64 machine",
        )


def _require_own(tier: Tier, runtime: GuestVersions) -> None:
    own = own_runtime().partition(" ")[2]
    if own != runtime.onnxruntime:
        raise MeasurementError(
            f"{tier.name} runs this Python's own onnxruntime {own} here, not {runtime.onnxruntime}",
            next_step=f"run the gate in an environment with onnxruntime {runtime.onnxruntime}",
        )


def _require_elf(python: Path) -> None:
    with python.open("rb") as file:
        head = file.read(20)
    # QEMU runs ELF programs only; a Python installed by a version manager may be a shell script.
    if head[:4] != b"\x7fELF" or head[18:20] != _ELF_X86_64:
        raise MeasurementError(
            f"{display_path(python)} is not a program for x86-64, so it cannot be emulated",
            next_step="run the gate with the Python itself, not with a wrapper script",
        )
