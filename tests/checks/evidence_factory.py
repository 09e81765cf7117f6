"""Small builders of real evidence and real contracts, so that each clause can be shown whatever it must judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import families
from eyerace_parity.contract.extended import contract_type
from eyerace_parity.evidence.answers import GoldenFacts, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage, PortFact
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.costs import Footprint, Preflight, Series, Soak, Timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.base import Array

CLASSES = ("red", "green", "blue")
LABELS = (0, 0, 1, 1, 2, 2)

IMAGE_INPUT = PortFact(name="pixel_values", dtype="float32", shape=("batch", 3, 8, 8))
SCORES_OUTPUT = PortFact(name="scores", dtype="float32", shape=("batch", 3))

INTERFACE: dict[str, Any] = {
    "inputs": [{"name": "pixel_values", "shape": ["batch", 3, 8, 8]}],
    "outputs": [{"name": "scores", "shape": ["batch", 3]}],
}
TWO_OUTPUTS: dict[str, Any] = {
    "inputs": [{"name": "features", "shape": ["rows", 8]}],
    "outputs": [{"name": "rank", "shape": ["rows", 3]}, {"name": "norm", "dtype": "int64", "shape": ["rows"]}],
}
VARIANTS: dict[str, dict[str, Any]] = {
    "torch": {"kind": "torch", "path": "tiny.safetensors", "factory": "tiny:Tiny"},
    "fp32": {
        "kind": "onnx",
        "path": "build/fp32.onnx",
        "reference": "torch",
        "recipe": {"kind": "export", "source": "torch"},
    },
    "int8": {
        "kind": "onnx",
        "path": "build/int8.onnx",
        "reference": "fp32",
        "recipe": {"kind": "quantize_dynamic", "source": "fp32"},
    },
}


def contract(
    limits: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    variants: Mapping[str, dict[str, Any]] | None = None,
    interface: Mapping[str, Any] | None = None,
    labelled: bool = True,
    **fields: Any,
) -> Contract:
    """Make a contract of ``torch``, ``fp32`` and ``int8``.

    Args:
        limits: By variant, then by family, the fields of its limits.
        variants: Instead of the three, or beside them where a name is new.
        interface: Instead of one image in and three scores out.
        labelled: Whether the golden set has labels.
        fields: Further fields of the contract.
    """
    types = {family.name: family.limits for family in families()}
    made = {}
    for name, variant in (VARIANTS | dict(variants or {})).items():
        stated = (limits or {}).get(name, {})
        made[name] = variant | {"limits": {family: types[family](**dict(f)) for family, f in stated.items()}}
    golden = {"kind": "tensors", "files": ["golden/*.npz"], "labels": "labels" if labelled else None}
    base: dict[str, Any] = {
        "schema": 1,
        "name": "tiny",
        "classes": CLASSES,
        "interface": dict(interface or INTERFACE),
        "golden": golden,
        "variants": made,
    }
    read = contract_type().model_validate(base | fields)
    read._file = Path("contract.toml").absolute()
    return read


def planned(read: Contract, variant: str, clause: str) -> PlannedClause:
    """The planned clause of a variant; a test that asks for one that is not planned fails here."""
    found = {(p.identity.variant, p.identity.clause): p for p in plan(read)}
    return found[variant, clause]


def clauses(read: Contract, variant: str) -> set[str]:
    """Names of all clauses that are planned of a variant."""
    return {p.identity.clause for p in plan(read) if p.identity.variant == variant}


def judge(read: Contract, variant: str, clause: str, *evidence: Any) -> Judgement:
    """Judge a clause on evidence that is matched to its needs by kind and variant."""
    item = planned(read, variant, clause)
    found = {}
    for need in item.needs:
        for piece in evidence:
            whose = "" if isinstance(piece, GoldenFacts) else piece.provenance.variant
            if isinstance(piece, need.kind) and whose == need.variant:
                found[need] = piece
    return item.judge(ClauseEvidence(found))


def golden(labels: Sequence[int] | None = LABELS, *, count: int | None = None, digest: str = "") -> GoldenFacts:
    """The golden set's facts, with samples named ``eye-0``, ``eye-1`` and so on."""
    number = count if count is not None else len(labels or ())
    known = None if labels is None else np.asarray(labels, dtype=np.int64)
    return GoldenFacts(digest, tuple(f"eye-{i}" for i in range(number)), CLASSES, known)


