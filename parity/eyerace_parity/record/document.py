"""The record: everything that a run found, in one file that reports, commands and CI steps read instead of measuring.

It is flat where others look (``verdicts`` is a list of rows), and it carries what the rows rest on: evidence made of
numbers stands in it whole, arrays stand in the evidence store under the key that the record gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from eyerace_parity.core.result import HOST, Status
from eyerace_parity.evidence.answers import ArrayDigest
from eyerace_parity.evidence.base import Fact, Need, Provenance
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.record.rows import Entry, Unjudged, VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = "eyerace-parity record"
"""Identifies a record among JSON files."""

VERSION: Final = 1
"""Version of the record's form. A reader refuses a newer one and says so."""

ContractOutcome = Literal["held", "broken", "error", "unproven", "unjudged"]
"""What is to be said of a whole contract. ``unjudged``: no clause failed, but some were not judged."""


class VariantEntry(Entry):
    """A variant as the contract names it.

    Attributes:
        name: Its name.
        kind: What runs it.
        path: The artefact, relative to the contract.
        tier: Where it is deployed.
        reference: What it is compared against.
    """

    name: str
    kind: str
    path: str
    tier: str | None = None
    reference: str | None = None


class Setting(Entry):
    """A value that came from somewhere.

    Attributes:
        key: Its name.
        value: The value, as JSON.
        origin: Where it was said: command line, environment, ini, contract or default.
    """

    key: str
    value: Any = None
    origin: str


class ChancesEntry(Entry):
    """How often the verdict on a contract may be wrong by chance of its samples, at most.

    Attributes:
        clauses: Clauses whose answer rests on a sample; no other errs by chance.
        false_pass: Chance that the contract is held although a truth lies outside its limit.
        false_alarm: Chance that it is broken although all truths lie inside.
        correction: How the chance of a false alarm is shared among the clauses: ``none`` or ``bonferroni``.
    """

    clauses: int = Field(ge=1)
    false_pass: float = Field(ge=0, le=1)
    false_alarm: float = Field(ge=0, le=1)
    correction: str


class ExtensionEntry(Entry):
    """An extension of another package that took part.

    Attributes:
        name: Its name.
        package: The package that it came with.
        version: Version of that package.
        digest: Digest of its files.
    """

    name: str
    package: str
    version: str
    digest: str


class ContractEntry(Entry):
    """A contract, and what became of it.

    Attributes:
        name: Its name.
        description: What it says of itself.
        file: Its file, relative to the root of the run.
        digest: Digest of the contract with its overrides applied.
        substance: Digest of all in it that measurements depend on. Limits are no part of it: as long as it stays the
            same, the evidence of this record can be judged again.
        variants: Its variants, in order.
        overrides: Values that were set from outside.
        planned: Number of clauses that it demands.
        outcome: What is to be said of the whole.
        judged_again: Whether the verdicts were reached later, from recorded evidence.
        chances: How often the verdict may be wrong by chance; ``null`` where none of its clauses rests on a sample.
        cell: Whether the run was one cell of the matrix: it judged only what its ONNX Runtime executes.
        summary: Keys of derived evidence that reports show, whether or not a clause asked for it.
        extensions: Extensions of other packages that it names, and that took part in its verdicts.
    """

    name: str
    description: str = ""
    file: str
    digest: str
    substance: str
    variants: tuple[VariantEntry, ...]
    overrides: tuple[Setting, ...] = ()
    planned: int = Field(ge=1)
    outcome: ContractOutcome
    judged_again: bool = False
    chances: ChancesEntry | None = None
    cell: bool = False
    summary: tuple[str, ...] = ()
    extensions: tuple[ExtensionEntry, ...] = ()


class Environment(Entry):
    """Where the run took place.

    Attributes:
        python: Version of Python.
        implementation: Which Python.
        system: Operating system and its release.
        architecture: Processor architecture.
        machine: Fingerprint of the processor, no name.
        packages: Versions of the packages that could have changed a number.
    """

    python: str
    implementation: str
    system: str
    architecture: str
    machine: str
    packages: dict[str, str] = {}


