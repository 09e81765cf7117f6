"""The stored form of a release: small enough to commit, and equal for equal results.

It holds what a later candidate is compared with: digests of the artefacts, verdicts, evidence that depends only on
content, and the answers to each sample. It holds no images, dates, names of machines or inference times. Times compare
only if they are measured interleaved in one run (between CI jobs they move by 26 %, within one job by 0.3 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from eyerace_parity.contract.base import Name
from eyerace_parity.contract.data import Port
from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.result import HOST, Relation, Status
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.record.document import EvidenceEntry
from eyerace_parity.record.rows import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.evidence.base import Array

FORMAT: Final = "eyerace-parity release"
"""Identifies a release among JSON files."""

VERSION: Final = 1
"""Version of the schema. A reader refuses a newer one."""

Answers = dict[str, "Array"]
"""Arrays of answers by member of the archive, samples on the first axis."""


class ReleasedVariant(Entry):
    """A variant at the time of its release.

    Attributes:
        kind: Kind of the variant, such as ``onnx``.
        path: Path of its artefact, relative to the contract.
        tier: Where it is deployed.
        reference: Variant with which it was compared.
        artefact: Digest of all files that make it; empty if no evidence of it was kept.
    """

    kind: str
    path: str
    tier: str | None = None
    reference: str | None = None
    artefact: str = ""


class ReleasedVerdict(Entry):
    """Verdict of a clause on the release. The value is left out if it is a time, which no other machine reproduces.

    Attributes:
        variant: The variant.
        check: Name of the check.
        clause: Name of the clause.
        target: Where the variant was executed.
        status: The verdict.
        value: Measured value.
        relation: Relation that the value must have to the limit.
        limit: Limit of the contract.
        unit: Unit of value and limit.
    """

    variant: str
    check: str
    clause: str
    target: str = HOST
    status: Status
    value: int | float | str | None = None
    relation: Relation = Relation.EQUAL
    limit: int | float | str | None = None
    unit: str = ""


class ReleasedEvidence(Entry):
    """A piece of evidence of the release.

    Attributes:
        entry: Its kind and provenance, with the evidence itself if it is no array.
        expected: For answers: number of samples that were fed.
        answers: For answers: member of the archive by output.
    """

    entry: EvidenceEntry
    expected: int = 0
    answers: dict[str, str] = {}

    def answers_need(self, need: Need[object]) -> bool:
        """Whether this evidence meets a need of the release."""
        wanted = (KINDS.of(need.kind).word, need.variant, need.target)
        return wanted == (self.entry.kind, self.entry.variant, self.entry.target)


class Release(Entry):
    """Everything of a release except the arrays of answers.

    Attributes:
        format: Always ``eyerace-parity release``.
        schema_version: Version of the schema; serialised as ``schema``.
        name: Its name.
        contract: Name of the contract by which it was judged.
        contract_digest: Digest of that contract.
        golden: Digest of the golden set; empty if it was not used.
        classes: Names of the classes.
        scores: Name of the output with the scores.
        inputs: The model's inputs.
        outputs: The model's outputs.
        variants: Variants by name, in the order of the contract.
        verdicts: Verdicts in the order of the plan, without those that compared with an earlier release.
        evidence: Evidence, sorted by kind, variant and target.
        digest_of_answers: Digest of the answers and of the samples' names.
        follows: Digest of the release that this one replaced; empty for the first.
    """

    format: Literal["eyerace-parity release"] = "eyerace-parity release"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: Name
    contract: str
    contract_digest: str
    golden: str = ""
    classes: tuple[str, ...] = ()
    scores: str = ""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    variants: dict[str, ReleasedVariant]
    verdicts: tuple[ReleasedVerdict, ...] = ()
    evidence: tuple[ReleasedEvidence, ...] = ()
    digest_of_answers: str = ""
    follows: str = ""

    @property
    def digest(self) -> str:
        """Digest of the release: equal for equal results under one name, after the same predecessor."""
        return json_digest(self.model_dump(mode="json", by_alias=True))

    @property
    def substance(self) -> str:
        """Digest of the results alone, without name and predecessor."""
        return json_digest(self.model_dump(mode="json", by_alias=True, exclude={"name", "follows"}))

    def answers_of(self, variant: str, answers: Mapping[str, Array], target: str = HOST) -> dict[str, Array]:
        """Return the answers of a variant by output, samples on the first axis; empty if none were kept."""
        for piece in self.evidence:
            if piece.answers and piece.answers_need(Need(Outputs, variant, target)):
                return {output: answers[member] for output, member in piece.answers.items()}
        return {}


class Acceptance(Entry):
    """One line of a release's history: what was accepted, and what it replaced.

    Attributes:
        name: Name of the release.
        digest: Digest of the release.
        follows: Digest of its predecessor; empty for the first.
        contract_digest: Digest of the contract by which it was judged.
        golden: Digest of the golden set on which it was measured.
        artefacts: Digest of the artefact by variant.
        f1: Macro-F1 by variant; empty without labels.
    """

    name: str
    digest: str
    follows: str = ""
    contract_digest: str
    golden: str = ""
    artefacts: dict[str, str] = {}
    f1: dict[str, float] = {}
