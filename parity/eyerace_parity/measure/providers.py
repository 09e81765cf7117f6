"""Providers of evidence. The first provider that takes a need obtains it.

The order is: derived from other evidence, the accepted release, facts of the golden set, targets, recorded outputs,
measured on this machine. The laboratory knows no single provider; it reads the cache first if a provider allows it.
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
from eyerace_parity.measure.context import MeasurementContext, content_key, contract_read, golden_key
from eyerace_parity.measure.measurer import derive, measurer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.evidence.source import Baseline, Source
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

    def kept(self, need: Need[Any]) -> Provenance | None:
        """Return the provenance of the evidence if the cache may supply it; ``None`` if it may not."""


class Provenances:
    """Provenances of the candidate's evidence; computed once in a run for each need.

    Args:
        context: The measurement context.
        targets: Evidence from targets.
    """

    def __init__(self, context: MeasurementContext, targets: TargetEvidence) -> None:
        self._bench = context
        self._targets = targets
        self._found: dict[Need[Any], Provenance] = {}

    def of(self, need: Need[Any]) -> Provenance:
        """Return the provenance of the evidence for a need, without measuring.

        Raises:
            MeasurementError: A file that it covers cannot be read.
        """
        if need not in self._found:
            on_targets = self._targets.takes(need)
            self._found[need] = self._targets.provenance(need) if on_targets else self._measured(need)
        return self._found[need]

    def _measured(self, need: Need[Any]) -> Provenance:
        stated = measurer_of(need.kind).provenance(self._bench, need)
        return stated.with_settings(contract_read(self._bench.contract, need.kind))


class NeverKept:
    """Base class of providers whose evidence is never read from the cache."""

    def kept(self, _need: Need[Any]) -> Provenance | None:
        """``None``; see :meth:`Provider.kept`."""
        return None


class Derived(NeverKept):
    """Computes evidence from other evidence, including that of the accepted release.

    Args:
        context: The measurement context.
        source: Supplies the other evidence.
    """

    def __init__(self, context: MeasurementContext, source: Source) -> None:
        self._bench = context
        self._source = source

    def takes(self, need: Need[Any]) -> bool:
        """Whether the kind is derived."""
        return KINDS.of(need.kind).runs is Runs.DERIVED

    def key(self, need: Need[Any]) -> str:
        """Return the content key; obtains the evidence that it is computed from."""
        return content_key(need.kind, self._source.obtain(need).provenance)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Compute it."""
        columns = self._source.obtain(Need(GoldenFacts)).columns
        evidence = derive(self._bench.contract, need, self._source, columns)
        return content_key(need.kind, evidence.provenance), evidence


class Accepted(NeverKept):
    """Reads evidence of the accepted release.

    Args:
        context: The measurement context.
        baseline: The release; ``None`` for none.
        provenances: Provenances of the candidate's evidence, to refuse what is not comparable.
    """

    def __init__(self, context: MeasurementContext, baseline: Baseline | None, provenances: Provenances) -> None:
        self._bench = context
        self._baseline = baseline
        self._provenances = provenances

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
            wanted = self._provenances.of(dataclasses.replace(need, baseline=False))
            refuse_incomparable(need, evidence.provenance, wanted)
        if not declared.is_fact:
            # A record names arrays only by key. Cached, they can be judged again after the release is deleted.
            put(self._bench.store, key, evidence)
        return key, evidence

    def _release(self) -> Baseline:
        if self._baseline is None:
            raise BaselineMissing("no accepted release is given to compare with", next_step=NEXT_STEP_BASELINE)
        return self._baseline