class EvidenceEntry(Entry):
    """A piece of evidence, and how to find it again.

    Attributes:
        kind: Kind of evidence.
        variant: The variant that was measured; empty for the golden set.
        target: Where it was executed.
        versus: The variant it was interleaved with.
        baseline: Whether it is of the accepted release, and not of the candidate.
        provenance: Where it came from; ``null`` for the golden set's own facts.
        document: The evidence itself, where it is made of numbers; ``null`` for arrays, which the store keeps.
        digests: Of a variant's outputs, what two runs are compared by.
    """

    kind: str
    variant: str
    target: str = HOST
    versus: str = ""
    baseline: bool = False
    provenance: Provenance | None = None
    document: SerializeAsAny[Fact] | None = None
    digests: tuple[ArrayDigest, ...] = ()

    @field_validator("kind")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        try:
            return KINDS.named(value).word
        except LookupError as error:
            raise ValueError(str(error)) from None

    @field_validator("document", mode="before")
    @classmethod
    def _by_its_kind(cls, value: object, info: ValidationInfo) -> object:
        # Several kinds share their field names, so the kind decides and not the fields. Kinds are registered while a
        # program runs, so no union of types, which is fixed when this class is made, could hold them.
        if not isinstance(value, dict) or "kind" not in info.data:
            return value
        kind = KINDS.named(info.data["kind"])
        if not kind.is_fact:
            message = f"evidence of the kind {kind.word} is no document"
            raise ValueError(message)
        return kind.type.model_validate(value)

    @classmethod
    def of(cls, need: Need[Any], found: Any) -> Self:
        """Write a piece of evidence down."""
        kind = KINDS.of(need.kind)
        return cls(
            kind=kind.word,
            variant=need.variant,
            target=need.target,
            versus=need.versus,
            baseline=need.baseline,
            provenance=getattr(found, "provenance", None),
            document=found if isinstance(found, Fact) else None,
            digests=() if kind.digest is None else kind.digest(found),
        )

    def is_of(self, kind: type[Any]) -> bool:
        """Whether this is evidence of a type."""
        return KINDS.of(kind).word == self.kind

    def answers(self, need: Need[Any]) -> bool:
        """Whether this is the evidence that a clause asks for."""
        asked = (KINDS.of(need.kind).word, need.variant, need.target, need.versus, need.baseline)
        return asked == (self.kind, self.variant, self.target, self.versus, self.baseline)


class Record(Entry):
    """A whole run.

    Attributes:
        format: Always ``eyerace-parity record``.
        schema_version: Version of the record's form; written ``schema``.
        tool: Version of the plugin that wrote it.
        started: When the run began, ISO 8601 in UTC.
        seconds: How long it took.
        interrupted: Why the run ended early; empty for a run that came to its end.
        command: The words of the command line that started it; empty where they are not known.
        folder: Where that was typed, relative to the root of the run; empty for the root itself.
        environment: Where it took place.
        settings: Options of the run that differ from their defaults, with where they were said.
        contracts: The contracts, in order.
        verdicts: All verdicts, in the order of the plan.
        unjudged: Clauses without a verdict, in the order of the plan.
        evidence: By key.
    """

    format: Literal["eyerace-parity record"] = "eyerace-parity record"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    tool: str
    started: str
    seconds: float = Field(ge=0)
    interrupted: str = ""
    command: tuple[str, ...] = ()
    folder: str = ""
    environment: Environment
    settings: tuple[Setting, ...] = ()
    contracts: tuple[ContractEntry, ...] = Field(min_length=1)
    verdicts: tuple[VerdictEntry, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    evidence: dict[str, EvidenceEntry] = {}

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        """Hold every contract to its rows: as many as planned, each once, and the outcome that they spell."""
        if len({contract.name for contract in self.contracts}) < len(self.contracts):
            message = "two contracts bear the same name"
            raise ValueError(message)
        for contract in self.contracts:
            judged, missing = self.verdicts_of(contract.name), self.unjudged_of(contract.name)
            rows = [row.identity for row in judged] + [row.identity for row in missing]
            if len(set(rows)) != len(rows):
                message = f"{contract.name}: a clause stands twice"
                raise ValueError(message)
            if len(rows) != contract.planned:
                message = f"{contract.name}: {contract.planned} clauses were planned, {len(rows)} are accounted for"
                raise ValueError(message)
            spelt = outcome(judged, unjudged=len(missing))
            if contract.outcome != spelt:
                message = f"{contract.name}: its clauses spell {spelt!r}, not {contract.outcome!r}"
                raise ValueError(message)
        return self

    def verdicts_of(self, contract: str) -> tuple[VerdictEntry, ...]:
        """Verdicts of one contract."""
        return tuple(row for row in self.verdicts if row.contract == contract)

    def unjudged_of(self, contract: str) -> tuple[Unjudged, ...]:
        """Clauses of one contract without a verdict."""
        return tuple(row for row in self.unjudged if row.contract == contract)


def outcome(verdicts: Iterable[VerdictEntry], *, unjudged: int) -> ContractOutcome:
    """Say what the clauses of a contract make of the whole.

    What is certain comes first: one broken clause breaks the contract, whatever could not be measured beside it. A
    contract is held only when every clause was judged, and there was one at all.
    """
    statuses = {row.status for row in verdicts}
    if Status.BROKEN in statuses:
        return "broken"
    if Status.ERROR in statuses:
        return "error"
    if Status.UNPROVEN in statuses:
        return "unproven"
    return "unjudged" if unjudged or not statuses else "held"
