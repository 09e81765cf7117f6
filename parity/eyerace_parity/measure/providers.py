"""Providers of evidence. The first provider that takes a need obtains it.

The order is: derived from other evidence, the accepted release, facts of the golden set, targets, recorded outputs,
measured on this machine. The laboratory knows no single provider. A provider whose evidence may come from the evidence
cache reads it there first.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from eyerace_parity.core.errors import BaselineMissing, MeasurementError, WorkerDied
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.evidence.source import NEXT_STEP_BASELINE, refuse_incomparable
from eyerace_parity.measure.cache import get, put
from eyerace_parity.measure.context import MeasurementContext, content_key, contract_read, golden_key
from eyerace_parity.measure.measurer import derive, measurer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.source import Baseline, Source
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.measure.isolated_worker import IsolatedWorker
    from eyerace_parity.measure.targets.target_evidence import TargetEvidence


class Provider(Protocol):
    """Obtains evidence of some kinds."""

    def takes(self, need: Need[Any]) -> bool:
        """Whether it can meet a need."""

    def key(self, need: Need[Any]) -> str:
        """Return the key of the evidence for a need, before it is obtained.

        Raises:
            MeasurementError: An input of the key cannot be read.
        """

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Return the evidence for a need, after its key in the record.

        Raises:
            MeasurementError: It cannot be obtained.
        """


@dataclass(frozen=True, slots=True)
class Provenances:
    """Provenances of the candidate's evidence; computed once in a run for each need.

    Attributes:
        context: The measurement context.
        targets: Evidence from targets.
    """

    context: MeasurementContext
    targets: TargetEvidence
    _found: dict[Need[Any], Provenance] = field(default_factory=dict, init=False)

    def of(self, need: Need[Any]) -> Provenance:
        """Return the provenance of the evidence for a need, without measuring.

        Raises:
            MeasurementError: A file that it covers cannot be read.
        """
        if need not in self._found:
            on_targets = self.targets.takes(need)
            self._found[need] = self.targets.provenance(need) if on_targets else self._measured(need)
        return self._found[need]

    def _measured(self, need: Need[Any]) -> Provenance:
        stated = measurer_of(need.kind).provenance(self.context, need)
        return stated.with_settings(contract_read(self.context.contract, need.kind))


@dataclass(frozen=True, slots=True)
class Derived:
    """Computes evidence from other evidence, including that of the accepted release.

    Attributes:
        contract: The contract.
        source: Supplies the other evidence.
    """

    contract: Contract
    source: Source

    def takes(self, need: Need[Any]) -> bool:
        """Whether the kind is derived."""
        return KINDS.of(need.kind).runs is Runs.DERIVED

    def key(self, need: Need[Any]) -> str:
        """Return the content key; obtains the evidence that it is computed from."""
        return content_key(need.kind, self.source.obtain(need).provenance)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Compute it."""
        columns = self.source.obtain(Need(GoldenFacts)).columns
        evidence = derive(self.contract, need, self.source, columns)
        return content_key(need.kind, evidence.provenance), evidence


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reads evidence of the accepted release.

    Attributes:
        store: The evidence cache.
        baseline: The release; ``None`` for none.
        provenances: Provenances of the candidate's evidence, to refuse what is not comparable.
    """

    store: EvidenceCache
    baseline: Baseline | None
    provenances: Provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether the need asks for the release."""
        return need.baseline

    def key(self, need: Need[Any]) -> str:
        """Return the key that the release gives."""
        return self._release().key(need)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read it from the release, if it is comparable with the candidate's evidence."""
        declared, key = KINDS.of(need.kind), self.key(need)
        evidence = self._release().obtain(need)
        if declared.has_provenance:
            refuse_incomparable(need, evidence.provenance, self.provenances.of(replace(need, baseline=False)))
        if not declared.is_fact:
            # A record names arrays only by key. Cached, they can be judged again after the release is deleted.
            put(self.store, key, evidence)
        return key, evidence

    def _release(self) -> Baseline:
        if self.baseline is None:
            raise BaselineMissing("no accepted release is given to compare with", next_step=NEXT_STEP_BASELINE)
        return self.baseline


