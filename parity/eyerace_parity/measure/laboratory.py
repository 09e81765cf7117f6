"""The laboratory: whoever needs evidence asks here, and gets it measured, kept from before, or told why not.

One table (:mod:`eyerace_parity.measure.measurers`) says how each kind is measured, where it comes from, and whether it
may be kept. Everything else is the same for all kinds: look at what this run has, then at the store, then measure. What
could not be measured is remembered like what could: a variant that does not load is tried once, not once a clause.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eyerace_parity.core.errors import BaselineMissing, MeasurementError, ParityError
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Golden, Outputs
from eyerace_parity.evidence.base import Fact, Need, Provenance
from eyerace_parity.evidence.costs import Preflight
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.source import NEXT_STEP_BASELINE, refuse_incomparable
from eyerace_parity.measure import recorded
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.kinds import flips, footprint
from eyerace_parity.measure.measurers import content_key, golden_key, measurer_of
from eyerace_parity.measure.targets.executor import KINDS
from eyerace_parity.measure.targets.target_evidence import TargetEvidence

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence import Evidence
    from eyerace_parity.evidence.source import Baseline
    from eyerace_parity.golden.dataset import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.measure.isolated_worker import IsolatedWorker
    from eyerace_parity.measure.measurers import Measurer
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
    evidence: Evidence


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
        self._assistant = assistant
        opener = golden_opener if assistant is None else self._handed(golden_opener, assistant)
        self._bench = MeasurementContext(
            contract, opener, store, max(1, jobs), progress, use_recorded, peer_python, rehash
        )
        self._baseline = baseline
        self._elsewhere = TargetEvidence(
            self._bench,
            equipment,
            answers=self.obtain,
            key=content_key,
            everything=everything,
            abandon=(lambda: None) if assistant is None else assistant.abandon,
        )
        self._found: dict[Need[Any], Measured | Unmeasured] = {}
        self._sources: dict[Need[Any], Provenance] = {}
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
                    evidence = self._get(need)
                    self._found[need] = Measured(self._key_of(need, evidence), need, cast("Evidence", evidence))
                except MeasurementError as error:
                    self._found[need] = Unmeasured(need, error)
                except ParityError as error:
                    self._found[need] = Unmeasured(need, MeasurementError(error.reason, next_step=error.next_step))
            found = self._found[need]
            if isinstance(found, Unmeasured):
                raise found.error.with_traceback(None)
            if not need.baseline and not isinstance(found.evidence, Golden):
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
            if need.kind is FlipLedger:
                return self._key_of(need, self.obtain(need))  # reckoned from evidence that must be had anyhow
            if need.baseline:
                return self._of_baseline().key(need)
            if need.kind is Golden:
                return golden_key(self._bench.golden().digest)
            return content_key(need.kind, self._source(need))

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

    def _get(self, need: Need[E]) -> E:
        if need.kind is FlipLedger:
            return cast("E", self._flips(cast("Need[FlipLedger]", need)))
        if need.baseline:
            return self._obtain_of_baseline(need)
        if need.kind in KINDS:
            return cast("E", self._elsewhere.obtain(need))
        return self._obtain(need)

    def _obtain(self, need: Need[E]) -> E:
        if need.target != HOST:
            reason = f"nothing here can measure on {need.target}"
            raise MeasurementError(reason, next_step=f"measure on the target {HOST!r}")
        if need.kind is Golden:
            return cast("E", self._golden())
        source = self._source(need)
        if need.kind is Outputs and self._bench.stands_in(need.variant):
            return cast("E", recorded.read(self._bench.contract, need.variant, source))
        measurer = measurer_of(need.kind)
        if not measurer.kept:
            return self._measure(need, measurer, source)
        key = content_key(need.kind, source)
        self._bench.require(source)
        kept = get(self._bench.store, need.kind, key)
        if kept is not None:
            return kept
        with self._bench.store.claim(key):
            # Another run may have measured it while this one waited.
            kept = get(self._bench.store, need.kind, key)
            if kept is not None:
                return kept
            evidence = self._measure(need, measurer, source)
            put(self._bench.store, key, cast("Evidence", evidence))
            return evidence

    def _measure(self, need: Need[E], measurer: Measurer[E], source: Provenance) -> E:
        if measurer.survival:
            for variant in filter(None, (need.variant, need.versus)):
                self._require_survival(variant, need, measurer)
        # What is neither kept nor taken alone only reads files: it disturbs nobody, and no lock is imported for it.
        quick = not measurer.kept and not measurer.alone
        turn = nullcontext() if quick else self._bench.store.turn(alone=measurer.alone)
        with turn, _failures_told(need), self._bench.sealed(source):
            if measurer.apart and self._assistant is not None:
                return self._assistant.measure(self._bench, need, source)
            return measurer.measure(self._bench, need, source)

    def _require_survival(self, variant: str, need: Need[Any], measurer: Measurer[Any]) -> None:
        """See a variant survive elsewhere before it is executed here, or with an assistant whom others need, too."""
        if not self._bench.is_torch(variant):
            footprint.require_preflight(self._bench, self.obtain(Need(Preflight, variant, need.target)))
        elif self._assistant is not None and not measurer.apart:
            self.obtain(Need(Outputs, variant, need.target))

    def _of_baseline(self) -> Baseline:
        if self._baseline is None:
            raise BaselineMissing("no accepted release is given to compare with", next_step=NEXT_STEP_BASELINE)
        return self._baseline

    def _obtain_of_baseline(self, need: Need[E]) -> E:
        evidence = self._of_baseline().obtain(need)
        if (found := getattr(evidence, "provenance", None)) is not None:
            refuse_incomparable(need, found, self._source(dataclasses.replace(need, baseline=False)))
        if not isinstance(evidence, Fact):
            # A record names arrays by key only; kept here, they can be judged again after the release has gone.
            put(self._bench.store, self._of_baseline().key(need), cast("Evidence", evidence))
        return evidence

    def _flips(self, need: Need[FlipLedger]) -> FlipLedger:
        """Reckon the flips of a variant against another's answers, or the release's."""
        other = Need(Outputs, need.versus, need.target, baseline=need.baseline)
        golden = self.obtain(Need(Golden))
        ours, theirs = self.obtain(Need(Outputs, need.variant, need.target)), self.obtain(other)
        settings = ours.provenance.settings | {"versus": need.versus, "versus_evidence": self.key(other)}
        source = ours.provenance.model_copy(update={"settings": settings, "cached": False})
        return flips.compute_flips(self._bench.contract, golden, ours, theirs, source=source)

    def _golden(self) -> Golden:
        facts = self._bench.golden().facts()
        key = golden_key(facts.digest)
        kept = get(self._bench.store, Golden, key)
        if kept is None or kept.columns != facts.columns:  # of which its key says nothing
            put(self._bench.store, key, facts)  # so that a record can be judged again without the images
        return facts

    def _source(self, need: Need[Any]) -> Provenance:
        if need not in self._sources:
            if need.kind in KINDS:
                self._sources[need] = self._elsewhere.provenance(need)
            else:
                self._sources[need] = measurer_of(need.kind).provenance(self._bench, need)
        return self._sources[need]

    def _key_of(self, need: Need[Any], evidence: Any) -> str:
        if need.baseline:
            return self._of_baseline().key(need)
        if isinstance(evidence, Golden):
            return golden_key(evidence.digest)
        return content_key(need.kind, evidence.provenance)


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
