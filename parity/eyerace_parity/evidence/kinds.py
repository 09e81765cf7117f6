"""What a kind of evidence is, and how kinds are found by type and by name."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from eyerace_parity.evidence.base import WORDS, Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eyerace_parity.evidence.answers import ArrayDigest


E = TypeVar("E")


class Runs(Enum):
    """Where a kind is measured."""

    ISOLATED = "in the isolated worker"
    ON_TARGETS = "by target workers, many kinds together"
    READS_BYTES = "in the run's process: reads bytes with Python only, no decoder, no parser in native code"
    DERIVED = "computed from other evidence, never measured"


@dataclass(frozen=True, slots=True)
class EvidenceKind(Generic[E]):
    """All that is to be known of a kind of evidence.

    Attributes:
        name: Its stored name, ASCII letters only: it is part of content keys and release keys, and in lower case of
            records and of the cache's folders. It never changes, even if the type is renamed.
        type: A :class:`Fact`, or a frozen dataclass that holds arrays.
        measurer: ``module:object`` of what obtains it, imported when it is first needed; see
            :mod:`eyerace_parity.measure.measurer`. Empty for what the golden set itself states.
        code: Files beside the measurer's own whose change voids earlier measurements: paths relative to this package,
            or dotted names of modules of other packages.
        reads: Fields of the contract that it reads, as dotted keys with ``*`` for each item; it is given no others, and
            its key covers their values. ``None`` gives it the whole contract, so that any change of that is another
            key. Variants, sessions and profiles are always given: the provenance names what is read of them.
        runs: Where it is measured.
        keep: Whether it is true of the content alone, so that the cache may answer on another day; never for times.
        alone: Whether nothing else may be measured meanwhile; such numbers are times or memory of this machine.
        cheap: Whether reading files gives it: no sample is decoded and no model is run.
        requires: Kinds, in lower case, that an ONNX variant must have passed before the isolated worker runs it for
            this one.
        digest: What a record keeps of its arrays.
        has_provenance: Whether it says where it came from. The golden set's own facts do not: their digest is their
            key.
    """

    name: str
    type: type[E]
    measurer: str = ""
    _: KW_ONLY
    code: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    runs: Runs = Runs.ISOLATED
    keep: bool = True
    alone: bool = False
    cheap: bool = False
    requires: tuple[str, ...] = ("preflight",)
    digest: Callable[[E], tuple[ArrayDigest, ...]] | None = None
    has_provenance: bool = True

    @property
    def word(self) -> str:
        """Its name in records, in the cache and in messages."""
        return self.name.lower()

    @property
    def is_fact(self) -> bool:
        """Whether it is made of numbers, and is recorded whole."""
        return issubclass(self.type, Fact)

    @property
    def released(self) -> bool:
        """Whether an accepted release keeps it whole."""
        return self.is_fact and self.keep and self.runs is not Runs.DERIVED


class Kinds:
    """Kinds of evidence by type and by name.

    Args:
        kinds: What is known from the start.
    """

    def __init__(self, *kinds: EvidenceKind[Any]) -> None:
        self._by_type: dict[type[Any], EvidenceKind[Any]] = {}
        for kind in kinds:
            self.register(kind)

    def __iter__(self) -> Iterator[EvidenceKind[Any]]:
        return iter(tuple(self._by_type.values()))

    def register(self, kind: EvidenceKind[Any]) -> None:
        """Add a kind.

        Raises:
            ValueError: Its name is no name, or its name or its type is taken.
        """
        if not (kind.name.isascii() and kind.name.isalpha()):
            raise ValueError(f"{kind.name!r} is no name of a kind of evidence: use ASCII letters only")
        for known in self:
            if known.word == kind.word or known.type is kind.type:
                raise ValueError(f"{kind.name} ({kind.type.__name__}) is already registered as {known.name}")
        self._by_type[kind.type] = kind
        WORDS[kind.type] = kind.word

    def of(self, kind: type[E]) -> EvidenceKind[E]:
        """The declaration of a type of evidence.

        Raises:
            LookupError: It is not registered.
        """
        if kind not in self._by_type:
            raise LookupError(f"no kind of evidence is registered for the type {kind.__name__}")
        return self._by_type[kind]

    def named(self, word: str) -> EvidenceKind[Any]:
        """The declaration of the kind that a record or the cache names.

        Raises:
            LookupError: It is not registered.
        """
        for known in self:
            if known.word == word:
                return known
        message = f"no kind of evidence is called {word!r}; another version or an extension of the gate wrote it"
        raise LookupError(message)
