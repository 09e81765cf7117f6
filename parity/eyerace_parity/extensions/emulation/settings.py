"""The options of a run that say where emulation takes its parts from. pytest imports this file at start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.contract.options import Option, OptionKind

if TYPE_CHECKING:
    from pathlib import Path


def _home() -> Path:
    from platformdirs import user_cache_path  # noqa: PLC0415 - only when a run begins

    return user_cache_path("eyerace-parity", appauthor=False) / "arm64"


OPTIONS: Final = (
    Option(
        "arm64_home",
        OptionKind.PATH,
        "folder of the emulated arm64 userland",
        "the user's cache folder",
        metavar="FOLDER",
        unset=_home,
    ),
    Option("sysroot", OptionKind.PATH, "arm64 userland of your own", "one is installed", metavar="FOLDER"),
    Option(
        "qemu",
        OptionKind.PATH,
        "folder of qemu-aarch64 and qemu-x86_64 of your own",
        "the machine's, else one is installed",
        metavar="FOLDER",
    ),
    Option("wheels", OptionKind.PATH, "folder of aarch64 wheels of your own", "they are fetched", metavar="FOLDER"),
)
"""In the order of :class:`~eyerace_parity.extensions.emulation.toolkit.Sources`."""
