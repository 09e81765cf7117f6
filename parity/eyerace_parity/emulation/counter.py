"""The instruction counter: compile its one C file for the qemu at hand, and believe it only when it counts right.

A plugin is a shared library that qemu loads. Which version of the interface a qemu speaks is asked of qemu itself: it
refuses what is too new or too old, so the newest that it takes is the one. What was compiled is then tried on a program
of a few machine instructions that this file makes, whose count is known exactly; without that, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import MeasurementError, signal_in_words
from eyerace_parity.isolation.worker import BEGIN, COUNT, END, MAGIC_CALL, TELL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE: Final = Path(__file__).with_name("icount.c")
"""The plugin."""

INTERFACES: Final = (7, 6, 5, 4, 3, 2, 1)
"""Versions of qemu's plugin interface that the source can be compiled for, newest first."""

COMPILERS: Final = ("cc", "gcc", "clang")
"""Commands that are looked for, the one in ``CC`` before all."""

_FLAGS: Final = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
_ROUNDS: Final = 1000
_SECONDS: Final = 60.0


class CountingUnavailable(MeasurementError):  # noqa: N818 - an answer about this machine, not a fault
    """Instructions cannot be counted with this qemu on this machine; the reason is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class InstructionCounter:
    """A plugin that counts.

    Attributes:
        plugin: The shared library.
        interface: Version of qemu's plugin interface that it was compiled for.
    """

    plugin: Path
    interface: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """What to add to qemu's command line, before the program. A comma separates options, so one is doubled."""
        return ("-plugin", str(self.plugin).replace(",", ",,"))


def build(qemu: Path | Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None) -> InstructionCounter:
    """Compile the plugin for a qemu, or find it compiled.

    Args:
        qemu: The emulator, or the command that runs it.
        folder: Where compiled plugins are kept; it may be deleted at any time while nothing runs.
        env: Environment to run qemu in; this process's own by default.

    Returns:
        The plugin; it has counted a known program.

    Raises:
        CountingUnavailable: There is no compiler, this qemu takes no plugins, or the count came out wrong.
    """
    command = (str(qemu),) if isinstance(qemu, Path) else tuple(qemu)
    trial = _CountingProof(command, env)
    stem = f"icount-{_identity(trial.version(), command)}"
    for kept in sorted(folder.glob(f"{stem}-v*.so")):
        return InstructionCounter(kept, int(kept.stem.rpartition("-v")[2]))
    compiler = _compiler()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="icount-", dir=folder) as made:
        program = trial.program(Path(made))
        refusals: list[str] = []
        for interface in INTERFACES:
            plugin = Path(made, f"{stem}-v{interface}.so")
            _compile(compiler, interface, plugin)
            if refusal := trial.refusal(InstructionCounter(plugin, interface), program):
                refusals.append(refusal)
                continue
            # The same bytes from whoever is first or last: two that build at once do each other no harm.
            return InstructionCounter(plugin.replace(folder / plugin.name), interface)
    raise CountingUnavailable(_why(command, trial.version(), refusals), next_step=_NEXT)


_NEXT: Final = "name a dynamically linked qemu with plugins, 7.2 or newer, with --qemu; Debian's is static from 9.1 on"


def _identity(version: str, command: Sequence[str]) -> str:
    """Digest of all that decides whether a compiled plugin still fits: qemu, the source, and the flags."""
    digest = hashlib.sha256(SOURCE.read_bytes())
    for part in (version, Path(command[-1]).name, platform.machine(), *_FLAGS):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()[:16]


def _compiler() -> str:
    named = os.environ.get("CC", "").split()
    for name in (*named[:1], *COMPILERS):
        if found := shutil.which(name):
            return found
    raise CountingUnavailable(
        "instructions cannot be counted: there is no C compiler on this machine, and the counter is compiled here",
        next_step="install one (Debian and Ubuntu: the package gcc with libc6-dev), or name it in CC",
    )


def _compile(compiler: str, interface: int, plugin: Path) -> None:
    command = (compiler, *_FLAGS, f"-DINTERFACE={interface}", "-o", str(plugin), str(SOURCE))
    try:
        done = subprocess.run(  # noqa: S603 - the host's own compiler, on our own source
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CountingUnavailable(f"instructions cannot be counted: the compiler does not run: {error}") from error
    if done.returncode or not plugin.is_file():
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "it did not say why")
        raise CountingUnavailable(
            f"instructions cannot be counted: {Path(compiler).name} cannot compile the counter: {said.strip()[:200]}",
            next_step="install the C library's headers (Debian and Ubuntu: libc6-dev), or name another compiler in CC",
        )


def _why(command: Sequence[str], version: str, refusals: Sequence[str]) -> str:
    name = f"{Path(command[-1]).name} ({version})"
    if all("unknown option" in refusal for refusal in refusals):
        return f"instructions cannot be counted: {name} was built without plugins, as static builds are"
    # The refusals of interfaces that are merely too new say nothing; the one of the oldest comes last.
    said = next((r for r in refusals if "wrong" in r), refusals[-1])
    return f"instructions cannot be counted: {name} takes no version of the counter: {said}"


# ---- a program whose instructions are known --------------------------------------------------------------------------

_TOLD: Final = (TELL, TELL, END)
_KNOWN: Final = 1 + 2 * _ROUNDS
_LOADED_AT: Final = 0x400000
_ELF_MACHINES: Final = {"aarch64": 183, "x86_64": 62}


