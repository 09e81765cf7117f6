"""The table of derived kinds."""

from __future__ import annotations

from typing import Any

import pytest

from eyerace_parity.evidence.base import Fact, Provenance
from eyerace_parity.measure.context import code_digest
from eyerace_parity.measure.kinds.derived import DERIVATIONS, derived_key
from eyerace_parity.record.document import DOCUMENTS


@pytest.mark.parametrize("kind", DERIVATIONS, ids=lambda kind: kind.__name__)
def test_every_derived_kind_can_stand_in_a_record(kind: type[Any]) -> None:
    """It is made of numbers, its code is there, and its key tells it from all others of one origin."""
    assert issubclass(kind, Fact)
    assert DOCUMENTS[kind.__name__.lower()] is kind
    assert code_digest(*DERIVATIONS[kind].code)
    source = Provenance(variant="int8")
    assert len({derived_key(other, source) for other in DERIVATIONS}) == len(DERIVATIONS)
    assert derived_key(kind, source) != derived_key(kind, source.model_copy(update={"settings": {"seed": "1"}}))
    assert derived_key(kind, source) == derived_key(kind, source.model_copy(update={"cached": True}))
