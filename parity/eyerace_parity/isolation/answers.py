"""What a guest answers, as the host hands it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from eyerace_parity.evidence.artefacts import PortFact
    from eyerace_parity.evidence.base import Array


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answered: versions and the machine as the guest sees them, and whether it can count instructions."""

    python: str
    numpy: str
    onnxruntime: str
    machine: str
    system: str
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session made in the guest.

    Attributes:
        wall_ns: Wall time of making it.
        cpu_ns: Process CPU time of making it.
        baseline: Resident bytes before, with the runtime imported and the file's bytes read; ``None`` if not told.
        peak: Highest resident bytes since then.
        inputs: Inputs as the session declares them.
        outputs: Outputs as the session declares them.
        instructions: Instructions of making it, where they were asked for.
    """

    wall_ns: int
    cpu_ns: int
    baseline: int | None
    peak: int
    inputs: tuple[PortFact, ...]
    outputs: tuple[PortFact, ...]
    instructions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """One inference in the guest.

    Attributes:
        outputs: Every output by name.
        wall_ns: Wall time.
        cpu_ns: Process CPU time, over all threads.
        peak: Highest resident bytes since the session's file was read.
        instructions: Instructions of it, where they were asked for.
    """

    outputs: Mapping[str, Array]
    wall_ns: int
    cpu_ns: int
    peak: int
    instructions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Times of several sessions run in turn; both int64 [sessions, runs]."""

    wall_ns: NDArray[np.int64]
    cpu_ns: NDArray[np.int64]
