"""What it takes to start a worker on a tier: the command, and the identity of everything in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parity.emulation.tiers import Tier
    from parity.progress import Progress


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
class Runtime:
    """The versions wanted in the guest: those of the run."""

    onnxruntime: str
    numpy: str


@dataclass(frozen=True, slots=True)
class Toolkit:
    """How a worker is started on a tier.

    Attributes:
        tier: The processor.
        command: Command for :class:`parity.runners.guest.Guest`; ends in a Python that runs its worker.
        counting_command: The same with the plugin that counts instructions; empty where it cannot be.
        counting_refused: Why it cannot be, as a sentence.
        identity: All that could change a number, for evidence keys; no paths.
    """

    tier: Tier
    command: tuple[str, ...]
    counting_command: tuple[str, ...]
    counting_refused: str
    identity: Mapping[str, str]


def obtain(tier: Tier, runtime: Runtime, sources: Sources, *, offline: bool, progress: Progress) -> Toolkit:
    """Make a toolkit, and install what is missing unless told not to.

    Raises:
        MeasurementError: Something is missing and must not, or cannot, be fetched.
    """
    raise NotImplementedError


def missing(tier: Tier, runtime: Runtime, sources: Sources) -> tuple[str, ...]:
    """Say what :func:`obtain` would have to fetch, for a run's header."""
    raise NotImplementedError
