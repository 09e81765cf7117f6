"""The contract's targets in a run of the gate: where their emulation comes from, and what a run will ask of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.core.places import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eyerace_parity.checks.base import Planned
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.targets.equipment import Emulation


def emulation(contract: Contract, settings: Settings, progress: Progress) -> Emulation | None:
    """The emulated processors of a contract; ``None`` where it names none, so that nothing is imported for them."""
    if not contract.targets.run:
        return None
    from eyerace_parity.emulation.toolkit import Sources  # noqa: PLC0415 - only where a contract names targets
    from eyerace_parity.measure.targets.equipment import Emulation  # noqa: PLC0415

    sources = Sources(settings.arm64_home, settings.sysroot, settings.qemu, settings.wheels)
    return Emulation(contract, sources, offline=settings.offline, progress=progress)


def in_words(contract: Contract, settings: Settings, progress: Progress) -> str:
    """Say where a contract is executed, and what would first be installed for it; an empty text where it is nowhere."""
    equipment = emulation(contract, settings, progress)
    if equipment is None:
        return ""
    targets = contract.targets
    samples = "all samples" if settings.arm64 == "all" else f"{targets.images} samples a target"
    line = f"executed on {listed(targets.run)}: {listed(targets.executed(contract.variants))}, {samples}"
    missing = equipment.missing(targets.run)
    if not missing:
        return line
    verb = "missing, and not fetched because the run is offline" if settings.offline else "installed first"
    return f"{line}; {verb}: {listed(missing)}"


def wanted(planned: Iterable[Planned], unbuilt: Iterable[str]) -> Iterator[Need[Any]]:
    """What some clauses will ask for, but for what could not be built."""
    for each in planned:
        try:
            needs = each.needs
        except Exception:  # noqa: BLE001, S112 - judging it will say that the check is at fault
            continue
        yield from (need for need in needs if not {need.variant, need.versus} & set(unbuilt))
