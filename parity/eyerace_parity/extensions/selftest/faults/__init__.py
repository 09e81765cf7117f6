"""The catalogue of faults, one file a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.extensions.selftest.faults import (
    cost,
    export,
    hybrid,
    labels,
    preprocessing,
    quantisation,
    runtime,
    weights,
)

if TYPE_CHECKING:
    from eyerace_parity.extensions.selftest.model import PlantedFault

CATALOGUE: tuple[PlantedFault, ...] = (
    *preprocessing.FAULTS,
    *labels.FAULTS,
    *export.FAULTS,
    *weights.FAULTS,
    *quantisation.FAULTS,
    *runtime.FAULTS,
    *cost.FAULTS,
    *hybrid.FAULTS,
)
"""Every fault, in the order of the table."""
