"""What obtains a kind of evidence: the objects that the registry names, imported when they are first needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from eyerace_parity.evidence.registry import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.errors import WorkerDied
    from eyerace_parity.evidence.base import Need, Provenance
    from eyerace_parity.evidence.source import Source
    from eyerace_parity.isolation.runtime_worker import RuntimeWorker
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.measure.sample_selection import SampleSelection

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Measurer(Generic[E]):
    """Measures a kind in the run's process or in the isolated worker.

    Attributes:
        provenance: Says where the evidence will come from, without measuring.
        measure: Measures it.
        died: Makes evidence of the death of the process that measured; ``None`` where a death is no evidence.
        require: Raises where this evidence says that the variant must not be run; called for kinds that other kinds
            require.
    """

    provenance: Callable[[MeasurementContext, Need[E]], Provenance]
    measure: Callable[[MeasurementContext, Need[E], Provenance], E]
    died: Callable[[Provenance, WorkerDied], E | None] = lambda _source, _error: None
    require: Callable[[MeasurementContext, E], None] = lambda _context, _evidence: None


@dataclass(frozen=True, slots=True)
class TargetMeasurer(Generic[E]):
    """Measures a kind in a worker on a target, between other requests of the same target.

    Attributes:
        provenance: Says where the evidence will come from; the last argument is all of the target that could change
            a number.
        steps: Inferences that it takes, for progress.
        execute: Measures it in a worker; the last argument is called after each step. The worker is dead afterwards
            where the evidence has a ``signal``.
        failed: Makes evidence of what could not even be started there.
        selects: Whether it runs the samples that are selected for targets.
        uncountable: Makes evidence of a target whose toolkit cannot count instructions, from the reason why; ``None``
            for a kind that counts none. Such evidence has ``unavailable`` set, and is not kept.
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
        inputs: What it is computed from.
        derive: Computes it, from a source of that evidence and further columns of the table of labels.
    """

    inputs: Callable[[Need[E]], tuple[Need[Any], ...]]
    derive: Callable[[Contract, Need[E], Source, Mapping[str, Sequence[str]]], E]


class TargetFailure(Exception):  # noqa: N818 - a finding, not a fault
    """The file could not be loaded or run there.

    Attributes:
        failure: Why, as a sentence.
        signal: Signal that ended the process, where one did.
        next_step: What to do about it.
    """

    def __init__(self, failure: str, *, signal: int | None = None, next_step: str = "") -> None:
        super().__init__(failure)
        self.failure = failure
        self.signal = signal
        self.next_step = next_step


def load(place: str) -> Any:
    """Import what a declaration names as ``module:object``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def measurer_of(kind: type[E]) -> Measurer[E]:
    """What measures a kind.

    Raises:
        LookupError: The kind is not registered, or not measured.
    """
    found: Measurer[E] = _loaded(kind, Measurer)
    return found


def target_measurer_of(kind: type[E]) -> TargetMeasurer[E]:
    """What measures a kind on targets; see :func:`measurer_of`."""
    found: TargetMeasurer[E] = _loaded(kind, TargetMeasurer)
    return found


def derivation_of(kind: type[E]) -> Derivation[E]:
    """What computes a kind; see :func:`measurer_of`."""
    found: Derivation[E] = _loaded(kind, Derivation)
    return found


def _loaded(kind: type[Any], form: type[Any]) -> Any:
    declared = KINDS.of(kind)
    found = load(declared.measurer) if declared.measurer else None
    if not isinstance(found, form):
        message = f"{declared.word}: {declared.measurer or 'its declaration'} names no {form.__name__}"
        raise LookupError(message)  # noqa: TRY004 - the declaration names the wrong thing; no argument has a wrong type
    return found
