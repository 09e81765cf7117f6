"""Evidence as bytes: what is written is read, equal evidence gives equal bytes, foreign bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest

from eyerace_parity.core.errors import RecordError
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Array, Provenance
from eyerace_parity.evidence.codec import decode, encode

SOURCE = Provenance(variant="int8", artefact="sha256:1", settings={"threads": "1"})
STRANGE: dict[str, Array] = {
    "scores": np.array([[1, np.nan], [np.inf, -0.0]], np.float32),
    "../odd/näme\0": np.arange(2),
    "": np.ones((2, 0, 3)),
}


def same(left: dict[str, Array], right: dict[str, Array]) -> None:
    """Two mappings hold the same arrays, bit for bit, in the same order."""
    assert list(left) == list(right)
    for one, other in zip(left.values(), right.values(), strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_outputs_come_back() -> None:
    """Whatever an output is called, and whatever stands in it: NaN and infinities are data."""
    found = decode(Outputs, encode(Outputs(SOURCE, STRANGE, 2)))
    same(dict(found.arrays), STRANGE)
    assert found.provenance == SOURCE
    assert found.expected == 2


def test_repeats_come_back() -> None:
    """All three rounds, an empty one too, and why there was no batch."""
    found = decode(Repeats, encode(Repeats(SOURCE, (1, 5), STRANGE, STRANGE, {}, "refused")))
    same(dict(found.first), STRANGE)
    assert (found.samples, found.batched, found.batch_refused) == ((1, 5), {}, "refused")


def test_executions_come_back() -> None:
    """Which samples, and how it ended: with answers, or with a signal and none."""
    found = decode(Execution, encode(Execution(SOURCE, (3,), (1, 5), STRANGE)))
    same(dict(found.arrays), STRANGE)
    assert (found.near, found.drawn, found.samples) == ((3,), (1, 5), (1, 3, 5))
    died = decode(Execution, encode(Execution(SOURCE, (), (0,), {}, "it died", 4, "do not ship it")))
    assert (died.failure, died.signal, died.next_step) == ("it died", 4, "do not ship it")


@pytest.mark.parametrize("labels", [None, np.array([1, 0], np.int64)])
@pytest.mark.parametrize("clusters", [None, ("a", "b")])
def test_golden_facts_come_back(labels, clusters) -> None:
    """With and without labels and clusters."""
    found = decode(GoldenFacts, encode(GoldenFacts("sha256:2", ("x", "y"), ("c", "d"), labels, clusters)))
    assert (found.ids, found.classes, found.clusters) == (("x", "y"), ("c", "d"), clusters)
    if labels is None:
        assert found.labels is None
    else:
        np.testing.assert_array_equal(found.labels, labels)


def test_facts_come_back() -> None:
    """A kind that is made of numbers is JSON."""
    facts = Files(provenance=SOURCE, bytes=5, deflated=3)
    assert decode(Files, encode(facts)) == facts


def test_equal_evidence_gives_equal_bytes() -> None:
    """No time of day: two runs record the same file."""
    assert encode(Outputs(SOURCE, STRANGE, 2)) == encode(Outputs(SOURCE, STRANGE, 2))


@pytest.mark.parametrize("kind", [Outputs, Repeats, GoldenFacts, Files])
@pytest.mark.parametrize("body", [b"", b"{}", b"PK\x03\x04 torn", encode(Outputs(SOURCE, STRANGE, 2))[:-30]])
def test_foreign_bytes_are_refused(kind: type[object], body: bytes) -> None:
    """Torn, foreign and empty bytes are never evidence of any kind."""
    with pytest.raises(RecordError):
        decode(kind, body)


def test_one_kind_is_not_another() -> None:
    """Outputs are no repeats, though both are archives."""
    with pytest.raises(RecordError):
        decode(Repeats, encode(Outputs(SOURCE, STRANGE, 2)))
