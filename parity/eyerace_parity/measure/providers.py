"""Where evidence comes from, asked in this order: the first that takes a need provides it.

Derived from other evidence · the accepted release · the golden set's own facts · targets · recorded outputs · measured
here. The laboratory knows none of them: it remembers, and looks into the cache first where a provider allows it.
"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from eyerace_parity.core.errors import BaselineMissing, MeasurementError, WorkerDied
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.evidence.source import NEXT_STEP_BASELINE, refuse_incomparable
from eyerace_parity.measure import recorded
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.context import MeasurementContext, content_key, golden_key
from eyerace_parity.measure.measurer import derivation_of, measurer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.evidence.source import Baseline, Source
    from eyerace_parity.measure.isolated_worker import IsolatedWorker
    from eyerace_parity.measure.targets.target_evidence import TargetEvidence


class Provider(Protocol):
    """One place where evidence comes from."""

    def takes(self, need: Need[Any]) -> bool:
        """Whether it answers a need."""

    def key(self, need: Need[Any]) -> str:
        """The key of the evidence for a need, before it is obtained.

        Raises:
            MeasurementError: Something that the key is made of cannot be read.
        """

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """The evidence for a need, and the key under which it stands in the record.

        Raises:
            MeasurementError: It cannot be had.
        """

    def kept(self, need: Need[Any]) -> Provenance | None:
        """Where the evidence will come from, if the cache may answer instead; ``None`` if it may not."""


class Provenances:
    """Where evidence of the candidate will come from; worked out once a run for each need.

    Args:
        bench: What is measured.
        targets: What is executed on targets.
    """

    def __init__(self, bench: MeasurementContext, targets: TargetEvidence) -> None:
        self._bench = bench
        self._targets = targets
        self._found: dict[Need[Any], Provenance] = {}

    def of(self, need: Need[Any]) -> Provenance:
        """Say where it will come from, without measuring.

        Raises:
            MeasurementError: Something that belongs to it cannot be read.
        """
        if need not in self._found:
            on_targets = self._targets.takes(need)
            self._found[need] = (
                self._targets.provenance(need) if on_targets else measurer_of(need.kind).provenance(self._bench, need)
            )
        return self._found[need]


class NeverKept:
    """Base of providers that the cache never answers for."""

    def kept(self, _need: Need[Any]) -> Provenance | None:
        """``None``; see :meth:`Provider.kept`."""
        return None


class Derived(NeverKept):
    """Evidence that is computed from other evidence, the accepted release's included.

    Args:
        bench: What is measured.
        source: Gives the other evidence.
    """

    def __init__(self, bench: MeasurementContext, source: Source) -> None:
        self._bench = bench
        self._source = source

    def takes(self, need: Need[Any]) -> bool:
        """Whether it is computed."""
        return KINDS.of(need.kind).runs is Runs.DERIVED

    def key(self, need: Need[Any]) -> str:
        """The key; what it is computed from must be had for it."""
        return content_key(need.kind, self._source.obtain(need).provenance)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Compute it."""
        columns = self._source.obtain(Need(GoldenFacts)).columns
        evidence = derivation_of(need.kind).derive(self._bench.contract, need, self._source, columns)
        return content_key(need.kind, evidence.provenance), evidence


class Accepted(NeverKept):
    """Evidence of the accepted release.

    Args:
        bench: What is measured.
        baseline: The release; ``None`` where none is given.
        provenances: Where the candidate's evidence comes from, to refuse what cannot be compared.
    """

    def __init__(self, bench: MeasurementContext, baseline: Baseline | None, provenances: Provenances) -> None:
        self._bench = bench
        self._baseline = baseline
        self._provenances = provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether it is the release's."""
        return need.baseline

    def key(self, need: Need[Any]) -> str:
        """The release's own key."""
        return self._release().key(need)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Take it from the release, if it can be compared with the candidate's."""
        declared, key = KINDS.of(need.kind), self.key(need)
        evidence = self._release().obtain(need)
        if declared.has_provenance:
            wanted = self._provenances.of(dataclasses.replace(need, baseline=False))
            refuse_incomparable(need, evidence.provenance, wanted)
        if not declared.is_fact:
            # A record names arrays by key only; kept here, they can be judged again after the release has gone.
            put(self._bench.store, key, evidence)
        return key, evidence

    def _release(self) -> Baseline:
        if self._baseline is None:
            raise BaselineMissing("no accepted release is given to compare with", next_step=NEXT_STEP_BASELINE)
        return self._baseline


