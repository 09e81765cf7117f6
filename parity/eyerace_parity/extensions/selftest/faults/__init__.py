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

CATALOGUE: tuple[PlantedFault, ...] = tuple(
    fault
    for family in (preprocessing, labels, export, weights, quantisation, runtime, cost, hybrid)
    for fault in family.FAULTS.faults
)
"""Every fault, in the order of the table."""
