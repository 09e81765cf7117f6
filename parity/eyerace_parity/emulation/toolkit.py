"""What it takes to start a worker on a tier: the command, and the identity of everything in it.

An arm64 tier is the distribution's userland under ``qemu-aarch64``; ``x86/avx2`` is this host's own Python under
``qemu-x86_64``; on an arm64 host the arm64 tiers are this Python as it is. Whatever is missing is installed once, in
the order emulator, userland, runtime, and each part by itself, so that what is there already is not fetched again.
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
from eyerace_parity.emulation.counter import CountingUnavailable, build
from eyerace_parity.emulation.home import Home, trouble_at
from eyerace_parity.emulation.qemu import find_qemu, install_qemu
from eyerace_parity.emulation.tiers import KNOWN
from eyerace_parity.emulation.userland import NAME as USERLAND
from eyerace_parity.emulation.userland import cpuinfo, find_userland, install_userland, view_of
from eyerace_parity.emulation.wheels import GuestVersions, find_site, install_site
from eyerace_parity.isolation.runtime_worker import WORKER, RuntimeWorker, local_command
from eyerace_parity.runners.onnxruntime import runtime as own_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.progress import Progress
    from eyerace_parity.emulation.qemu import Emulator
    from eyerace_parity.emulation.tiers import Tier
    from eyerace_parity.emulation.userland import Userland
    from eyerace_parity.emulation.wheels import Site

__all__ = ["INSTALL", "GuestVersions", "Sources", "Toolkit", "missing", "obtain"]

INSTALL: Final = "eyerace-parity arm64 install"
"""The command that brings all that is missing."""

_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""What some systems call the architectures."""

_ELF_X86_64: Final = b"\x3e\x00"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts come from.

    Attributes:
        home: Folder that installed parts lie in.
        sysroot: An arm64 userland of the user's own.
        qemu: A folder with the user's own ``qemu-aarch64`` and ``qemu-x86_64``.
        wheels: A folder with the user's own aarch64 wheels.
    """

    home: Path
    sysroot: Path | None = None
    qemu: Path | None = None
    wheels: Path | None = None


@dataclass(frozen=True, slots=True)
class Toolkit:
    """How a worker is started on a tier.

    Attributes:
        tier: The processor.
        command: Command for :class:`eyerace_parity.isolation.runtime_worker.RuntimeWorker`; ends in a Python that runs
            its
            worker.
        counting_command: The same with the plugin that counts instructions; empty where it cannot be.
        counting_refused: Why it cannot be, as a sentence.
        identity: All that could change a number, for evidence keys; no paths.
    """

    tier: Tier
    command: tuple[str, ...]
    counting_command: tuple[str, ...]
    counting_refused: str
    identity: Mapping[str, str]


def obtain(tier: Tier, runtime: GuestVersions, sources: Sources, *, offline: bool, progress: Progress) -> Toolkit:
    """Make a toolkit, and install what is missing unless told not to.

    Args:
        tier: The processor.
        runtime: The versions wanted in the guest.
        sources: Where the parts come from.
        offline: Fetch nothing.
        progress: Hears of installing.

    Raises:
        MeasurementError: Something is missing and must not, or cannot, be fetched; or this machine cannot run the tier.
    """
    if _is_native(tier):
        return _native(tier, runtime)
    _require_host(tier)
    parts = _find(tier, runtime, sources)
    lacking = _lacking(tier, runtime, sources, parts)
    if lacking and offline:
        raise MeasurementError(
            f"{tier.name} cannot be run: {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not "
            "installed, and nothing may be fetched",
            next_step=f"run `{INSTALL}` once, with a network",
        )
    if lacking or not parts.ready(tier):
        parts = _install(tier, runtime, sources, progress)
    if tier.architecture == "x86_64":
        return _on_this_python(tier, runtime, sources, parts)
    return _on_the_userland(tier, sources, parts)


def missing(tier: Tier, runtime: GuestVersions, sources: Sources) -> tuple[str, ...]:
    """Say what :func:`obtain` would have to fetch, for a run's header; nothing where the tier cannot be run at all."""
    if _is_native(tier):
        return ()
    _require_host(tier)
    return _lacking(tier, runtime, sources, _find(tier, runtime, sources))


# ---- what is there ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was found."""

    emulator: Emulator | None
    userland: Userland | None = None
    site: Site | None = None

    def ready(self, tier: Tier) -> bool:
        """Whether nothing has to be unpacked or compiled, either."""
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


def _lacking(tier: Tier, runtime: GuestVersions, sources: Sources, parts: _Parts) -> tuple[str, ...]:
    """What has to be fetched; the user's own wheels only have to be unpacked."""
    lacking = [f"qemu-{tier.architecture}"] if parts.emulator is None else []
    if tier.architecture == "aarch64":
        lacking += [f"the {USERLAND}"] if parts.userland is None else []
        lacking += (
            [f"onnxruntime {runtime.onnxruntime} for arm64"] if parts.site is None and sources.wheels is None else []
        )
    return tuple(lacking)


