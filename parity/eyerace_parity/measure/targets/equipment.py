"""Starts workers on targets: in this machine's Python, or on an emulated processor."""

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
    """Knows how a worker is started on a target."""

    def toolkit(self, target: str) -> Toolkit | TargetCommand:
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
        ContractError: There is no target of this name, or the contract's description of it is invalid.
    """
    stated = contract.targets.own.get(target)
    if stated is not None:
        return own_tier(target, cpu=stated.cpu, cpuinfo=stated.cpuinfo, phones=stated.phones)
    return tier_named(target, {name: tier_of(contract, name) for name in contract.targets.own})


class EmulatedTargets:
    """The emulated processors of this machine. Missing parts are installed when they are first needed.

    Args:
        contract: The contract; it may describe further processors.
        sources: Locations of the parts of the emulation.
        offline: Whether downloads are forbidden.
        progress: Receives the progress of the installation.
    """

    def __init__(self, contract: Contract, sources: Sources, *, offline: bool, progress: Progress) -> None:
        self._contract = contract
        self._sources = sources
        self._offline = offline
        self._progress = progress
        self._found: dict[str, Toolkit | MeasurementError] = {}
        self._sysroot: Seal | None = None

    def toolkit(self, target: str) -> Toolkit:
        """Return the toolkit that starts a worker on a target; it is obtained once in a run.

        Raises:
            MeasurementError: A part is missing and cannot or must not be downloaded.
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
        """Prove that the user's own userland did not change; installed files are never written to again.

        Raises:
            InputChanged: It has changed.
        """
        if self._sysroot is not None and target in self._found:
            self._sysroot.prove()

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Return the parts that must be downloaded for some targets, each once."""
        found: dict[str, None] = {}
        for target in targets:
            try:
                parts = missing(tier_of(self._contract, target), runtime_of_the_run(), self._sources)
            except ParityError:
                continue  # the clauses that need the target report the error
            found |= dict.fromkeys(parts)
        return tuple(found)


def _sealed(root: Path) -> Seal:
    """Seal the files of a user's own userland whose digests are in a key."""
    return Seal(lambda: numeric_files(root).values(), lambda: rows_digest(numeric_digests(root).items()))


def runtime_of_the_run() -> GuestVersions:
    """Return the versions that an emulated worker must have to be comparable with this process."""
    return GuestVersions(onnx_runtime.runtime().partition(" ")[2], metadata.version("numpy"))
