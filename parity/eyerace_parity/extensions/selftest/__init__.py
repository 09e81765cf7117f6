"""The gate tests itself: faults are planted in a good bundle, and each must be seen, for the right reason.

A check that cannot fail is worse than none. ``faults`` is the catalogue, a ``workshop`` plants a fault without touching
the bundle, the ``examiner`` judges what became of it, ``detection_limits`` finds how small a fault may be and still be
seen, and ``conditions`` repeats the untouched gate where it must stay green.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.extending import Extension, hookimpl
from eyerace_parity.extending.shipped import commands_of

if TYPE_CHECKING:
    from eyerace_parity.cli.registry import Command

EXTENSION: Final = Extension(
    "selftest", api=1, summary="faults planted in a good bundle, and what the gate sees of them"
)


@hookimpl
def commands() -> tuple[Command, ...]:
    """``eyerace-parity selftest``."""
    from eyerace_parity.cli.registry import Command  # noqa: PLC0415 - only where commands are asked for

    return tuple(Command(*each, f"{__name__}.selftest_command") for each in commands_of("selftest"))
