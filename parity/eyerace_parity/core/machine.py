"""What the processor can do, as far as numbers and times depend on it, and telemetry switched off.

No names: a record must not tell whose it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_FIRST_BLOCK: Final = 16_384
"""Characters of ``/proc/cpuinfo`` that hold at least the first core; on large machines the whole file is slow."""

# Instruction sets that a numeric library may choose a kernel by. All others (virtualisation, clocks, mitigations)
# change with the kernel's and the firmware's version and say nothing about numbers.
_NUMERIC: Final = re.compile(
    r"^(sse.*|ssse3|avx.*|fma|fma4|f16c|amx.*|asimd.*|fphp|neon.*|sve.*|sme.*|i8mm|bf16|vfpv\d|rvv.*|v|vsx|altivec)$"
)

# The one feature that says most about int8, best first.
_TELLING: Final = {
    "x86-64": (
        ("avx512_vnni", "avx512-vnni"),
        ("avx_vnni", "avx-vnni"),
        ("avx512f", "avx512"),
        ("avx2", "avx2"),
        ("avx", "avx"),
    ),
    "aarch64": (("i8mm", "i8mm"), ("asimddp", "dotprod"), ("asimd", "neon")),
}
_ARCHITECTURES: Final = {"amd64": "x86-64", "x86_64": "x86-64", "arm64": "aarch64"}


@cache
def fingerprint() -> str:
    """Fingerprint of this machine's processor, e.g. ``x86-64 avx2 1f2e3d4c``.

    Architecture, the instruction set that says most about integer arithmetic, and a digest of all of them. Equal
    fingerprints choose the same kernels; they do not promise the same speed.
    """
    architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower() or "unknown")
    features = _features()
    telling = next((word for flag, word in _TELLING.get(architecture, ()) if flag in features), "")
    digest = hashlib.sha256(" ".join(sorted(features)).encode()).hexdigest()[:8]
    return " ".join(part for part in (architecture, telling, digest) if part)


@cache
def installed_version(distribution: str) -> str:
    """Version of an installed distribution. ``importlib.metadata`` reads its whole description each time.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed.
    """
    return metadata.version(distribution)


def load_average() -> float | None:
    """One-minute load average, or ``None`` where the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _features() -> frozenset[str]:
    if sys.platform == "darwin":
        return _features_of_macos()
    try:
        with _CPUINFO.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_FIRST_BLOCK)
    except OSError:
        # Elsewhere (Windows) the processor's family and model stand for what it can do.
        return frozenset({platform.processor()})
    line = re.search(r"^(?:flags|Features|isa)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(flag for flag in (line.group(1).split() if line else ()) if _NUMERIC.match(flag))


def _features_of_macos() -> frozenset[str]:
    try:
        told = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features", "hw.optional"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return frozenset({platform.processor()})
    arm = {"FEAT_I8MM": "i8mm", "FEAT_DotProd": "asimddp", "AdvSIMD": "asimd", "FEAT_BF16": "bf16", "FEAT_FP16": "fphp"}
    on = {word for name, word in arm.items() if re.search(rf"{name}: 1", told)}
    words = {word.lower().replace(".", "_") for word in told.split()}
    return frozenset(on | {word for word in words if _NUMERIC.match(word)})


def disable_telemetry() -> None:
    """Keep ONNX Runtime from reporting to its makers; called before it is imported.

    A gate works offline, and a thread that reports disturbs what is measured. Who has set the variable keeps it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