def one_hot(decisions: Sequence[int], *, scale: float = 4.0) -> Array:
    """Scores float32 [n, 3] that decide so."""
    return (np.eye(len(CLASSES), dtype=np.float32)[list(decisions)] * scale).astype(np.float32)


def outputs(variant: str, *, expected: int | None = None, golden_digest: str = "", **arrays: Array) -> Outputs:
    """What a variant answered, by output."""
    rows = expected if expected is not None else len(next(iter(arrays.values())))
    return Outputs(Provenance(variant=variant, golden=golden_digest), arrays, rows)


def scores(variant: str, decisions: Sequence[int] = LABELS) -> Outputs:
    """Outputs that decide so."""
    return outputs(variant, scores=one_hot(decisions))


def graph(variant: str = "fp32", **fields: Any) -> Graph:
    """A file that is exactly as it should be, but for ``fields``."""
    base: dict[str, Any] = {
        "ir_version": 8,
        "opsets": {"ai.onnx": 17},
        "inputs": (IMAGE_INPUT,),
        "outputs": (SCORES_OUTPUT,),
        "weights": 1000,
        "weights_integer": 990,
        "macs": 5000,
        "macs_integer": 4000,
    }
    return Graph(provenance=Provenance(variant=variant), **(base | fields))


def preflight(variant: str = "fp32", **fields: Any) -> Preflight:
    """A process that loaded the artefact from bytes and ran it."""
    base: dict[str, Any] = {"inputs": (IMAGE_INPUT,), "outputs": (SCORES_OUTPUT,)}
    return Preflight(provenance=Provenance(variant=variant), **(base | fields))


def footprint(variant: str = "int8", **fields: Any) -> Footprint:
    """Three fresh processes."""
    base: dict[str, Any] = {
        "create_ms": (20.0, 22.0, 30.0),
        "first_ms": (5.0, 5.0, 6.0),
        "peak_bytes": (10_000_000, 12_000_000, 11_000_000),
    }
    return Footprint(provenance=Provenance(variant=variant), **(base | fields))


def soak(variant: str = "int8", **fields: Any) -> Soak:
    """A hundred runs that keep nothing."""
    base: dict[str, Any] = {"runs": 100, "resident_bytes": (100_000_000, 100_000_000, 100_000_000)}
    return Soak(provenance=Provenance(variant=variant), **(base | fields))


def files(variant: str, size: int, deflated: int | None = None) -> Files:
    """How big an artefact is."""
    return Files(provenance=Provenance(variant=variant), bytes=size, deflated=size if deflated is None else deflated)


def series(values: Sequence[float], wall: Sequence[float] | None = None) -> Series:
    """CPU times as given, wall times twice as long."""
    return Series(cpu_ms=tuple(values), wall_ms=tuple(wall if wall is not None else [2 * v for v in values]))


def timing(runs: Sequence[float], variant: str = "int8", **fields: Any) -> Timing:
    """Times of a variant with one thread."""
    base: dict[str, Any] = {"threads": 1, "first_wall_ms": 30.0, "runs": series(runs)}
    return Timing(provenance=Provenance(variant=variant), **(base | fields))


def lineage(stamped: Mapping[str, str], current: Mapping[str, str], variant: str = "fp32") -> Lineage:
    """What an artefact was made from, and what it would be made from now."""
    return Lineage(provenance=Provenance(variant=variant), stamped=dict(stamped), current=dict(current))


def repeats(
    first: Mapping[str, Array],
    again: Mapping[str, Array] | None = None,
    batched: Mapping[str, Array] | None = None,
    *,
    samples: Sequence[int] = (1, 3),
    refused: str = "",
    variant: str = "fp32",
) -> Repeats:
    """Samples run again; everything repeats unless told otherwise."""
    return Repeats(
        Provenance(variant=variant),
        tuple(samples),
        first,
        first if again is None else again,
        first if batched is None else batched,
        refused,
    )
