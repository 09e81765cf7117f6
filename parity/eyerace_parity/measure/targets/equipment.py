"""Starts workers on targets: what a provider of targets says of each, and whose a target is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eyerace_parity.core.errors import ContractError, MeasurementError
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.extending.loading import active
from eyerace_parity.extending.shipped import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.points import TargetProvider
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress


class TargetEquipment(Protocol):
    """Knows how a worker is started on a target."""

    def toolkit(self, target: str) -> TargetCommand:
        """Return the command that starts a worker on a target.

        Raises:
            MeasurementError: No worker can be started there.
        """

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Say what would have to be fetched for some targets, each part once."""

    def prove(self, target: str) -> None:
        """Prove after a measurement that the target's files did not change during it.

        Raises:
            InputChanged: A file of the user that could change a number was written to.
        """


@dataclass(frozen=True, slots=True)
class TargetCommand:
    """How a worker is started on a target, as a provider of targets says it.

    Attributes:
        command: Command for :class:`eyerace_parity.isolation.runtime_worker.RuntimeWorker`; ends in a Python that runs
            its worker.
        identity: All that could change a number, for evidence keys; no paths.
        counting_command: The same where instructions are counted; empty where they cannot be.
        counting_refused: Why they cannot be, as a sentence.
        processor: What executes there, for the sentence that names an instruction which it lacks.
    """

    command: tuple[str, ...]
    identity: Mapping[str, str]
    counting_command: tuple[str, ...] = ()
    counting_refused: str = "instructions are not counted on this target"
    processor: str = "processor"


def check_target(contract: Contract, target: str) -> None:
    """Refuse a target that nobody provides.

    Raises:
        ContractError: There is none of this name, or its description cannot be used.
    """
    provider = _provider_of(contract, target)
    if provider is not None:
        provider.check(contract, target)
        return
    if owner := owner_of("targets", target.partition("/")[0]):
        active().require(owner, f"the target {target!r}")
    known = [name for each in _providers(contract) for name in each.names(contract)]
    raise ContractError(
        f"there is no target {target!r}{did_you_mean(target, known)}",
        next_step=f"targets: {join_names(known)}" if known else "enable or install an extension that provides it",
    )


def equipment_of(contract: Contract, settings: Settings, progress: Progress) -> TargetEquipment | None:
    """What equips the targets of a contract; ``None`` where it names none."""
    if not contract.targets.run:
        return None
    return ProvidedTargets(contract, lambda provider: provider.equipment(contract, settings, progress))


def _providers(contract: Contract) -> tuple[TargetProvider, ...]:
    found: tuple[TargetProvider, ...] = active().added("target_providers", contract.extensions)
    return found


def _provider_of(contract: Contract, target: str) -> TargetProvider | None:
    """Who provides a target: whoever its name begins with, else whoever the contract's own targets are for."""
    providers = _providers(contract)
    named = next((each for each in providers if target.startswith(f"{each.prefix}/")), None)
    if named is None and target in contract.targets.own:
        return next((each for each in providers if each.own is not None), None)
    return named


class ProvidedTargets:
    """The targets of a contract, each by whoever provides it.

    Args:
        contract: The contract.
        equip: Called with a provider; opens its equipment when it is first needed.
    """

    def __init__(self, contract: Contract, equip: Callable[[TargetProvider], TargetEquipment]) -> None:
        self._contract = contract
        self._equip = equip
        self._opened: dict[Callable[..., object], TargetEquipment] = {}

    def toolkit(self, target: str) -> TargetCommand:
        """Say how a worker is started there; see :meth:`TargetEquipment.toolkit`."""
        return self._of(target).toolkit(target)

    def prove(self, target: str) -> None:
        """Prove that what executes there was the same all along; see :meth:`TargetEquipment.prove`."""
        self._of(target).prove(target)

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Say what would have to be fetched for some targets, each part once."""
        found: dict[str, None] = {}
        for target in targets:
            found |= dict.fromkeys(self._of(target).missing((target,)))
        return tuple(found)

    def _of(self, target: str) -> TargetEquipment:
        provider = _provider_of(self._contract, target)
        if provider is None:
            raise MeasurementError(f"nothing here can measure on {target}", next_step="name a target that there is")
        # One extension may provide targets of several prefixes with the same equipment.
        if provider.equipment not in self._opened:
            self._opened[provider.equipment] = self._equip(provider)
        return self._opened[provider.equipment]