class OfGoldenSet(NeverKept):
    """What the golden set itself states.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: MeasurementContext) -> None:
        self._bench = bench

    def takes(self, need: Need[Any]) -> bool:
        """Whether the golden set states it."""
        return need.kind is GoldenFacts

    def key(self, _need: Need[Any]) -> str:
        """The set's digest, as a key."""
        return golden_key(self._bench.golden().digest)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Take it from the set."""
        _refuse_targets(need)
        facts = self._bench.golden().facts()
        key = golden_key(facts.digest)
        kept = get(self._bench.store, GoldenFacts, key)
        if kept is None or kept.columns != facts.columns:  # of which its key says nothing
            put(self._bench.store, key, facts)  # so that a record can be judged again without the images
        return key, facts


class OnTargets(NeverKept):
    """What is executed on targets, many needs together; the cache is asked there, too.

    Args:
        targets: Executes it.
        provenances: Where it comes from.
    """

    def __init__(self, targets: TargetEvidence, provenances: Provenances) -> None:
        self._targets = targets
        self._provenances = provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether it is executed on targets."""
        return self._targets.takes(need)

    def key(self, need: Need[Any]) -> str:
        """The content key."""
        return content_key(need.kind, self._provenances.of(need))

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Execute it, with all else that is expected."""
        evidence = self._targets.obtain(need)
        return content_key(need.kind, evidence.provenance), evidence


class Recorded(NeverKept):
    """Recorded outputs, which stand in for a torch variant that cannot or shall not run.

    Args:
        bench: What is measured.
        provenances: Where outputs would come from if the variant were run.
    """

    def __init__(self, bench: MeasurementContext, provenances: Provenances) -> None:
        self._bench = bench
        self._provenances = provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether recorded outputs are used."""
        return need.kind is Outputs and self._bench.stands_in(need.variant)

    def key(self, need: Need[Any]) -> str:
        """The content key that measured outputs would have."""
        return content_key(need.kind, self._provenances.of(need))

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read them, if they are of the very bundle at hand."""
        _refuse_targets(need)
        evidence = recorded.read(self._bench.contract, need.variant, self._provenances.of(need))
        return content_key(need.kind, evidence.provenance), evidence


class MeasuredHere:
    """What is measured on this machine, in the isolated worker wherever its kind asks for that.

    Args:
        bench: What is measured.
        provenances: Where it comes from.
        obtain: Gives the evidence that a variant can be run at all.
        isolated: Measures in a process that may die; ``None`` to measure everything in this one.
    """

    def __init__(
        self,
        bench: MeasurementContext,
        provenances: Provenances,
        obtain: Callable[[Need[Any]], Any],
        isolated: IsolatedWorker | None,
    ) -> None:
        self._bench = bench
        self._provenances = provenances
        self._obtain = obtain
        self._isolated = isolated

    def takes(self, _need: Need[Any]) -> bool:
        """Always: nobody is asked after this one."""
        return True

    def key(self, need: Need[Any]) -> str:
        """The content key."""
        return content_key(need.kind, self._provenances.of(need))

    def kept(self, need: Need[Any]) -> Provenance | None:
        """See :meth:`Provider.kept`."""
        _refuse_targets(need)
        return self._provenances.of(need) if KINDS.of(need.kind).keep else None

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Measure it, while the files that it rests on are sealed."""
        _refuse_targets(need)
        declared, source = KINDS.of(need.kind), self._provenances.of(need)
        for variant in filter(None, (need.variant, need.versus)):
            self._require(variant, need)
        # What is neither kept nor taken alone only reads files: it disturbs nobody, and no lock is imported for it.
        quick = not declared.keep and not declared.alone
        with nullcontext() if quick else self._bench.store.turn(alone=declared.alone), self._bench.sealed(source):
            evidence = self._measure(need, source)
        return content_key(need.kind, evidence.provenance), evidence

    def _measure(self, need: Need[Any], source: Provenance) -> Any:
        measurer = measurer_of(need.kind)
        if self._isolated is None or KINDS.of(need.kind).runs is not Runs.ISOLATED:
            return measurer.measure(self._bench, need, source)
        try:
            return self._isolated.measure(self._bench, need, source)
        except WorkerDied as error:
            evidence = None if error.transient else measurer.died(source, error)
            if evidence is None:
                raise
            return evidence

    def _require(self, variant: str, need: Need[Any]) -> None:
        """See an ONNX variant run in a worker of its own before it is run in the isolated worker that others need."""
        if self._bench.is_torch(variant):
            return
        for word in KINDS.of(need.kind).requires:
            kind = KINDS.named(word).type
            measurer_of(kind).require(self._bench, self._obtain(Need(kind, variant, need.target)))


def _refuse_targets(need: Need[Any]) -> None:
    if need.target != HOST:
        reason = f"nothing here can measure on {need.target}"
        raise MeasurementError(reason, next_step=f"measure on the target {HOST!r}")
