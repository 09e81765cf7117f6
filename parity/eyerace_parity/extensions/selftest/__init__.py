"""The self-test: faults are planted in a good bundle, and the gate must detect each one and name its cause.

A check that cannot fail is worse than none. ``faults`` is the catalogue. A ``workshop`` plants a fault without changing
the bundle. The ``examiner`` judges the damaged bundle. ``detection_limits`` finds the smallest detected strength.
``conditions`` repeats the unchanged gate under conditions that must not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.extending import Extension, hookimpl
from eyerace_parity.extending.shipped import shipped

if TYPE_CHECKING:
    from eyerace_parity.cli.registry import Command

EXTENSION: Final = Extension(
    "selftest", api=1, summary="faults planted in a good bundle, and what the gate sees of them"
)


@hookimpl
def commands() -> tuple[Command, ...]:
    """``eyerace-parity selftest``."""
    from eyerace_parity.cli.registry import Command  # noqa: PLC0415 - only where commands are asked for

    return tuple(
        Command(each.name, each.summary, f"{__name__}.selftest_command", each.judges)
        for each in shipped("selftest").commands
    )
