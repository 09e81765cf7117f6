"""What the self-test makes worse of counted instructions, to find the least growth that a contract sees."""

from __future__ import annotations

from typing import Final

from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.selftest.detection_limits import Degradation, percent


def _longer(counted: InstructionCounts, share: float, *_: object) -> InstructionCounts:
    return counted.model_copy(update={"steady": tuple(round(count * (1 + share)) for count in counted.steady)})


LONGER: Final = Degradation(
    "instructions", InstructionCounts, 1e-3, 10, _longer, percent("more instructions"), target=True
)
