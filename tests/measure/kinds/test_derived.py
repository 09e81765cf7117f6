"""The derived kinds as the registry declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.evidence.base import Fact, Need, Provenance
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.context import content_key
from eyerace_parity.measure.measurer import derivation_of

if TYPE_CHECKING:
    from eyerace_parity.evidence.kinds import EvidenceKind

DERIVED = [kind for kind in KINDS if kind.runs is Runs.DERIVED]


@pytest.mark.parametrize("kind", DERIVED, ids=lambda kind: kind.name)
def test_every_derived_kind_can_stand_in_a_record(kind: EvidenceKind[Any]) -> None:
    """It is made of numbers, never released, and its first input says where it comes from."""
    assert issubclass(kind.type, Fact)
    assert not kind.released
    first = derivation_of(kind.type).inputs(Need(kind.type, "int8", versus="fp32"))[0]
    assert KINDS.of(first.kind).has_provenance
    assert first.variant == "int8"


def test_keys_tell_derived_kinds_apart() -> None:
    """Of one origin each has a key of its own; what it depends on is part of it, where it was taken from is not."""
    source = Provenance(variant="int8")
    assert len({content_key(kind.type, source) for kind in DERIVED}) == len(DERIVED) == 8
    first = DERIVED[0].type
    assert content_key(first, source) != content_key(first, source.model_copy(update={"settings": {"seed": "1"}}))
    assert content_key(first, source) == content_key(first, source.model_copy(update={"cached": True}))
