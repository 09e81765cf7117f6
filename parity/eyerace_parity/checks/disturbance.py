"""What disturbed the machine while times were taken, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.numbers import format_number, pluralise

if TYPE_CHECKING:
    from eyerace_parity.evidence.costs import Disturbance

_FEW_CORES, _MANY_CORES = 0.25, 0.1  # processors that others may keep busy: so many, or this share of all
_STEAL = 0.01
_CLOCK = 0.8


def disturbances(seen: Disturbance | None) -> list[str]:
    """Say what disturbed the machine while times were taken; nothing where nothing did, or nothing is known."""
    if seen is None:
        return []
    found = []
    if seen.others > max(_FEW_CORES, _MANY_CORES * seen.cores):
        found.append(
            f"other processes kept {format_number(seen.others)} of {pluralise(seen.cores, 'processor')} busy, "
            "on average"
        )
    if seen.steal is not None and seen.steal > _STEAL:
        found.append(
            f"the host of this virtual machine took {format_number(100 * seen.steal)} % of its time for others"
        )
    if seen.throttled:
        found.append(f"the control group was held back in {pluralise(seen.throttled, 'period')}")
    if seen.thermal:
        found.append(f"processors were slowed down for their heat {pluralise(seen.thermal, 'time')}")
    slow, fast = seen.slowest_mhz, seen.fastest_mhz
    if slow is not None and fast is not None and slow < _CLOCK * fast:
        found.append(f"the processor's clock moved between {format_number(slow)} and {format_number(fast)} MHz")
    return found
