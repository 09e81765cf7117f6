"""Emulation: phones' processors (arm64) and older x86 under qemu, and the instructions that a variant takes there.

Everything of it is in this folder: the processors as data (``tiers``), what they need and how it is installed
(``toolkit``, ``home``), the targets of a contract (``targets``), the counting of instructions (``counter``,
``measurer``) and the clauses on it (``clauses``). Needs neither root nor a container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.extending import Extension, hookimpl
from eyerace_parity.extending.shipped import shipped

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Family
    from eyerace_parity.cli.registry import Command
    from eyerace_parity.contract.options import Option
    from eyerace_parity.contract.points import TargetProvider
    from eyerace_parity.evidence.kinds import EvidenceKind
    from eyerace_parity.extensions.selftest.detection_limits import Degradation
    from eyerace_parity.report.html.charts import Picture
    from eyerace_parity.report.view.parts import ReportPart
    from eyerace_parity.report.view.pictures import PictureData

EXTENSION: Final = Extension("emulation", api=1, summary="arm64 and x86 under qemu, and counted instructions")


@hookimpl
def options() -> tuple[Option, ...]:
    """Where the parts of the emulation come from."""
    from eyerace_parity.extensions.emulation.settings import OPTIONS  # noqa: PLC0415 - imported with the table of options

    return OPTIONS


@hookimpl
def target_providers() -> tuple[TargetProvider, ...]:
    """``arm64/…`` and ``x86/…``."""
    from eyerace_parity.extensions.emulation.targets import PROVIDERS  # noqa: PLC0415 - only where a contract is read

    return PROVIDERS


@hookimpl
def evidence_kinds() -> tuple[EvidenceKind[Any], ...]:
    """Counted instructions."""
    from eyerace_parity.extensions.emulation.evidence import INSTRUCTIONS  # noqa: PLC0415 - as above

    return (INSTRUCTIONS,)


@hookimpl
def check_families() -> tuple[Family[Any], ...]:
    """Clauses on instructions, for the family ``arm64``."""
    from eyerace_parity.extensions.emulation.clauses import counted  # noqa: PLC0415 - as above

    return (counted,)


@hookimpl
def commands() -> tuple[Command, ...]:
    """``eyerace-parity arm64``."""
    from eyerace_parity.cli.registry import Command  # noqa: PLC0415 - only where commands are asked for

    own = shipped("emulation").commands
    return tuple(Command(each.name, each.summary, f"{__name__}.{each.name}_command", each.judges) for each in own)


@hookimpl
def report_parts() -> tuple[ReportPart, ...]:
    """The picture of instructions by target."""
    from eyerace_parity.report.view.parts import ReportPart  # noqa: PLC0415 - only where records are shown

    return (ReportPart(picture=_picture),)


def _picture(data: PictureData) -> Picture | None:
    from eyerace_parity.extensions.emulation.picture import instructions_picture  # noqa: PLC0415 - only on a page

    return instructions_picture(data)


@hookimpl
def degradations() -> tuple[Degradation, ...]:
    """More instructions."""
    from eyerace_parity.extensions.emulation.degradation import LONGER  # noqa: PLC0415 - only where the self-test asks

    return (LONGER,)
