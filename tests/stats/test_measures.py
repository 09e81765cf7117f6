"""Measures from tallies are the measures that counting gives, and a measure of many tallies is that of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.stats import classification, measures

CLASSES = 4
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


@given(pairs)
def test_they_agree_with_the_confusion_matrix(rows):
    """Macro-F1, a class's F1 and accuracy are those of the whole confusion matrix."""
    labels, decided = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    counts = classification.confusion(labels, decided, CLASSES)
    scores = np.eye(CLASSES, dtype=np.float32)[decided]
    assert measures.macro_f1(CLASSES)(labels, scores) == pytest.approx(classification.macro_f1(counts), nan_ok=True)
    assert measures.accuracy(CLASSES)(labels, scores) == pytest.approx(classification.accuracy(counts), nan_ok=True)
    each = [measures.class_f1(CLASSES, index)(labels, scores) for index in range(CLASSES)]
    assert each == pytest.approx(classification.f1_by_class(counts), nan_ok=True)


@given(pairs, st.floats(0, 1))
def test_a_mixture_lies_where_its_confusion_matrix_does(rows, share):
    """The mixture of two variants has the F1 of their confusion matrices, mixed."""
    labels, ours = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    theirs = ours[::-1].copy()
    mixed = share * classification.confusion(labels, ours, CLASSES) + (1 - share) * classification.confusion(
        labels, theirs, CLASSES
    )
    scores = np.hstack([np.eye(CLASSES)[ours], np.eye(CLASSES)[theirs]])
    found = measures.mixture_f1(CLASSES, share)(labels, scores)
    assert found == pytest.approx(float(classification.f1_by_class(mixed).mean()), nan_ok=True)


@given(st.lists(pairs, min_size=1, max_size=4))
def test_many_sets_at_once_are_each_for_itself(sets):
    """A stack of tallies gives a number for each."""
    tallies = []
    for rows in sets:
        labels, decided = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        tallies.append(measures.tally(labels, decided[None], CLASSES))
    measure = measures.macro_f1(CLASSES)
    together = measure.value(np.stack(tallies))
    assert together == pytest.approx([float(measure.value(tally)) for tally in tallies], nan_ok=True)
