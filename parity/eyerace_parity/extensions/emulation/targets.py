"""The emulated processors as targets of a contract."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

from pydantic import Field

from eyerace_parity.contract.points import TargetProvider
from eyerace_parity.contract.targets import OwnTarget
from eyerace_parity.core.digests import rows_digest
from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.extensions.emulation.settings import OPTIONS
from eyerace_parity.extensions.emulation.tiers import ARCHITECTURES, KNOWN, own_tier, tier_named
from eyerace_parity.extensions.emulation.toolkit import GuestVersions, Sources, missing, obtain
from eyerace_parity.extensions.emulation.userland import numeric_digests, numeric_files
from eyerace_parity.measure.seals import Seal
from eyerace_parity.runners import onnxruntime as onnx_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.emulation.tiers import Tier
    from eyerace_parity.measure.targets.equipment import TargetCommand


class OwnTier(OwnTarget):
    """A processor that the contract describes.

    Attributes:
        cpu: Name of the processor in the emulator, e.g. ``cortex-a76``.
        cpuinfo: Entry of one processor in a matching ``/proc/cpuinfo``. Required for arm64, where the runtime reads it.
        phones: The phones that it represents, in one line.
    """

    cpu: str = Field(min_length=1)
    cpuinfo: str = ""
    phones: str = ""


def tier_of(contract: Contract, target: str) -> Tier:
    """Look up a target that a contract names.

    Raises:
        ContractError: There is no target of this name, or the contract's description of it is invalid.
    """
    stated = contract.targets.own.get(target)
    if isinstance(stated, OwnTier):
        return own_tier(target, cpu=stated.cpu, cpuinfo=stated.cpuinfo, phones=stated.phones)
    return tier_named(target, _own(contract))


def _own(contract: Contract) -> dict[str, Tier]:
    described = contract.targets.own.items()
    return {name: tier_of(contract, name) for name, stated in described if isinstance(stated, OwnTier)}


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
        self._found: dict[str, TargetCommand | MeasurementError] = {}
        self._sysroot: Seal | None = None

    def toolkit(self, target: str) -> TargetCommand:
        """Say how a worker is started on a target; what that needs is obtained once in a run.

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


def sources_of(settings: Settings) -> Sources:
    """Where the settings say that the parts come from."""
    return Sources(*(settings.added[option.name] for option in OPTIONS))


def equipment(contract: Contract, settings: Settings, progress: Progress) -> EmulatedTargets:
    """What equips a contract's emulated processors in a run."""
    return EmulatedTargets(contract, sources_of(settings), offline=settings.offline, progress=progress)


def _names(prefix: str) -> Callable[[Contract], Sequence[str]]:
    """The names that begin with a prefix: those that every contract can name, and the contract's own."""
    return lambda contract: [name for name in (*KNOWN, *contract.targets.own) if name.startswith(f"{prefix}/")]


def _check(contract: Contract, target: str) -> None:
    tier_of(contract, target)


PROVIDERS: Final = tuple(TargetProvider(prefix, _check, equipment, _names(prefix), OwnTier) for prefix in ARCHITECTURES)
"""Who provides ``arm64/…`` and ``x86/…``."""
