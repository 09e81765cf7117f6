"""A release as it is kept: small, made to be committed, equal for equal findings.

It holds what a later candidate is compared to: the digests of the artefacts, the verdicts, evidence that depends on
content alone, and each sample's answers. It holds no image, no time of day, no name of a machine, and no times of
inference: those compare only when taken in turns in one run.
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
"""How a release is told from any other JSON file."""

VERSION: Final = 1
"""Version of a release's form. A reader refuses a newer one and says so."""

Answers = dict[str, "Array"]
"""Arrays of answers by their member in the archive, samples on the first axis."""


class ReleasedVariant(Entry):
    """A variant as it was released.

    Attributes:
        kind: What runs it.
        path: Its artefact, relative to the contract.
        tier: Where it is deployed.
        reference: What it was compared against.
        artefact: Digest of all that makes it; empty where no evidence of it was kept.
    """

    kind: str
    path: str
    tier: str | None = None
    reference: str | None = None
    artefact: str = ""


class ReleasedVerdict(Entry):
    """What a clause said of the release. The number is left out where it is a time, which no other machine repeats.

    Attributes:
        variant: The variant.
        check: The family.
        clause: What was demanded.
        target: Where it was executed.
        status: The answer.
        value: What was measured.
        relation: How it must stand to the limit.
        limit: What was demanded.
        unit: Unit of both.
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
        entry: What it is and where it came from; with the evidence itself where it is made of numbers.
        expected: Samples that were fed, for answers.
        answers: For answers: the archive's member by output.
    """

    entry: EvidenceEntry
    expected: int = 0
    answers: dict[str, str] = {}

    def answers_need(self, need: Need[object]) -> bool:
        """Whether this is what a clause asks for of the release."""
        asked = (KINDS.of(need.kind).word, need.variant, need.target)
        return asked == (self.entry.kind, self.entry.variant, self.entry.target)


class Release(Entry):
    """All that is kept of a release, but for the answers themselves.

    Attributes:
        format: Always ``eyerace-parity release``.
        schema_version: Version of the form; written ``schema``.
        name: Its name.
        contract: Name of the contract that it was judged by.
        contract_digest: Digest of that contract.
        golden: Digest of the golden set; empty where it was not used.
        classes: Names of the classes.
        scores: The output that decides.
        inputs: The model's inputs.
        outputs: The model's outputs.
        variants: By name, in the order of the contract.
        verdicts: In the order of the plan; those that compared with an earlier release are left out.
        evidence: In the order of kind, variant and target.
        digest_of_answers: Digest of the answers and of the samples' names.
        follows: Digest of the release that this one took the place of; empty for a first one.
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
        """Digest of the release: equal findings under one name, after the same release, have the same."""
        return json_digest(self.model_dump(mode="json", by_alias=True))

    @property
    def substance(self) -> str:
        """Digest of what was found, whatever it is called and whatever it follows."""
        return json_digest(self.model_dump(mode="json", by_alias=True, exclude={"name", "follows"}))

    def answers_of(self, variant: str, answers: Mapping[str, Array], target: str = HOST) -> dict[str, Array]:
        """Answers of a variant by output; nothing where none were kept."""
        for piece in self.evidence:
            if piece.answers and piece.answers_need(Need(Outputs, variant, target)):
                return {output: answers[member] for output, member in piece.answers.items()}
        return {}


class Acceptance(Entry):
    """One line of a release's history: what was accepted, and what it took the place of.

    Attributes:
        name: Name of the release.
        digest: Its digest.
        follows: Digest of the one before; empty for the first.
        contract_digest: The contract that it was judged by.
        golden: The golden set that it was measured on.
        artefacts: Digest by variant.
        f1: Macro-F1 by variant, where there are labels.
    """

    name: str
    digest: str
    follows: str = ""
    contract_digest: str
    golden: str = ""
    artefacts: dict[str, str] = {}
    f1: dict[str, float] = {}
