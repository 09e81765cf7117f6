"""Records by hand, for whoever only reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.core.result import Relation, Status
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.record.document import ContractEntry, Environment, EvidenceEntry, Record, VariantEntry, outcome
from eyerace_parity.record.rows import Unjudged, VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST = "sha256:" + "0" * 64


def verdict(clause: str, variant: str = "int8", status: Status = Status.HELD, **fields: Any) -> VerdictEntry:
    """A verdict; a number above its limit by default."""
    told = {} if status.passes else {"reason": f"{clause} is not as it should be", "next": "mend it"}
    numbers = {"value": 0.92, "limit": 0.875, "relation": Relation.AT_LEAST}
    return VerdictEntry(
        **({"contract": "eyes", "check": "quality"} | numbers | told | fields),
        variant=variant,
        clause=clause,
        status=status,
    )


def unjudged(clause: str, variant: str = "int8", why: str = "deselected") -> Unjudged:
    """A clause without a verdict."""
    return Unjudged(contract="eyes", variant=variant, check="quality", clause=clause, why=why)


def record(
    verdicts: Sequence[VerdictEntry], missing: Sequence[Unjudged] = (), *, variants: Sequence[str] = ("fp32", "int8")
) -> Record:
    """A record of one contract."""
    contract = ContractEntry(
        name="eyes",
        file="golden/contract.toml",
        digest=DIGEST,
        substance=DIGEST,
        variants=tuple(VariantEntry(name=name, kind="onnx", path=f"{name}.onnx") for name in variants),
        planned=len(verdicts) + len(missing),
        outcome=outcome(verdicts, unjudged=len(missing)),
    )
    source = Provenance(variant="int8", artefact=DIGEST)
    return Record(
        tool="0.1.0",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        environment=Environment(
            python="3.11.7", implementation="CPython", system="Linux", architecture="x86_64", machine="x86-64 avx2 0"
        ),
        contracts=(contract,),
        verdicts=tuple(verdicts),
        unjudged=tuple(missing),
        evidence={
            "sha256:1": EvidenceEntry(
                kind="files",
                variant="int8",
                provenance=source,
                document=Files(provenance=source, bytes=4_740_000, deflated=4_000_000),
            )
        },
    )
