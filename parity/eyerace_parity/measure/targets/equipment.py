"""How a worker is started on a target: on this machine's own Python, or on an emulated processor."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Protocol

from eyerace_parity.core.digests import rows_digest
from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.emulation.tiers import own_tier, tier_named
from eyerace_parity.emulation.toolkit import GuestVersions, missing, obtain
from eyerace_parity.emulation.userland import numeric_digests, numeric_files
from eyerace_parity.extending.loading import active
from eyerace_parity.measure.seals import Seal
from eyerace_parity.runners import onnxruntime as onnx_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.points import TargetProvider
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.emulation.tiers import Tier
    from eyerace_parity.emulation.toolkit import Sources, Toolkit


class TargetEquipment(Protocol):
    """Whoever knows how a worker is started on a target."""

    def toolkit(self, target: str) -> Toolkit | TargetCommand:
        """Say how a worker is started there.

        Raises:
            MeasurementError: It cannot be.
        """

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Say what would have to be fetched for some targets, each part once."""

    def prove(self, target: str) -> None:
        """Prove after a measurement that what executes there was the same all along.

        Raises:
            InputChanged: A file of the user's own that could change a number was written to.
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
    """

    command: tuple[str, ...]
    identity: Mapping[str, str]
    counting_command: tuple[str, ...] = ()
    counting_refused: str = "instructions are not counted on this target"


def check_target(contract: Contract, target: str) -> None:
    """Refuse a target that nobody provides.

    Raises:
        ContractError: There is none of this name, or its description cannot be used.
    """
    provider = _provider_of(contract, target)
    if provider is None:
        tier_of(contract, target)
    else:
        provider.check(contract, target)


def _provider_of(contract: Contract, target: str) -> TargetProvider | None:
    """The extension's provider of a target; ``None`` for an emulated processor."""
    added: tuple[TargetProvider, ...] = active().added("target_providers", contract.extensions)
    return next((each for each in added if target.startswith(f"{each.prefix}/")), None)


class ProvidedTargets:
    """The targets of a contract, each by whoever provides it.

    Args:
        contract: The contract.
        emulated: Equips the emulated processors.
        equip: Called with a provider of an extension; opens its equipment when it is first needed.
    """

    def __init__(
        self, contract: Contract, emulated: TargetEquipment, equip: Callable[[TargetProvider], TargetEquipment]
    ) -> None:
        self._contract = contract
        self._emulated = emulated
        self._equip = equip
        self._opened: dict[str, TargetEquipment] = {}

    def toolkit(self, target: str) -> Toolkit | TargetCommand:
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
            return self._emulated
        if provider.prefix not in self._opened:
            self._opened[provider.prefix] = self._equip(provider)
        return self._opened[provider.prefix]


def tier_of(contract: Contract, target: str) -> Tier:
    """Look up a target that a contract names.

    Raises:
        ContractError: There is none of this name, or the contract's own description of it cannot be used.
    """
    stated = contract.targets.own.get(target)
    if stated is not None:
        return own_tier(target, cpu=stated.cpu, cpuinfo=stated.cpuinfo, phones=stated.phones)
    return tier_named(target, {name: tier_of(contract, name) for name in contract.targets.own})


class EmulatedTargets:
    """The emulated processors of this machine. What is missing is installed when it is first needed.

    Args:
        contract: The contract, which may describe processors of its own.
        sources: Where the parts of the emulation lie.
        offline: Whether nothing may be fetched.
        progress: Who hears of installing.
    """

    def __init__(self, contract: Contract, sources: Sources, *, offline: bool, progress: Progress) -> None:
        self._contract = contract
        self._sources = sources
        self._offline = offline
        self._progress = progress
        self._found: dict[str, Toolkit | MeasurementError] = {}
        self._sysroot: Seal | None = None

    def toolkit(self, target: str) -> Toolkit:
        """Say how a worker is started on a target.

        Raises:
            MeasurementError: Something is missing and may not, or cannot, be fetched; it is tried once a run.
        """
        if target not in self._found:
            try:
                if self._sysroot is None and self._sources.sysroot is not None:
                    self._sysroot = _sealed(self._sources.sysroot)
                self._found[target] = obtain(
                    tier_of(self._contract, target),
                    runtime_of_the_run(),
                    self._sources,
                    offline=self._offline,
                    progress=self._progress,
                )
            except MeasurementError as error:
                self._found[target] = error
            except ParityError as error:
                self._found[target] = MeasurementError(error.reason, next_step=error.next_step)
        found = self._found[target]
        if isinstance(found, MeasurementError):
            raise found
        return found

    def prove(self, target: str) -> None:
        """Prove that the user's own userland was the same all along; what was installed is never written to again.

        Raises:
            InputChanged: It was not.
        """
        if self._sysroot is not None and target in self._found:
            self._sysroot.prove()

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Say what would have to be fetched for some targets, each part once."""
        found: dict[str, None] = {}
        for target in targets:
            try:
                parts = missing(tier_of(self._contract, target), runtime_of_the_run(), self._sources)
            except ParityError:
                continue  # the clauses that need it will say why
            found |= dict.fromkeys(parts)
        return tuple(found)


def _sealed(root: Path) -> Seal:
    """Seal what of a user's own userland stands in a key."""
    return Seal(lambda: numeric_files(root).values(), lambda: rows_digest(numeric_digests(root).items()))


def runtime_of_the_run() -> GuestVersions:
    """The versions that a guest must have to be compared with this process."""
    return GuestVersions(onnx_runtime.runtime().partition(" ")[2], metadata.version("numpy"))
