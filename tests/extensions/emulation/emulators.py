"""Emulators for tests with real guests: this machine's, the installed one, or one fetched where no test may be skipped.

On a developer's machine such a test is skipped, with the reason, where there is no emulator. In CI it fails.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.emulation import counter
from eyerace_parity.extensions.emulation.home import Home
from eyerace_parity.extensions.emulation.qemu import find_qemu, install_qemu
from eyerace_parity.isolation.runtime_worker import WORKER

if TYPE_CHECKING:
    from eyerace_parity.extensions.emulation.counter import InstructionCounter
    from eyerace_parity.extensions.emulation.qemu import Emulator
    from eyerace_parity.extensions.emulation.tiers import Architecture

# Read when this file is imported: later the tests' own environment hides the developer's.
_STATED = os.environ.get("EYERACE_PARITY_ARM64_HOME")
_MUST = bool(os.environ.get("CI"))


def home() -> Home:
    """The developer's own folder of installed parts."""
    from platformdirs import user_cache_path

    return Home(Path(_STATED) if _STATED else user_cache_path("eyerace-parity", appauthor=False) / "arm64")


def lacking(reason: str) -> NoReturn:
    """Leave a test out, or fail it where none may be left out."""
    if _MUST:
        pytest.fail(f"CI must run this test, but {reason}")
    pytest.skip(reason)


@cache
def _emulator(architecture: Architecture) -> Emulator | str:
    try:
        found = find_qemu(architecture, home())
        if found is None and _MUST:
            with home().claim(SilentProgress()):
                found = install_qemu(architecture, home(), SilentProgress())
    except MeasurementError as error:
        return error.reason
    return found or f"there is no qemu-{architecture} on this machine: eyerace-parity arm64 install fetches one"


def emulator(architecture: Architecture) -> Emulator:
    """An emulator; the test is left out where there is none."""
    found = _emulator(architecture)
    return lacking(found) if isinstance(found, str) else found


@cache
def _counter(architecture: Architecture, folder: Path) -> InstructionCounter | str:
    try:
        return counter.build(emulator(architecture).bare(), folder)
    except counter.CountingUnavailable as error:
        return error.reason


def counting(architecture: Architecture, folder: Path) -> InstructionCounter:
    """A plugin that counts; the test is left out where there can be none."""
    found = _counter(architecture, folder)
    return lacking(found) if isinstance(found, str) else found


def x86_command(*arguments: str, code: str = "") -> tuple[str, ...]:
    """This very Python under ``qemu-x86_64``: its worker, or some code in place of it.

    Args:
        arguments: For the emulator.
        code: What Python runs.
    """
    qemu = emulator("x86_64")
    python = (sys.executable, "-c", code) if code else (sys.executable, str(WORKER))
    return (*qemu.within(), "-cpu", "Haswell", *qemu.hidden(keep=True), *arguments, *python)
