"""Measurers and derivations: the objects that the registry names for each kind, imported when first needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from eyerace_parity.contract.parts import contract_part
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.context import contract_read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.errors import WorkerDied
    from eyerace_parity.evidence.base import Need, Provenance
    from eyerace_parity.evidence.source import Source
    from eyerace_parity.isolation.runtime_worker import RuntimeWorker
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.measure.sample_selection import SampleSelection

    Columns = Mapping[str, tuple[str, ...]]

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Measurer(Generic[E]):
    """Measures a kind in the run's process or in the isolated worker.

    Attributes:
        provenance: Makes the provenance of the evidence, without measuring.
        measure: Measures it.
        died: Makes evidence from the death of the measuring process; returns ``None`` if a death is no evidence.
        require: Raises if this evidence forbids to run the variant; called for kinds that other kinds require.
    """

    provenance: Callable[[MeasurementContext, Need[E]], Provenance]
    measure: Callable[[MeasurementContext, Need[E], Provenance], E]
    died: Callable[[Provenance, WorkerDied], E | None] = lambda _source, _error: None
    require: Callable[[MeasurementContext, E], None] = lambda _context, _evidence: None


@dataclass(frozen=True, slots=True)
class TargetMeasurer(Generic[E]):
    """Measures a kind in a worker on a target, between other requests for the same target.

    Attributes:
        provenance: Makes the provenance of the evidence; the last argument names everything about the target that could
            change a number.
        steps: Number of inferences, for progress.
        execute: Measures it in a worker; the last argument is called after each step. If the evidence has a ``signal``,
            the worker is dead afterwards.
        failed: Makes evidence of a worker that could not be started.
        selects: Whether it runs the samples that are selected for targets.
        uncountable: Makes evidence of a target on which instructions cannot be counted, from the reason; ``None`` for a
            kind that counts nothing. Such evidence has ``unavailable`` set and is not cached.
    """

    provenance: Callable[[MeasurementContext, Need[E], SampleSelection, Mapping[str, str]], Provenance]
    steps: Callable[[SampleSelection], int]
    execute: Callable[[MeasurementContext, RuntimeWorker, Need[E], Provenance, SampleSelection, Callable[[], None]], E]
    failed: Callable[[Provenance, SampleSelection, TargetFailure], E]
    selects: bool = False
    uncountable: Callable[[Provenance, str], E] | None = None


@dataclass(frozen=True, slots=True)
class Derivation(Generic[E]):
    """Computes a kind from other evidence.

    Attributes:
        inputs: Needs of the evidence that it is computed from. The result has the provenance of the first, with
            settings added.
        compute: Called with the contract, the evidence of the inputs in their order, and the result's provenance.
        depends: Settings of the contract and values of the label table's further columns that it depends on beyond its
            inputs' keys.
    """

    inputs: Callable[[Need[E]], tuple[Need[Any], ...]]
    compute: Callable[..., E]
    depends: Callable[[Contract, Need[E], Columns], dict[str, str]] = lambda *_: {}

    def derive(self, contract: Contract, need: Need[E], source: Source, columns: Columns) -> E:
        """Compute the evidence for a need.

        Args:
            contract: The contract.
            need: The need.
            source: Supplies the inputs.
            columns: Further columns of the table of labels; they replace those of the golden set's facts.

        Raises:
            MeasurementError: An input cannot be obtained, or nothing can be computed from it.
        """
        stated = derived_provenance(contract, need, source, columns)
        inputs = [source.obtain(each) for each in self.inputs(need)]
        current = [replace(each, columns=columns) if isinstance(each, GoldenFacts) else each for each in inputs]
        return self.compute(contract, *current, stated)


def derived_provenance(
    contract: Contract, need: Need[Any], source: Source, columns: Columns, first: Provenance | None = None
) -> Provenance:
    """Make the provenance of derived evidence: that of its first input, with everything else that could change it.

    Args:
        contract: The contract.
        need: The need for the derived evidence.
        source: Supplies the keys of the other inputs, and the first input if ``first`` is not given.
        columns: Further columns of the table of labels.
        first: Provenance of the first input, if it is known without reading the input.

    Raises:
        MeasurementError: An input has no key or cannot be obtained.
    """
    derivation, part = derivation_of(need.kind), _part(contract, need)
    own, *others = derivation.inputs(need)
    origin = source.obtain(own).provenance if first is None else first
    settings = dict(origin.settings) | {"evidence": source.key(own)}
    for other in others:
        if need.versus and other.variant == need.versus:
            settings |= {"versus": need.versus, "versus_evidence": source.key(other)}
        else:
            settings |= {f"{KINDS.of(other.kind).word}_evidence": source.key(other)}
    settings |= derivation.depends(part, need, columns) | contract_read(part, need.kind)
    derived: Provenance = origin.model_copy(update={"settings": settings, "cached": False})
    return derived


def derive(contract: Contract, need: Need[E], source: Source, columns: Columns) -> E:
    """Compute derived evidence from the part of the contract that its kind reads.

    Raises:
        MeasurementError: An input cannot be obtained, or nothing can be computed from it.
    """
    return derivation_of(need.kind).derive(_part(contract, need), need, source, columns)


def _part(contract: Contract, need: Need[Any]) -> Contract:
    reads = KINDS.of(need.kind).reads
    return contract if reads is None else contract_part(contract, reads)


class TargetFailure(Exception):  # noqa: N818 - a finding, not a fault
    """The file could not be loaded or run on the target.

    Attributes:
        failure: The reason, as a sentence.
        signal: Signal that ended the process; ``None`` if none did.
        next_step: What the user should do.
    """

    def __init__(self, failure: str, *, signal: int | None = None, next_step: str = "") -> None:
        super().__init__(failure)
        self.failure = failure
        self.signal = signal
        self.next_step = next_step


def load(place: str) -> Any:
    """Import the object that a declaration names as ``module:object``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def measurer_of(kind: type[E]) -> Measurer[E]:
    """Return the measurer of a kind.

    Raises:
        LookupError: The kind is not registered, or its declaration names no measurer.
    """
    found: Measurer[E] = _loaded(kind, Measurer)
    return found


def target_measurer_of(kind: type[E]) -> TargetMeasurer[E]:
    """Return the measurer of a kind on targets; see :func:`measurer_of`."""
    found: TargetMeasurer[E] = _loaded(kind, TargetMeasurer)
    return found


def derivation_of(kind: type[E]) -> Derivation[E]:
    """Return the derivation of a kind; see :func:`measurer_of`."""
    found: Derivation[E] = _loaded(kind, Derivation)
    return found


def _loaded(kind: type[Any], form: type[Any]) -> Any:
    declared = KINDS.of(kind)
    found = load(declared.measurer) if declared.measurer else None
    if not isinstance(found, form):
        message = f"{declared.word}: {declared.measurer or 'its declaration'} names no {form.__name__}"
        raise LookupError(message)  # noqa: TRY004 - the declaration names the wrong thing; no argument has a wrong type
    return found