class OfGoldenSet(NeverKept):
    """Supplies the facts of the golden set.

    Args:
        context: The measurement context.
    """

    def __init__(self, context: MeasurementContext) -> None:
        self._bench = context

    def takes(self, need: Need[Any]) -> bool:
        """Whether the need asks for facts of the golden set."""
        return need.kind is GoldenFacts

    def key(self, _need: Need[Any]) -> str:
        """Return the key, made from the set's digest."""
        return golden_key(self._bench.contract, self._bench.golden().digest)

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read the facts from the golden set, and cache them so that a record can be judged again without images."""
        _refuse_targets(need)
        facts = self._bench.golden().facts()
        key = golden_key(self._bench.contract, facts.digest)
        kept = get(self._bench.store, GoldenFacts, key)
        if kept is None or kept.columns != facts.columns:  # the key does not cover the columns
            put(self._bench.store, key, facts)
        return key, facts


class OnTargets(NeverKept):
    """Supplies evidence from targets, many needs together; :class:`TargetEvidence` reads the cache.

    Args:
        targets: Evidence from targets.
        provenances: Provenances of the evidence.
    """

    def __init__(self, targets: TargetEvidence, provenances: Provenances) -> None:
        self._targets = targets
        self._provenances = provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether the kind is executed on targets."""
        return self._targets.takes(need)

    def key(self, need: Need[Any]) -> str:
        """The content key."""
        return content_key(need.kind, self._provenances.of(need))

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Execute it, together with everything else that is expected."""
        evidence = self._targets.obtain(need)
        return content_key(need.kind, evidence.provenance), evidence


class Recorded(NeverKept):
    """Reads recorded outputs of a torch variant that cannot or must not run.

    Args:
        context: The measurement context.
        provenances: Provenances that the outputs would have if the variant ran now.
    """

    def __init__(self, context: MeasurementContext, provenances: Provenances) -> None:
        self._bench = context
        self._provenances = provenances

    def takes(self, need: Need[Any]) -> bool:
        """Whether the need is for outputs that are recorded."""
        return need.kind is Outputs and self._bench.stands_in(need.variant)

    def key(self, need: Need[Any]) -> str:
        """Return the content key that measured outputs would have."""
        return content_key(need.kind, self._provenances.of(need))

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Read them, if they were recorded from the same artefact, golden set and preprocessing."""
        _refuse_targets(need)
        evidence = recorded.read(self._bench.contract, need.variant, self._provenances.of(need))
        return content_key(need.kind, evidence.provenance), evidence


class MeasuredHere:
    """Measures on this machine, in the isolated worker if the kind demands it.

    Args:
        context: The measurement context.
        provenances: Provenances of the evidence.
        obtain: Obtains the evidence that a kind requires first, such as the preflight.
        isolated: The isolated worker; ``None`` to measure everything in this process.
    """

    def __init__(
        self,
        context: MeasurementContext,
        provenances: Provenances,
        obtain: Callable[[Need[Any]], Any],
        isolated: IsolatedWorker | None,
    ) -> None:
        self._bench = context
        self._provenances = provenances
        self._obtain = obtain
        self._isolated = isolated

    def takes(self, _need: Need[Any]) -> bool:
        """Return true: this is the last provider."""
        return True

    def key(self, need: Need[Any]) -> str:
        """The content key."""
        return content_key(need.kind, self._provenances.of(need))

    def kept(self, need: Need[Any]) -> Provenance | None:
        """See :meth:`Provider.kept`."""
        _refuse_targets(need)
        return self._provenances.of(need) if KINDS.of(need.kind).keep else None

    def obtain(self, need: Need[Any]) -> tuple[str, Any]:
        """Measure it, guarded by the seals of its files."""
        _refuse_targets(need)
        declared, source = KINDS.of(need.kind), self._provenances.of(need)
        for variant in filter(None, (need.variant, need.versus)):
            self._require(variant, need)
        # Kinds that are neither cached nor measured alone only read files: they need no lock, whose import is slow.
        quick = not declared.keep and not declared.alone
        with nullcontext() if quick else self._bench.store.turn(alone=declared.alone), self._bench.sealed(source):
            evidence = self._measure(need, source)
        return content_key(need.kind, evidence.provenance), evidence

    def _measure(self, need: Need[Any], source: Provenance) -> Any:
        measurer = measurer_of(need.kind)
        if self._isolated is None or KINDS.of(need.kind).runs is not Runs.ISOLATED:
            return measurer.measure(self._bench.narrowed(KINDS.of(need.kind).reads), need, source)
        try:
            return self._isolated.measure(self._bench, need, source)
        except WorkerDied as error:
            evidence = None if error.transient else measurer.died(source, error)
            if evidence is None:
                raise
            return evidence

    def _require(self, variant: str, need: Need[Any]) -> None:
        """Require that an ONNX variant passes the preflight in its own process before the isolated worker runs it."""
        if not self._bench.in_onnxruntime(variant):
            return
        for word in KINDS.of(need.kind).requires:
            kind = KINDS.named(word).type
            measurer_of(kind).require(self._bench, self._obtain(Need(kind, variant, need.target)))


def _refuse_targets(need: Need[Any]) -> None:
    if need.target != HOST:
        reason = f"nothing here can measure on {need.target}"
        raise MeasurementError(reason, next_step=f"measure on the target {HOST!r}")
