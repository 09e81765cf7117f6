"""Derived facts about quality, against counts by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyerace_parity.contract.sections import Hybrid, Statistics
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.measure.kinds import quality
from eyerace_parity.measure.kinds.quality import (
    MOST_MOVED,
    MOST_ROWS,
    compute_mixture,
    compute_noise,
    compute_quality,
    compute_samples,
    compute_slices,
)
from eyerace_parity.stats.decisions import Labelled, Rules, decide_floor
from eyerace_parity.stats.measures import class_f1, macro_f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract

CLASSES = ("x", "y")
SOURCE = Provenance(variant="int8")


def contract(**changes: Any) -> Contract:
    """As much of a contract as derived facts ask of it."""
    limits = SimpleNamespace(f1_per_class=changes.pop("f1_per_class", None))
    stated = {
        "scores_output": "scores", "classes": CLASSES, "statistics": Statistics(draws=1000), "hybrid": None,
        "variants": {"int8": SimpleNamespace(limits={"quality": limits})},
    }  # fmt: skip
    return SimpleNamespace(**(stated | changes))  # type: ignore[return-value]


def golden(labels: NDArray[np.int64] | None, number: int = 0) -> GoldenFacts:
    """A set of these labels, or of so many samples without any."""
    number = len(labels) if labels is not None else number
    return GoldenFacts("sha256:0", tuple(f"{i}.png" for i in range(number)), CLASSES, labels)


def beside(facts: GoldenFacts, columns: dict[str, list[str]]) -> GoldenFacts:
    """A golden set whose table has these further columns."""
    return replace(facts, columns={name: tuple(cells) for name, cells in columns.items()})


def outputs(decided: NDArray[np.int64], sure: float = 2.0, name: str = "int8") -> Outputs:
    """Answers that decide so."""
    scores = (np.eye(len(CLASSES))[decided] * sure).astype(np.float32)
    return Outputs(Provenance(variant=name), {"scores": scores}, len(scores))


LABELS = np.array([0] * 30 + [1] * 30, dtype=np.int64)
DECIDED = np.where(np.arange(60) % 10 == 0, 1 - LABELS, LABELS)


def test_quality_counts_and_bounds_what_clauses_bound() -> None:
    """Confusion by hand; bounds of a class are those of the clause that limits it."""
    found = compute_quality(contract(f1_per_class={"y": 0.5}), outputs(DECIDED), golden(LABELS), SOURCE)
    assert found.confusion == ((27, 3), (3, 27))
    assert (found.samples, found.accuracy) == (60, 0.9)
    assert found.macro_f1 == pytest.approx(0.9)
    samples = Labelled(LABELS, outputs(DECIDED).arrays["scores"])
    bounds = decide_floor(class_f1(2, 1), samples, 0.5, Rules(0.95, 0.05, draws=1000, plan=False)).bounds
    assert bounds is not None
    assert (found.by_class[1].low, found.by_class[1].high) == (bounds.lower, bounds.upper)
    assert [one.demanded for one in found.by_class] == [None, 0.5]


def test_a_class_that_does_not_occur_has_no_f1() -> None:
    """Nor has the mean over the classes."""
    found = compute_quality(contract(), outputs(np.zeros(4, np.int64)), golden(np.zeros(4, np.int64)), SOURCE)
    assert found.macro_f1 is None
    assert (found.by_class[1].value, found.by_class[1].low) == (None, None)


def test_the_bounds_follow_how_the_set_was_drawn() -> None:
    """Class counts that were chosen leave less unknown than those that came as they fell."""
    chosen = contract(statistics=Statistics(draws=1000, sampling="stratified"))
    fixed, drawn = (
        compute_quality(read, outputs(DECIDED), golden(LABELS), SOURCE).by_class[0] for read in (chosen, contract())
    )
    assert fixed.value == drawn.value
    assert (fixed.low, fixed.high) != (drawn.low, drawn.high)


def test_without_labels_there_is_no_quality() -> None:
    """Nobody knows what is right."""
    with pytest.raises(MeasurementError, match="no labels"):
        compute_quality(contract(), outputs(DECIDED), golden(None, 60), SOURCE)


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (np.zeros((59, 2)), "for every sample"),
        (np.zeros((60, 3)), "3 classes"),
        (np.full((60, 2), np.nan), "not finite"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: NDArray[np.float64], told: str) -> None:
    """Each with its reason."""
    answers = Outputs(SOURCE, {"scores": scores}, 60)
    with pytest.raises(MeasurementError, match=told):
        compute_quality(contract(), answers, golden(LABELS), SOURCE)


def test_slices_split_a_column_of_numbers() -> None:
    """Five parts of the same number of samples, each with its F1 and its bounds; texts and constants are left out."""
    columns = {
        "light": [str(i) for i in range(60)],
        "camera": ["front"] * 60,
        "gain": ["1"] * 60,
    }
    found = compute_slices(contract(), outputs(DECIDED), beside(golden(LABELS), columns), SOURCE).slices
    assert {(one.column, one.part, one.samples) for one in found} == {("light", part, 12) for part in range(5)}
    assert [one.middle for one in found] == [5.5, 17.5, 29.5, 41.5, 53.5]
    middle = found[2]
    inside = slice(24, 36)
    samples = Labelled(LABELS[inside], outputs(DECIDED).arrays["scores"][inside])
    decision = decide_floor(macro_f1(2), samples, 0.5, Rules(0.95, 0.05, draws=1000, plan=False))
    assert middle.f1 == pytest.approx(decision.value)
    assert decision.bounds is not None
    assert (middle.low, middle.high) == (decision.bounds.lower, decision.bounds.upper)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=30, max_size=60), st.integers(0, 1000))
def test_every_sample_stands_in_one_part(labels: list[int], seed: int) -> None:
    """And each F1 lies between its bounds, where it has any."""
    truth = np.array(labels, np.int64)
    drawn = np.random.default_rng(seed)
    cells = [str(number) for number in drawn.normal(size=len(truth))]
    answers = outputs(drawn.integers(0, 2, len(truth)))
    found = compute_slices(contract(), answers, beside(golden(truth), {"light": cells}), SOURCE)
    assert sum(one.samples for one in found.slices) == len(truth)
    for one in found.slices:
        assert (one.low is None) == (one.high is None)
        assert one.low is None or one.high is None or one.low <= one.f1 <= one.high


def test_noise_is_told_of_every_comparable_output() -> None:
    """Equal answers have infinite decibels; other shapes and numbers that are none are left out."""
    ours = Outputs(SOURCE, {"a": np.ones((2, 2)), "b": np.ones((2, 3)), "c": np.full((2, 2), np.nan)}, 2)
    theirs = Outputs(SOURCE, {"a": np.ones((2, 2)), "b": np.ones((2, 2)), "c": np.ones((2, 2))}, 2)
    (level,) = compute_noise(contract(), ours, theirs, SOURCE).levels
    assert (level.output, level.sqnr_db) == ("a", math.inf)


def test_samples_tell_both_decisions_and_how_sure_they_are() -> None:
    """Who was right, and the candidate's probability of what the other decides."""
    found = compute_samples(contract(), outputs(DECIDED), golden(LABELS), outputs(LABELS, name="fp32"), SOURCE)
    assert (found.total, found.differ, len(found.rows)) == (60, 6, 60)
    row = found.rows[0]
    assert (row.id, row.label, row.kind, row.decision, row.other) == ("0.png", "x", "harmed", "y", "x")
    assert row.p == row.other_p == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-6)
    assert row.p_of_other == pytest.approx(1 - row.p, abs=1e-6)
    assert found.moved == ()


