"""The instruction counter: a QEMU plugin, compiled on first use, and trusted only if it counts a known program exactly.

QEMU itself decides which version of the plugin interface it accepts: it refuses versions that are too new or too old,
so the newest accepted one is used. The compiled plugin is tested with a program of a few machine instructions whose
count is known. If the count is wrong, nothing is kept.
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
from eyerace_parity.core.files import file_marks
from eyerace_parity.isolation.worker import BEGIN, COUNT, END, MAGIC_CALL, TELL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE: Final = Path(__file__).with_name("icount.c")
"""The plugin's C source."""

# The interface changed twice where the counter uses it: version 2 (QEMU 9.0) removed the old inline call and added
# scoreboards, version 7 (11.1) changed a callback's signature.
INTERFACES: Final = (7, 6, 5, 4, 3, 2, 1)
"""Versions of QEMU's plugin interface that the source supports, newest first."""

COMPILERS: Final = ("cc", "gcc", "clang")
"""Compiler commands that are tried, after the one in ``CC``."""

# A plugin is a shared library; QEMU looks up its exported functions by name.
_FLAGS: Final = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
# Long enough to notice a missing or doubled count in any block, and still done in a fraction of a second.
_ROUNDS: Final = 1000
_SECONDS: Final = 60.0


_versions: Final[dict[tuple[object, ...], str]] = {}
"""What each QEMU reports of itself: each target of a run asks, and a file that stays the same is run once."""


class CountingUnavailable(MeasurementError):  # noqa: N818 - an answer about this machine, not a fault
    """Instructions cannot be counted with this QEMU on this machine; the reason is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class InstructionCounter:
    """A plugin that counts instructions.

    Attributes:
        plugin: The shared library.
        interface: Version of QEMU's plugin interface that it was compiled for.
    """

    plugin: Path
    interface: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments for QEMU, before the program. QEMU splits at commas, so a comma in the path is doubled."""
        return ("-plugin", str(self.plugin).replace(",", ",,"))


def build(qemu: Path | Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None) -> InstructionCounter:
    """Compile the plugin for a QEMU, or return the compiled one.

    Args:
        qemu: The emulator, or the command that runs it.
        folder: Folder of compiled plugins; it may be deleted while nothing runs.
        env: Environment for QEMU; this process's own by default.

    Returns:
        The plugin; it has counted a known program exactly.

    Raises:
        CountingUnavailable: There is no compiler, this QEMU accepts no plugins, or the count was wrong.
    """
    command = (str(qemu),) if isinstance(qemu, Path) else tuple(qemu)
    proof = _CountingProof(command, env)
    version = _versions.get(known := (command, env and tuple(env.items()), file_marks(Path(command[-1]))))
    if version is None:
        version = _versions[known] = proof.version()
    stem = f"icount-{_identity(version, command)}"
    for existing in sorted(folder.glob(f"{stem}-v*.so")):
        return InstructionCounter(existing, int(existing.stem.rpartition("-v")[2]))
    compiler = _compiler()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="icount-", dir=folder) as scratch:
        program = proof.program(Path(scratch))
        refusals: list[str] = []
        for interface in INTERFACES:
            plugin = Path(scratch, f"{stem}-v{interface}.so")
            _compile(compiler, interface, plugin)
            if refusal := proof.refusal(InstructionCounter(plugin, interface), program):
                refusals.append(refusal)
                continue
            # Two processes may build at once: both write the same bytes, and replacing a file is atomic.
            return InstructionCounter(plugin.replace(folder / plugin.name), interface)
    raise CountingUnavailable(_why(command, version, refusals), next_step=_NEXT)


_NEXT: Final = "name a dynamically linked qemu with plugins, 7.2 or newer, with --qemu; Debian's is static from 9.1 on"


def _identity(version: str, command: Sequence[str]) -> str:
    """Digest of everything that decides whether a compiled plugin still fits: QEMU, the source, and the flags."""
    digest = hashlib.sha256(SOURCE.read_bytes())
    for part in (version, Path(command[-1]).name, platform.machine(), *_FLAGS):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()[:16]


def _compiler() -> str:
    named = os.environ.get("CC", "").split()
    for name in (*named[:1], *COMPILERS):
        if path := shutil.which(name):
            return path
    raise CountingUnavailable(
        "instructions cannot be counted: there is no C compiler on this machine to compile the counter",
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
        fault = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "no reason given")
        raise CountingUnavailable(
            f"instructions cannot be counted: {Path(compiler).name} cannot compile the counter: {fault.strip()[:200]}",
            next_step="install the C library's headers (Debian and Ubuntu: libc6-dev), or name another compiler in CC",
        )


def _why(command: Sequence[str], version: str, refusals: Sequence[str]) -> str:
    name = f"{Path(command[-1]).name} ({version})"
    if all("unknown option" in refusal for refusal in refusals):
        return f"instructions cannot be counted: {name} was built without plugins, as static builds are"
    # A refusal of an interface that is too new is no reason; the refusal of the oldest interface comes last.
    message = next((r for r in refusals if "wrong" in r), refusals[-1])
    return f"instructions cannot be counted: {name} accepts no version of the counter: {message}"


