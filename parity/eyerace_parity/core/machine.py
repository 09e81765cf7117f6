"""Processor fingerprint, load average, installed versions, and ONNX Runtime's telemetry switch.

The fingerprint contains no host name: a record must not identify its owner.
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
"""Characters of ``/proc/cpuinfo`` to read. They contain at least the first core; the whole file is slow on large
machines."""

# Instruction sets that select kernels in numeric libraries. Other flags (virtualisation, clocks, mitigations) change
# with the kernel and the firmware and do not affect numbers.
_NUMERIC: Final = re.compile(
    r"^(sse.*|ssse3|avx.*|fma|fma4|f16c|amx.*|asimd.*|fphp|neon.*|sve.*|sme.*|i8mm|bf16|vfpv\d|rvv.*|v|vsx|altivec)$"
)

# The feature that decides how int8 is computed, best first. It changes numbers, too: without VNNI, u8 x s8 products
# saturate in 16 bits, and a QDQ file's SQNR falls from 45.2 dB to 25.8 dB (measured with ONNX Runtime 1.22 on AVX2).
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
    """Return the fingerprint of this machine's processor, e.g. ``x86-64 avx2 1f2e3d4c``.

    It consists of the architecture, the instruction set that decides int8 arithmetic, and a digest of all numeric
    instruction sets. Processors with equal fingerprints select the same kernels, but may differ in speed.
    """
    architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower() or "unknown")
    features = _features()
    telling = next((word for flag, word in _TELLING.get(architecture, ()) if flag in features), "")
    digest = hashlib.sha256(" ".join(sorted(features)).encode()).hexdigest()[:8]
    return " ".join(part for part in (architecture, telling, digest) if part)


@cache
def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution.

    ``importlib.metadata.version`` parses all of its metadata, which may contain a whole README: milliseconds each.

    Raises:
        importlib.metadata.PackageNotFoundError: The distribution is not installed.
    """
    found = metadata.distribution(distribution)
    line = re.search(r"^Version:(.*)$", found.read_text("METADATA") or "", re.MULTILINE)
    return found.version if line is None else line[1].strip()


def load_average() -> float | None:
    """Return the one-minute load average, or ``None`` on systems without one."""
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
        # Windows has no such file; the processor's family and model identify its features.
        return frozenset({platform.processor()})
    line = re.search(r"^(?:flags|Features|isa)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(flag for flag in (line.group(1).split() if line else ()) if _NUMERIC.match(flag))


def _features_of_macos() -> frozenset[str]:
    try:
        output = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features", "hw.optional"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return frozenset({platform.processor()})
    arm = {"FEAT_I8MM": "i8mm", "FEAT_DotProd": "asimddp", "AdvSIMD": "asimd", "FEAT_BF16": "bf16", "FEAT_FP16": "fphp"}
    on = {word for name, word in arm.items() if re.search(rf"{name}: 1", output)}
    words = {word.lower().replace(".", "_") for word in output.split()}
    return frozenset(on | {word for word in words if _NUMERIC.match(word)})


def disable_telemetry() -> None:
    """Disable ONNX Runtime's telemetry. Call this before it is imported.

    The gate works offline, and a reporting thread disturbs timing. A value that the user has set is kept. The Android
    and iOS builds report by default (microsoft/onnxruntime#27379, #29911).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
