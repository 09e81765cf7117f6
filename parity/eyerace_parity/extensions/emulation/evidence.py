"""Evidence of instruction counts."""

from __future__ import annotations

from typing import Final

from eyerace_parity.evidence.base import Fact, Provenance
from eyerace_parity.evidence.kinds import EvidenceKind, Runs
from eyerace_parity.evidence.registry import FED, SAMPLES, SESSIONS


class InstructionCounts(Fact):
    """Instructions that an emulated processor executes for a variant. They approximate cost and are not a time.

    Attributes:
        provenance: Origin of the measurement; its target is the processor.
        load: Instructions to create a session, one entry per session.
        first: Instructions of the first run, one entry per session.
        steady: Instructions of each later run, session by session.
        unavailable: Why this machine cannot count instructions, or an empty string.
        failure: Why the file could not be loaded or run there, or an empty string.
        signal: Number of the signal that ended the process, or ``None``.
        next_step: What to do about ``unavailable`` or ``failure``.
    """

    provenance: Provenance
    load: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    steady: tuple[int, ...] = ()
    unavailable: str = ""
    failure: str = ""
    signal: int | None = None
    next_step: str = ""


INSTRUCTIONS: Final = EvidenceKind(
    name="Instructions",
    type=InstructionCounts,
    measurer="eyerace_parity.extensions.emulation.measurer:INSTRUCTIONS",
    code=("measure/kinds/execution.py", "extensions/emulation/icount.c", *SAMPLES, *SESSIONS),
    reads=FED,
    runs=Runs.ON_TARGETS,
)