def _install(tier: Tier, runtime: GuestVersions, sources: Sources, progress: Progress) -> _Parts:
    home = Home(sources.home)
    with home.claim(progress):
        # Looked for again: whoever held the claim before may have brought it.
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
    """Start a guest once: that proves the install, and leaves compiled all that later starts import.

    Packages compile their modules when they are installed by root, which is what nobody was here; a guest that had to
    compile them at each start would take twice as long for it.
    """
    oldest = KNOWN["arm64/armv8.0"]
    making = site.compiled.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    front = _front(emulator, view_of(home, userland, oldest), oldest)
    guest = RuntimeWorker(
        (*front, *_python(home, userland, site, oldest, writing_to=making)), name="the new arm64 guest"
    )
    try:
        hello = guest.start()
    finally:
        guest.close()
    if (hello.machine, hello.onnxruntime) != ("aarch64", site.versions["onnxruntime"]):
        raise MeasurementError(
            f"the new arm64 guest says that it is onnxruntime {hello.onnxruntime} on {hello.machine}",
            next_step="run `eyerace-parity arm64 clean`, then install again",
        )
    with home.told():
        making.mkdir(exist_ok=True)
        making.rename(site.compiled)


# ---- commands --------------------------------------------------------------------------------------------------------


def _on_the_userland(tier: Tier, sources: Sources, parts: _Parts) -> Toolkit:
    emulator, userland, site = parts.emulator, parts.userland, parts.site
    assert emulator is not None  # noqa: S101 - for the type checker: nothing is lacking any more
    assert userland is not None  # noqa: S101
    assert site is not None  # noqa: S101
    home = Home(sources.home)
    rest = (*_front_options(emulator, view_of(home, userland, tier), tier), *_python(home, userland, site, tier))
    plugin, refused = _counting(emulator, emulator.bare(), home)
    identity = {
        "emulator": f"qemu {emulator.version}",
        "cpu": tier.cpu,
        "cpuinfo": text_digest(cpuinfo(tier)),
        "userland": userland.digest,
        "python": userland.python_version,
        **site.versions,
    }
    return Toolkit(
        tier,
        (*emulator.bare(), *rest),
        (*emulator.bare(), *plugin, *rest) if plugin else (),
        refused,
        MappingProxyType(identity),
    )


def _front(emulator: Emulator, view: Path, tier: Tier) -> tuple[str, ...]:
    return (*emulator.bare(), *_front_options(emulator, view, tier))


def _front_options(emulator: Emulator, view: Path, tier: Tier) -> tuple[str, ...]:
    return (*emulator.hidden(keep=False), "-cpu", tier.cpu, "-L", str(view))


def _python(
    home: Home, userland: Userland, site: Site, tier: Tier, *, writing_to: Path | None = None
) -> tuple[str, ...]:
    """The guest's Python and the worker: no ``site`` module, whose packages are the distribution's and not ours."""
    view = view_of(home, userland, tier)
    # One option each: within one, qemu takes a comma for the beginning of the next variable.
    variables = {"PYTHONPATH": site.folder, "PYTHONPYCACHEPREFIX": writing_to or site.compiled}
    settings = [word for name, folder in variables.items() for word in ("-E", f"{name}={folder.absolute()}")]
    flags = ("-S",) if writing_to is not None else ("-S", "-B")
    return (*settings, str(view.absolute() / userland.python), *flags, str(WORKER))


def _on_this_python(tier: Tier, runtime: GuestVersions, sources: Sources, parts: _Parts) -> Toolkit:
    emulator = parts.emulator
    assert emulator is not None  # noqa: S101 - for the type checker: nothing is lacking any more
    _require_own(tier, runtime)
    _require_elf(Path(sys.executable))
    rest = (*emulator.hidden(keep=True), "-cpu", tier.cpu, *local_command())
    plugin, refused = _counting(emulator, emulator.within(), Home(sources.home))
    identity = {
        "emulator": f"qemu {emulator.version}",
        "cpu": tier.cpu,
        "userland": f"this host's, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "onnxruntime": runtime.onnxruntime,
        "numpy": runtime.numpy,
    }
    return Toolkit(
        tier,
        (*emulator.within(), *rest),
        (*emulator.within(), *plugin, *rest) if plugin else (),
        refused,
        MappingProxyType(identity),
    )


def _native(tier: Tier, runtime: GuestVersions) -> Toolkit:
    _require_own(tier, runtime)
    identity = {
        "emulator": "none, native",
        "cpu": _native_processor(),
        "userland": f"this host's, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "onnxruntime": runtime.onnxruntime,
        "numpy": runtime.numpy,
    }
    refused = (
        "instructions are counted by the emulator, and on this arm64 host nothing is emulated; count them on x86-64"
    )
    return Toolkit(tier, local_command(), (), refused, MappingProxyType(identity))


def _native_processor() -> str:
    """What tells processors of one architecture apart: the lines that name the part and its features."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = sorted({line for line in lines if line.startswith(("Features", "CPU "))})
    return text_digest("\n".join(named)) if named else platform.machine()


def _counting(emulator: Emulator, start: tuple[str, ...], home: Home) -> tuple[tuple[str, ...], str]:
    """Arguments that load the counter, or why it cannot be loaded."""
    try:
        return build((*start, *emulator.hidden(keep=False)), home.folder / "counters").arguments, ""
    except CountingUnavailable as error:
        return (), str(error.reason)
    except OSError as error:
        return (), trouble_at(home.folder, error).reason


# ---- what this machine can -------------------------------------------------------------------------------------------


def _host() -> str:
    machine = platform.machine().lower()
    return _MACHINES.get(machine, machine)


def _is_native(tier: Tier) -> bool:
    return tier.architecture == "aarch64" == _host()


def _require_host(tier: Tier) -> None:
    if sys.platform != "linux":
        raise MeasurementError(
            f"{tier.name} cannot be run here: programs of another processor are emulated on Linux only",
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
    if head[:4] != b"\x7fELF" or head[18:20] != _ELF_X86_64:
        raise MeasurementError(
            f"{display_path(python)} is not a program for x86-64, so it cannot be emulated",
            next_step="run the gate with the Python itself, not with a script in front of it",
        )
