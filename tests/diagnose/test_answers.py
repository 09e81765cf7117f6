"""What answers alone show of a cause; and that they show none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from eyerace_parity.diagnose.answers import causes, unread
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.stats.differences import log_softmax

CLASSES = ("orange", "yellow", "pearl", "bull")
N = 400


def golden(labels: np.ndarray | None) -> GoldenFacts:
    """A golden set of these labels."""
    return GoldenFacts("", tuple(f"{i}.jpg" for i in range(N)), CLASSES, labels)


@pytest.fixture
def labels() -> np.ndarray:
    """Classes in turn."""
    return np.arange(N) % len(CLASSES)


@pytest.fixture
def scores(labels: np.ndarray) -> np.ndarray:
    """Scores of a model that is mostly right and mostly sure."""
    random = np.random.default_rng(1)
    found = random.normal(0, 1, (N, len(CLASSES)))
    found[np.arange(N), labels] += 6
    return found


def of(ours: np.ndarray, theirs: np.ndarray | None, labels: np.ndarray | None) -> str:
    """All causes, as one text."""
    return "; ".join(causes("int8", ours, "fp32" if theirs is not None else "", theirs, golden(labels)))


def test_what_is_well_has_no_cause(scores: np.ndarray, labels: np.ndarray) -> None:
    """Neither the reference's own answers nor those of a good quantisation, nor a merely weaker model."""
    random = np.random.default_rng(2)
    assert not of(scores, scores, labels)
    assert not of(scores + random.normal(0, 0.05, scores.shape), scores, labels)
    weaker = scores + random.normal(0, 3, scores.shape)
    assert not of(weaker, scores, labels)
    assert not of(weaker, None, labels)


def test_relations_to_the_reference_are_named(scores: np.ndarray, labels: np.ndarray) -> None:
    """Each thing that is done to all scores alike."""
    soft = np.exp(log_softmax(scores))
    assert "softmax was added" in of(soft, scores, labels)
    assert "softmax was lost" in of(scores, soft, labels)
    assert "0.5 times" in of(scores / 2, scores, labels)
    assert "orange in the place of yellow" in of(scores[:, [1, 0, 2, 3]], scores, labels)
    assert "2 added to pearl" in of(scores + np.array([0, 0, 2.0, 0]), scores, labels)
    assert "baked in" in unread("int8", np.tile(scores[:1], (N, 1)))[0]
    assert not unread("int8", scores)


def test_wrong_classes_are_named_with_what_undoing_gives(scores: np.ndarray, labels: np.ndarray) -> None:
    """Two exchanged, all reversed, and any other order."""
    assert "yellow and pearl are exchanged" in of(scores[:, [0, 2, 1, 3]], None, labels)
    assert "reverse order" in of(scores[:, ::-1], None, labels)
    assert "another order" in of(scores[:, [1, 2, 3, 0]], None, labels)


def test_labels_that_are_wrong_are_told_from_a_model_that_is(scores: np.ndarray, labels: np.ndarray) -> None:
    """Shuffled and careless labels; but a candidate that fails where its reference does not accuses no label."""
    random = np.random.default_rng(3)
    shuffled = random.permutation(labels)
    assert "shuffled" in of(scores, scores, shuffled)
    careless = np.where(random.random(N) < 0.15, (labels + 1) % len(CLASSES), labels)
    assert "look wrong" in of(scores, scores, careless)
    lost = random.normal(0, 4, scores.shape)
    assert "shuffled" not in of(lost, scores, labels)


def test_wrong_in_a_pattern_accuses_no_label(labels: np.ndarray) -> None:
    """Swapped channels take one class for another: F1 is near chance, and labels and decisions still go together."""
    random = np.random.default_rng(4)
    many = np.tile(labels, 5)
    taken = np.where(
        random.random(len(many)) < 0.17, (many + 1) % len(CLASSES), random.integers(0, len(CLASSES), len(many))
    )
    sure = np.eye(len(CLASSES))[taken] * 6
    assert not causes("int8", sure, "", None, golden(many))
    assert "shuffled" in causes("int8", sure, "", None, golden(random.permutation(many)))[0]
    assert not causes("int8", sure, "fp32", sure, golden(many)), "two that are mostly wrong are no witnesses"


def test_nothing_is_said_of_what_cannot_be_read(scores: np.ndarray, labels: np.ndarray) -> None:
    """No scores, NaN, a single number a sample, other shapes, no labels."""
    broken = scores.copy()
    broken[0, 0] = np.nan
    assert not of(broken, scores, labels)
    assert not causes("int8", None, "", None, golden(labels))
    assert not of(scores[:, 0], None, labels)
    assert not of(scores[:, :3], scores, labels)
    assert not of(scores, None, None)