def test_the_furthest_are_named_first() -> None:
    """Among those with one decision, and no more than a page can show."""
    theirs = outputs(LABELS)
    times = np.ones((60, 1), np.float32)
    times[7], times[20:] = 4, 2
    shifted = np.asarray(theirs.arrays["scores"], np.float32) * times
    found = compute_samples(contract(), Outputs(SOURCE, {"scores": shifted}, 60), golden(LABELS), theirs, SOURCE)
    assert found.moved[0].index == 7
    assert len(found.moved) == MOST_MOVED
    assert all(row.kind == "same" for row in found.moved)


def test_of_many_samples_all_flips_are_shown() -> None:
    """And the furthest, and a seeded choice of the rest, in the set's order."""
    labels = np.zeros(3 * MOST_ROWS, np.int64)
    decided = labels.copy()
    decided[-9:] = 1
    sides = outputs(decided), outputs(labels)
    found = compute_samples(contract(), sides[0], golden(labels), sides[1], SOURCE)
    places = [row.index for row in found.rows]
    assert len(places) == MOST_ROWS
    assert places == sorted(set(places))
    assert set(range(len(labels) - 9, len(labels))) <= set(places)
    assert found == compute_samples(contract(), sides[0], golden(labels), sides[1], SOURCE)


def test_scores_that_are_probabilities_are_taken_as_they_are() -> None:
    """By what the contract says of them."""
    stated = Hybrid(offline_share=0.5, scores="probabilities")
    scores = np.array([[0.7, 0.3]])
    found = quality.probabilities_of(contract(hybrid=stated), scores)
    assert found == pytest.approx(scores)
    assert quality.probabilities_of(contract(), scores)[0, 0] == pytest.approx(1 / (1 + math.exp(-0.4)))


def test_a_mixture_goes_from_the_cloud_to_the_device() -> None:
    """Its ends are the F1 of either, and the expected share lies on the curve."""
    stated = contract(hybrid=Hybrid(offline_share=0.25))
    found = compute_mixture(stated, outputs(DECIDED), golden(LABELS), outputs(LABELS), SOURCE)
    assert found.curve[0].f1 == 1.0
    assert found.curve[-1].f1 == pytest.approx(0.9)
    assert found.expected.share == 0.25
    assert found.expected == found.curve[5]
    with pytest.raises(MeasurementError, match="mixes no variants"):
        compute_mixture(contract(), outputs(DECIDED), golden(LABELS), outputs(LABELS), SOURCE)
