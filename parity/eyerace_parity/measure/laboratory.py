"""The laboratory: whoever needs evidence asks here, and gets it measured, kept from before, or told why not.

The registry (:mod:`eyerace_parity.evidence.registry`) says what each kind is, and a table of providers
(:mod:`eyerace_parity.measure.providers`) where its evidence comes from. Everything else is the same for all kinds: look
at what this run has, then at the cache, then ask the provider. What could not be had is remembered like what could: a
variant that does not load is tried once, not once a clause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.providers import (
    Accepted,
    Derived,
    MeasuredHere,
    OfGoldenSet,
    OnTargets,
    Provenances,
    Recorded,
)
from eyerace_parity.measure.targets.target_evidence import TargetEvidence

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.evidence.source import Baseline
    from eyerace_parity.golden.dataset import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.measure.isolated_worker import IsolatedWorker
    from eyerace_parity.measure.providers import Provider
    from eyerace_parity.measure.targets.equipment import TargetEquipment

E = TypeVar("E")

Opener = Callable[["Contract"], "GoldenSet"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A piece of evidence that this run has, for the record.

    Attributes:
        key: The content key under which it stands in the record, and in the store if it holds arrays.
        need: What it answers.
        evidence: The evidence.
    """

    key: str
    need: Need[Any]
    evidence: Any


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A piece of evidence that this run could not get.

    Attributes:
        need: What was wanted.
        error: Why there is none.
    """

    need: Need[Any]
    error: MeasurementError


class Laboratory:
    """Obtains evidence for one contract. Calls from several threads are measured one after the other.

    Args:
        contract: The contract.
        golden_opener: Opens its golden set; called when it is first needed.
        store: Where measurements are kept between runs.
        jobs: Golden samples evaluated side by side.
        progress: Who hears of long work.
        use_recorded: Whether recorded outputs stand in for torch variants even where torch is installed.
        baseline: The accepted release, which answers the needs that ask for it.
        peer_python: A Python, or the folder of its environment, with another ONNX Runtime to take times in turns with.
        equipment: How a worker is started on a target; without it, only the host executes.
        everything: Whether targets run all golden samples, and not those that are chosen.
        assistant: Who does what native code could take a process down by; without one, this process does.
        rehash: Whether files are hashed again where their unchanged size, times and inode would do.
    """

    def __init__(
        self,
        contract: Contract,
        golden_opener: Opener,
        store: EvidenceCache,
        *,
        jobs: int,
        progress: Progress,
        use_recorded: bool = False,
        baseline: Baseline | None = None,
        peer_python: Path | None = None,
        equipment: TargetEquipment | None = None,
        everything: bool = False,
        assistant: IsolatedWorker | None = None,
        rehash: bool = False,
    ) -> None:
        opener = golden_opener if assistant is None else self._handed(golden_opener, assistant)
        self._bench = MeasurementContext(
            contract, opener, store, max(1, jobs), progress, use_recorded, peer_python, rehash
        )
        self._elsewhere = TargetEvidence(
            self._bench,
            equipment,
            answers=self.obtain,
            everything=everything,
            abandon=(lambda: None) if assistant is None else assistant.abandon,
        )
        provenances = Provenances(self._bench, self._elsewhere)
        self._providers: tuple[Provider, ...] = (
            Derived(self._bench, self),
            Accepted(self._bench, baseline, provenances),
            OfGoldenSet(self._bench),
            OnTargets(self._elsewhere, provenances),
            Recorded(self._bench, provenances),
            MeasuredHere(self._bench, provenances, self.obtain, assistant),
        )
        self._found: dict[Need[Any], Measured | Unmeasured] = {}
        self._lock = RLock()

    def _handed(self, opener: Opener, assistant: IsolatedWorker) -> Opener:
        """Open golden sets whose samples an assistant prepares."""
        from eyerace_parity.measure.isolated_worker import ProxyGoldenSet  # noqa: PLC0415 - only where there is one

        return lambda contract: ProxyGoldenSet(opener(contract), self._bench, assistant)

    @property
    def contract(self) -> Contract:
        """The contract that evidence is obtained for."""
        return self._bench.contract

    def expect(self, needs: Iterable[Need[Any]]) -> None:
        """Hear what will be asked for, so that what is best measured together is."""
        with self._lock:
            self._elsewhere.expect(needs)

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be had; every later call for the same need says so without trying again.
        """
        with self._lock:
            if need not in self._found:
                try:
                    self._found[need] = self._get(need)
                except MeasurementError as error:
                    self._found[need] = Unmeasured(need, error)
                except ParityError as error:
                    self._found[need] = Unmeasured(need, MeasurementError(error.reason, next_step=error.next_step))
            found = self._found[need]
            if isinstance(found, Unmeasured):
                raise found.error.with_traceback(None)
            if not need.baseline and KINDS.of(need.kind).has_provenance:
                # Whatever was measured or kept is true of a file that is gone; no verdict is given on it any more.
                self._bench.require(found.evidence.provenance, quick=True)
        return cast("E", found.evidence)

    def key(self, need: Need[Any]) -> str:
        """The content key of the evidence for a need, measured or not.

        Raises:
            MeasurementError: Something that the key is made of cannot be read.
        """
        with self._lock:
            found = self._found.get(need)
            if isinstance(found, Measured):
                return found.key
            return self._provider(need).key(need)

    def documents(self) -> tuple[Measured, ...]:
        """Everything measured so far, in the order in which it was asked for."""
        with self._lock:
            return tuple(found for found in self._found.values() if isinstance(found, Measured))

    def failures(self) -> tuple[Unmeasured, ...]:
        """Everything that could not be measured so far."""
        with self._lock:
            return tuple(found for found in self._found.values() if isinstance(found, Unmeasured))

    def close(self) -> None:
        """Keep the store within its size, if this run has added to it."""
        if self._bench.store.wrote:
            self._bench.store.tidy()

    # ---- one need ----------------------------------------------------------------------------------------------------

    def _provider(self, need: Need[Any]) -> Provider:
        return next(provider for provider in self._providers if provider.takes(need))

    def _get(self, need: Need[Any]) -> Measured:
        provider = self._provider(need)
        source = provider.kept(need)
        if source is None:
            return self._provided(provider, need)
        key = provider.key(need)
        self._bench.require(source)
        found = get(self._bench.store, need.kind, key)
        if found is not None:
            return Measured(key, need, found)
        with self._bench.store.claim(key):
            # Another run may have measured it while this one waited.
            found = get(self._bench.store, need.kind, key)
            if found is not None:
                return Measured(key, need, found)
            measured = self._provided(provider, need)
            put(self._bench.store, key, measured.evidence)
            return measured

    def _provided(self, provider: Provider, need: Need[Any]) -> Measured:
        with _failures_told(need):
            key, evidence = provider.obtain(need)
        return Measured(key, need, evidence)


@contextmanager
def _failures_told(need: Need[Any]) -> Iterator[None]:
    """Turn what the machine refuses (a full disk, too little memory) into evidence that could not be obtained."""
    try:
        yield
    except MemoryError as error:
        reason = f"there was not enough memory to measure {need}"
        raise MeasurementError(reason, next_step="lower golden.batch or the number of jobs", transient=True) from error
    except OSError as error:
        reason = f"the system refused to let {need} be measured: {error.strerror or error}"
        raise MeasurementError(reason, next_step="free what is short, then run again", transient=True) from error
