"""The laboratory: supplies evidence for clauses, measured now or read from the evidence cache.

The registry (:mod:`eyerace_parity.evidence.registry`) declares the kinds of evidence, and the providers
(:mod:`eyerace_parity.measure.providers`) obtain it. Everything else is the same for all kinds: first the evidence of
this run, then the cache, then the provider. Failures are remembered too: a variant that does not load is tried once in
a run, not once for each clause.
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
    """A piece of evidence that this run has obtained.

    Attributes:
        key: Its content key in the record, and in the evidence cache if it holds arrays.
        need: The need that it meets.
        evidence: The evidence.
    """

    key: str
    need: Need[Any]
    evidence: Any


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A piece of evidence that this run could not obtain.

    Attributes:
        need: The need.
        error: Why it could not be obtained.
    """

    need: Need[Any]
    error: MeasurementError


class Laboratory:
    """Obtains evidence for one contract. Calls from several threads are served one after the other.

    Args:
        contract: The contract.
        golden_opener: Opens the golden set; called when it is first needed.
        store: The evidence cache.
        jobs: Number of golden samples evaluated at the same time.
        progress: Receives the progress of long work.
        use_recorded: Whether recorded outputs replace torch variants even if torch is installed.
        baseline: The accepted release, for needs that ask for it.
        peer_python: A Python, or the folder of its environment, with another ONNX Runtime to time against.
        equipment: Starts workers on targets; without it, only the host executes.
        everything: Whether targets run all golden samples instead of a selection.
        isolated: The isolated worker, which runs crash-prone native code; without one, this process runs it.
        rehash: Whether to hash files again even if size, times and inode are unchanged.
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
        isolated: IsolatedWorker | None = None,
        rehash: bool = False,
    ) -> None:
        opener = golden_opener if isolated is None else self._handed(golden_opener, isolated)
        self._bench = MeasurementContext(
            contract, opener, store, max(1, jobs), progress, use_recorded, peer_python, rehash
        )
        self._elsewhere = TargetEvidence(
            self._bench,
            equipment,
            answers=self.obtain,
            everything=everything,
            abandon=(lambda: None) if isolated is None else isolated.abandon,
        )
        provenances = Provenances(self._bench, self._elsewhere)
        self._providers: tuple[Provider, ...] = (
            Derived(self._bench, self),
            Accepted(self._bench, baseline, provenances),
            OfGoldenSet(self._bench),
            OnTargets(self._elsewhere, provenances),
            Recorded(self._bench, provenances),
            MeasuredHere(self._bench, provenances, self.obtain, isolated),
        )
        self._found: dict[Need[Any], Measured | Unmeasured] = {}
        self._lock = RLock()

    def _handed(self, opener: Opener, isolated: IsolatedWorker) -> Opener:
        """Return an opener of golden sets whose samples the isolated worker prepares."""
        from eyerace_parity.measure.isolated_worker import ProxyGoldenSet  # noqa: PLC0415 - only if there is an isolated worker

        return lambda contract: ProxyGoldenSet(opener(contract), self._bench, isolated)

    @property
    def contract(self) -> Contract:
        """The contract that evidence is obtained for."""
        return self._bench.contract

    def expect(self, needs: Iterable[Need[Any]]) -> None:
        """Announce needs, so that evidence from one target is measured in one worker."""
        with self._lock:
            self._elsewhere.expect(needs)

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be obtained; later calls for the same need raise the same error without trying.
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
                # If a file has changed since, the evidence describes a file that no longer exists: no verdict on it.
                self._bench.require(found.evidence.provenance, quick=True)
        return cast("E", found.evidence)

    def key(self, need: Need[Any]) -> str:
        """Return the content key of the evidence for a need, whether it is measured already or not.

        Raises:
            MeasurementError: Something that the key is made of cannot be read.
        """
        with self._lock:
            found = self._found.get(need)
            if isinstance(found, Measured):
                return found.key
            return self._provider(need).key(need)

    def documents(self) -> tuple[Measured, ...]:
        """Return all evidence obtained so far, in the order of the requests."""
        with self._lock:
            return tuple(found for found in self._found.values() if isinstance(found, Measured))

    def failures(self) -> tuple[Unmeasured, ...]:
        """Return all needs that could not be met so far."""
        with self._lock:
            return tuple(found for found in self._found.values() if isinstance(found, Unmeasured))

    def close(self) -> None:
        """Keep the evidence cache within its size limit, if this run has added to it."""
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
            # Another run may have measured it while this run waited for the claim.
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
    """Turn errors of the system (a full disk, too little memory) into transient measurement errors.

    Raises:
        MeasurementError: The system refused something.
    """
    try:
        yield
    except MemoryError as error:
        reason = f"there was not enough memory to measure {need}"
        raise MeasurementError(reason, next_step="lower golden.batch or the number of jobs", transient=True) from error
    except OSError as error:
        reason = f"the system refused to let {need} be measured: {error.strerror or error}"
        raise MeasurementError(reason, next_step="free what is short, then run again", transient=True) from error