@dataclass(frozen=True, slots=True)
class OfGoldenSet:
    """Supplies the facts of the golden set.

    Attributes:
        context: The measurement context.
    """

    context: MeasurementContext

    def takes(self, need: Need[Any]) -> bool:
        """Whether the need asks for facts of the golden set."""
        return need.kind is GoldenFacts

    def key(self, _need: Need[Any]) -> str:
        """Return the key, made from the set's digest."""
        return golden_key(self.context.contract, self.context.golden().digest)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read the facts from the golden set, and cache them so that a record can be judged again without images."""
        _refuse_targets(need)
        facts = self.context.golden().facts()
        key = golden_key(self.context.contract, facts.digest)
        cached = get(self.context.store, GoldenFacts, key)
        if cached is None or cached.columns != facts.columns:  # the key does not cover the columns
            put(self.context.store, key, facts)
        return key, facts


@dataclass(frozen=True, slots=True)
class _OfCandidate:
    """Base of providers whose evidence has the content key of the candidate's provenance.

    Attributes:
        context: The measurement context.
        provenances: Provenances of the evidence.
    """

    context: MeasurementContext
    provenances: Provenances

    def key(self, need: Need[Any]) -> str:
        """Return the content key."""
        return content_key(need.kind, self.provenances.of(need))


@dataclass(frozen=True, slots=True)
class OnTargets(_OfCandidate):
    """Supplies evidence from targets, many needs together; :class:`TargetEvidence` reads the cache."""

    def takes(self, need: Need[Any]) -> bool:
        """Whether the kind is executed on targets."""
        return self.provenances.targets.takes(need)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Execute it, together with everything else that is expected."""
        evidence = self.provenances.targets.obtain(need)
        return content_key(need.kind, evidence.provenance), evidence


@dataclass(frozen=True, slots=True)
class Recorded(_OfCandidate):
    """Reads recorded outputs of a torch variant that cannot or must not run.

    They have the key that measured outputs would have.
    """

    def takes(self, need: Need[Any]) -> bool:
        """Whether the need is for outputs that are recorded."""
        return need.kind is Outputs and self.context.uses_recorded(need.variant)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read them, if they were recorded from the same artefact, golden set and preprocessing."""
        from eyerace_parity.measure.recorded import read  # noqa: PLC0415 - only where outputs were recorded

        _refuse_targets(need)
        evidence = read(self.context.contract, need.variant, self.provenances.of(need))
        return content_key(need.kind, evidence.provenance), evidence


@dataclass(frozen=True, slots=True)
class MeasuredHere(_OfCandidate):
    """Measures on this machine, in the isolated worker if the kind demands it; or reads the evidence cache.

    Attributes:
        obtain_first: Obtains the evidence that a kind requires first, such as the preflight.
        isolated: The isolated worker; ``None`` to measure everything in this process.
    """

    obtain_first: Callable[[Need[Any]], Any]
    isolated: IsolatedWorker | None

    def takes(self, _need: Need[Any]) -> bool:
        """Return true: this is the last provider."""
        return True

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read it from the cache if its kind is kept there, else measure it."""
        _refuse_targets(need)
        source = self.provenances.of(need)
        if not KINDS.of(need.kind).keep:
            evidence = self._measure(need, source)
            return content_key(need.kind, evidence.provenance), evidence
        store, key = self.context.store, self.key(need)
        self.context.require(source)
        if (cached := get(store, need.kind, key)) is not None:
            return key, cached
        with store.claim(key):
            # Another run may have measured it while this run waited for the claim.
            if (cached := get(store, need.kind, key)) is not None:
                return key, cached
            evidence = self._measure(need, source)
            put(store, key, evidence)
        return key, evidence

    def _measure(self, need: Need[Any], source: Provenance) -> Any:
        """Measure it, guarded by the seals of its files."""
        declared, measurer = KINDS.of(need.kind), measurer_of(need.kind)
        for variant in filter(self._in_onnxruntime, (need.variant, need.versus)):
            # An ONNX variant must pass the preflight in its own process before the isolated worker runs it.
            for word in declared.requires if declared.runs is Runs.ISOLATED else ():
                kind = KINDS.named(word).type
                evidence = self.obtain_first(Need(kind, variant, need.target))
                measurer_of(kind).require(self.context, evidence)
        # Kinds that are neither cached nor measured alone only read files: they need no lock, whose import is slow.
        quick = not declared.keep and not declared.alone
        with (
            nullcontext() if quick else self.context.store.turn(alone=declared.alone),
            self.context.sealed(source, quick=quick),
        ):
            if self.isolated is None or declared.runs is not Runs.ISOLATED:
                return measurer.measure(self.context.narrowed(declared.reads), need, source)
            try:
                return self.isolated.measure(self.context, need, source)
            except WorkerDied as error:
                found = None if error.transient else measurer.died(source, error)
                if found is None:
                    raise
                return found

    def _in_onnxruntime(self, variant: str) -> bool:
        return bool(variant) and self.context.contract.variants[variant].in_onnxruntime


def _refuse_targets(need: Need[Any]) -> None:
    if need.target != HOST:
        reason = f"nothing here can measure on {need.target}"
        raise MeasurementError(reason, next_step=f"measure on the target {HOST!r}")