# ---- a program with a known number of instructions -------------------------------------------------------------------

_RECORDS: Final = (TELL, TELL, END)
# One instruction sets the loop counter, each round takes two.
_EXPECTED: Final = 1 + 2 * _ROUNDS
# The usual start address of a static x86-64 program; any free page works.
_LOADED_AT: Final = 0x400000
_ELF_MACHINES: Final = {"aarch64": 183, "x86_64": 62}


def known_program(machine: str) -> bytes:
    """Make an executable that starts counting, runs a loop of two instructions, and reports before and after.

    Between the first and the second record are: setting the loop counter, the rounds, and the instructions of one call.
    Between the second and the third are the instructions of one call alone.

    Args:
        machine: ``aarch64`` or ``x86_64``.

    Returns:
        A static ELF file; it writes its records to standard output.
    """
    call, rounds, leave = (
        (_arm_call, _arm_rounds, _arm_leave) if machine == "aarch64" else (_x86_call, _x86_rounds, _x86_leave)
    )
    before, after, last = _RECORDS
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


def _call_argument(what: int) -> int:
    standard_output = 1
    return MAGIC_CALL | what << 12 | standard_output


def _arm_call(what: int) -> bytes:
    low, high = _call_argument(what) & 0xFFFF, _call_argument(what) >> 16
    # movz x0, low; movk x0, high, lsl 16; movz x8, 155 (getpgid); svc 0
    return struct.pack("<4I", 0xD2800000 | low << 5, 0xF2A00000 | high << 5, 0xD2800008 | 155 << 5, 0xD4000001)


# movz x1, rounds; subs x1, x1, 1; b.ne back one instruction
_arm_rounds: Final = struct.pack("<3I", 0xD2800001 | _ROUNDS << 5, 0xF1000421, 0x54FFFFE1)
# movz x0, 0; movz x8, 93 (exit); svc 0
_arm_leave: Final = struct.pack("<3I", 0xD2800000, 0xD2800008 | 93 << 5, 0xD4000001)


def _x86_call(what: int) -> bytes:
    # mov edi, asked; mov eax, 121 (getpgid); syscall
    return struct.pack("<BIBI2s", 0xBF, _call_argument(what), 0xB8, 121, b"\x0f\x05")


# mov ecx, rounds; dec ecx; jnz back one instruction
_x86_rounds: Final = struct.pack("<BI4s", 0xB9, _ROUNDS, b"\xff\xc9\x75\xfc")
# xor edi, edi; mov eax, 60 (exit); syscall
_x86_leave: Final = struct.pack("<2sBI2s", b"\x31\xff", 0xB8, 60, b"\x0f\x05")


# ---- the proof -------------------------------------------------------------------------------------------------------


class _CountingProof:
    """Tests one QEMU and its plugin with a static program, without a userland."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None) -> None:
        self._command = tuple(command)
        self._env = None if env is None else dict(env)

    def version(self) -> str:
        """First line of the output of ``--version``."""
        done = self._run("--version")
        line = done.stdout.decode(errors="replace").partition("\n")[0].strip()
        if done.returncode or not line:
            raise CountingUnavailable(
                f"instructions cannot be counted: {self._command[-1]} does not report its version: {_last_words(done)}",
                next_step="check the command that starts qemu",
            )
        return line.removeprefix("qemu-").strip()

    def program(self, folder: Path) -> Path:
        """Write the program for the processor that this QEMU emulates: the one that runs."""
        message = ""
        for machine in _ELF_MACHINES:
            path = folder / f"known-{machine}"
            path.write_bytes(known_program(machine))
            path.chmod(0o755)
            done = self._run(str(path))
            if done.returncode == 0:
                return path
            message = _last_words(done)
        raise CountingUnavailable(
            f"instructions cannot be counted: {Path(self._command[-1]).name} runs neither arm64 nor x86-64: {message}",
            next_step="name qemu-aarch64 or qemu-x86_64",
        )

    def refusal(self, counter: InstructionCounter, program: Path) -> str:
        """Why a plugin cannot be used; empty if it counts exactly."""
        done = self._run(*counter.arguments, str(program))
        records = [COUNT.unpack_from(done.stdout, at) for at in range(0, len(done.stdout) - COUNT.size + 1, COUNT.size)]
        if done.returncode or not records:
            return _last_words(done)
        counts = [instructions for counting, instructions, _others, _interface in records if counting]
        if len(counts) != len(_RECORDS):
            return f"it counts wrong: {len(counts)} counts instead of {len(_RECORDS)}"
        # The second difference is the cost of one report, which the first difference contains, too.
        counted = counts[1] - counts[0] - (counts[2] - counts[1])
        return "" if counted == _EXPECTED else f"it counts wrong: {counted} instructions instead of {_EXPECTED}"

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


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Last line that a failed program wrote, or how it ended."""
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    if lines:
        return lines[-1][:300]
    if done.returncode < 0:
        return f"it died of {signal_in_words(-done.returncode)}"
    return f"it ended with exit code {done.returncode} and no message"
