"""The laboratory: supplies evidence for clauses, measured now or read from the evidence cache.

The registry (:mod:`eyerace_parity.evidence.registry`) declares the kinds of evidence, and the providers
(:mod:`eyerace_parity.measure.providers`) obtain it, from the cache where that is allowed. The laboratory asks the first
provider that takes a need, and remembers the answer for the run. Failures are remembered too: a variant that does not
load is tried once in a run, not once for each clause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.evidence.registry import KINDS
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
        all_samples: Whether targets run all golden samples instead of a selection.
        isolated: The isolated worker, which runs crash-prone native code; without one, this process runs it.
        rehash: Whether to hash files again even if size, times and inode are unchanged.

    Attributes:
        context: What is measured, and with what.
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
        all_samples: bool = False,
        isolated: IsolatedWorker | None = None,
        rehash: bool = False,
    ) -> None:
        opener = golden_opener if isolated is None else self._prepared_by(isolated, golden_opener)
        self.context = MeasurementContext(
            contract, opener, store, max(1, jobs), progress, use_recorded, peer_python, rehash
        )
        self._targets = TargetEvidence(
            self.context,
            equipment,
            answers=self.obtain,
            everything=all_samples,
            abandon=(lambda: None) if isolated is None else isolated.cancel,
        )
        provenances = Provenances(self.context, self._targets)
        self._providers: tuple[Provider, ...] = (
            Derived(contract, self),
            Accepted(store, baseline, provenances),
            OfGoldenSet(self.context),
            OnTargets(self.context, provenances),
            Recorded(self.context, provenances),
            MeasuredHere(self.context, provenances, self.obtain, isolated),
        )
        self._found: dict[Need[Any], tuple[str, Any] | MeasurementError] = {}
        self._lock = RLock()

    def _prepared_by(self, isolated: IsolatedWorker, opener: Opener) -> Opener:
        """Return an opener of golden sets whose samples the isolated worker prepares."""
        from eyerace_parity.measure.isolated_worker import ProxyGoldenSet  # noqa: PLC0415 - only if there is an isolated worker

        return lambda contract: ProxyGoldenSet(opener(contract), self.context, isolated)

    @property
    def contract(self) -> Contract:
        """The contract that evidence is obtained for."""
        return self.context.contract

    def expect(self, needs: Iterable[Need[Any]]) -> None:
        """Announce needs, so that evidence from one target is measured in one worker."""
        with self._lock:
            self._targets.expect(needs)

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be obtained; later calls for the same need raise the same error without trying.
        """
        with self._lock:
            if need not in self._found:
                try:
                    with _failures_explained(need):
                        self._found[need] = self._provider(need).obtain(need)
                except MeasurementError as error:
                    self._found[need] = error
                except ParityError as error:
                    self._found[need] = MeasurementError(error.reason, next_step=error.next_step)
            found = self._found[need]
            if isinstance(found, MeasurementError):
                raise found.with_traceback(None)
            if not need.baseline and KINDS.of(need.kind).has_provenance:
                # If a file has changed since, the evidence describes a file that no longer exists: no verdict on it.
                self.context.require(found[1].provenance, quick=True)
        return cast("E", found[1])

    def key(self, need: Need[Any]) -> str:
        """Return the content key of the evidence for a need, whether it is measured already or not.

        Raises:
            MeasurementError: Something that the key is made of cannot be read.
        """
        with self._lock:
            found = self._found.get(need)
            return found[0] if isinstance(found, tuple) else self._provider(need).key(need)

    def _provider(self, need: Need[Any]) -> Provider:
        return next(provider for provider in self._providers if provider.takes(need))

    def close(self) -> None:
        """Keep the evidence cache within its size limit, if this run has added to it."""
        if self.context.store.wrote:
            self.context.store.tidy()


@contextmanager
def _failures_explained(need: Need[Any]) -> Iterator[None]:
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