def known_program(machine: str) -> bytes:
    """Make an executable that begins to count, goes twice round a loop of two instructions, and tells before and after.

    Between the first and the second record lie the setting of the loop's counter, its rounds, and the instructions of
    one call; between the second and the third the instructions of one call alone.

    Args:
        machine: ``aarch64`` or ``x86_64``.

    Returns:
        A static ELF file; its records go to standard output.
    """
    call, rounds, leave = (
        (_arm_call, _arm_rounds, _arm_leave) if machine == "aarch64" else (_x86_call, _x86_rounds, _x86_leave)
    )
    before, after, last = _TOLD
    code = call(BEGIN) + rounds + call(before) + rounds + call(after) + call(last) + leave
    header, segment = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
    offset = header.size + segment.size
    size = offset + len(code)
    kind = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian, version 1
    return (
        header.pack(
            kind,
            2,
            _ELF_MACHINES[machine],
            1,
            _LOADED_AT + offset,
            header.size,
            0,
            0,
            header.size,
            segment.size,
            1,
            0,
            0,
            0,
        )
        + segment.pack(1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x1000)  # one segment to load, readable, executable
        + code
    )


def _asking(what: int) -> int:
    standard_output = 1
    return MAGIC_CALL | what << 12 | standard_output


def _arm_call(what: int) -> bytes:
    low, high = _asking(what) & 0xFFFF, _asking(what) >> 16
    # movz x0, low; movk x0, high, lsl 16; movz x8, 155 (getpgid); svc 0
    return struct.pack("<4I", 0xD2800000 | low << 5, 0xF2A00000 | high << 5, 0xD2800008 | 155 << 5, 0xD4000001)


# movz x1, rounds; subs x1, x1, 1; b.ne back one instruction
_arm_rounds: Final = struct.pack("<3I", 0xD2800001 | _ROUNDS << 5, 0xF1000421, 0x54FFFFE1)
# movz x0, 0; movz x8, 93 (exit); svc 0
_arm_leave: Final = struct.pack("<3I", 0xD2800000, 0xD2800008 | 93 << 5, 0xD4000001)


def _x86_call(what: int) -> bytes:
    # mov edi, asked; mov eax, 121 (getpgid); syscall
    return struct.pack("<BIBI2s", 0xBF, _asking(what), 0xB8, 121, b"\x0f\x05")


# mov ecx, rounds; dec ecx; jnz back one instruction
_x86_rounds: Final = struct.pack("<BI4s", 0xB9, _ROUNDS, b"\xff\xc9\x75\xfc")
# xor edi, edi; mov eax, 60 (exit); syscall
_x86_leave: Final = struct.pack("<2sBI2s", b"\x31\xff", 0xB8, 60, b"\x0f\x05")


# ---- the trial -------------------------------------------------------------------------------------------------------


class _CountingProof:
    """What is tried on one qemu, without any guest's userland."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None) -> None:
        self._command = tuple(command)
        self._env = None if env is None else dict(env)

    def version(self) -> str:
        """First line of what ``--version`` says."""
        done = self._run("--version")
        line = done.stdout.decode(errors="replace").partition("\n")[0].strip()
        if done.returncode or not line:
            raise CountingUnavailable(
                f"instructions cannot be counted: {self._command[-1]} does not say which qemu it is: {_last(done)}",
                next_step="check the command that starts qemu",
            )
        return line.removeprefix("qemu-").strip()

    def program(self, folder: Path) -> Path:
        """Write the program for the processor that this qemu emulates; it is told by which one runs."""
        said = ""
        for machine in _ELF_MACHINES:
            path = folder / f"known-{machine}"
            path.write_bytes(known_program(machine))
            path.chmod(0o755)
            done = self._run(str(path))
            if done.returncode == 0:
                return path
            said = _last(done)
        raise CountingUnavailable(
            f"instructions cannot be counted: {Path(self._command[-1]).name} runs neither arm64 nor x86-64: {said}",
            next_step="name qemu-aarch64 or qemu-x86_64",
        )

    def refusal(self, counter: InstructionCounter, program: Path) -> str:
        """Say why a plugin cannot be used, or nothing if it counts as it should."""
        done = self._run(*counter.arguments, str(program))
        records = [COUNT.unpack_from(done.stdout, at) for at in range(0, len(done.stdout) - COUNT.size + 1, COUNT.size)]
        if done.returncode or not records:
            return _last(done)
        counts = [instructions for counting, instructions, _others, _interface in records if counting]
        if len(counts) != len(_TOLD):
            return f"it counts wrong: {len(counts)} counts in place of {len(_TOLD)}"
        # Before and after the known rounds, and once more: that difference is what telling itself takes.
        found = counts[1] - counts[0] - (counts[2] - counts[1])
        return "" if found == _KNOWN else f"it counts wrong: {found} instructions in place of {_KNOWN}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - the qemu that was named
                (*self._command, *arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
                env=self._env,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CountingUnavailable(
                f"instructions cannot be counted: {self._command[-1]} cannot be run: {error}",
                next_step="check the command that starts qemu",
            ) from error


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a program that failed said last, or how it ended."""
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    if lines:
        return lines[-1][:300]
    if done.returncode < 0:
        return f"it died of {signal_in_words(-done.returncode)}"
    return f"it left with exit code {done.returncode} and said nothing"
