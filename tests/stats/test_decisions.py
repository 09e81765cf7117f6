"""The decision about a floor and about a drop: calibrated, monotone, and never held for want of evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from eyerace_parity.stats.decisions import Labelled, Rules, decide_drop, decide_floor
from eyerace_parity.stats.measures import BootstrapMeasure, accuracy, class_f1, macro_f1
from tests.stats.simulated import CLASSES, MEASURE, RARE, World, floors, shares

WORSE = [Status.BROKEN, Status.UNPROVEN, Status.HELD]
TRIALS = 200
QUICK = Rules(draws=2000)


def three_errors(share: float, trials: int) -> float:
    """A share with three standard errors of so many trials."""
    return share + 3 * math.sqrt(share * (1 - share) / trials)


@pytest.mark.parametrize("world", [World(200, harmed=0.03, mended=0.01), World(500, together=2, harmed=0.02)])
def test_a_true_drop_of_the_margin_is_rarely_passed_and_rarely_alarmed(world):
    """On the margin neither answer is right: each is given in at most 5 % of seeded trials."""
    found = shares(world, world.drop, trials=TRIALS, draws=1000)
    assert found[Status.HELD] <= three_errors(0.05, TRIALS)
    assert found[Status.BROKEN] <= three_errors(0.05, TRIALS)


@pytest.mark.parametrize("measure", [MEASURE, class_f1(CLASSES, RARE)], ids=["macro-F1", "rare class"])
def test_a_floor_of_the_true_value_is_rarely_broken_where_class_counts_come_as_they_fall(measure):
    """Counts that count as fixed make it too sure: they are drawn, too."""
    drawn, fixed = (floors(measure, 200, trials=400, draws=1000, stratified=each) for each in (False, True))
    assert drawn[Status.HELD] <= three_errors(0.05, 400)
    assert drawn[Status.BROKEN] <= three_errors(0.05, 400)
    assert fixed[Status.BROKEN] > drawn[Status.BROKEN]


def test_no_drop_is_proven_within_two_points_by_twelve_hundred():
    """A model that loses nothing passes."""
    world = World(1200, together=2, harmed=0.005, mended=0.005)
    assert shares(world, world.drop + 0.02, trials=60, draws=1000)[Status.HELD] >= 0.95


def drawn(**world: float) -> Labelled:
    """One set of some world."""
    return World(1200, **world).draw(np.random.default_rng(4))  # type: ignore[arg-type]


def test_a_wider_limit_never_makes_it_worse():
    """The answer is monotone in the limit, through all three answers."""
    samples = drawn(harmed=0.04)
    drops = [
        decide_drop(MEASURE, samples, margin, QUICK).status for margin in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08)
    ]
    floors = [decide_floor(MEASURE, samples, floor, QUICK).status for floor in (0.95, 0.9, 0.88, 0.87, 0.8)]
    for found in (drops, floors):
        assert found == sorted(found, key=WORSE.index)
        assert set(found) == set(WORSE)


def test_what_is_provable_passes_and_nothing_beyond_it_does():
    """The tightest limit is the bound itself."""
    samples = drawn(harmed=0.04)
    most = decide_drop(MEASURE, samples, 0.0, QUICK).provable
    least = decide_floor(MEASURE, samples, 0.5, QUICK).provable
    assert most is not None
    assert least is not None
    assert decide_drop(MEASURE, samples, most, QUICK).status is Status.HELD
    assert decide_drop(MEASURE, samples, most - 1e-6, QUICK).status is Status.UNPROVEN
    assert decide_floor(MEASURE, samples, least, QUICK).status is Status.HELD
    assert decide_floor(MEASURE, samples, least + 1e-6, QUICK).status is Status.UNPROVEN


def test_a_small_set_must_convince_the_exact_test_as_well():
    """Five harms and no mend among fifty are p = 1/32: below 5 % the test agrees, at 1 % it does not."""
    labels = np.arange(50) % 2
    ours = np.where(np.arange(50) < 5, 1 - labels, labels)
    samples = Labelled(labels, np.eye(2)[ours], np.eye(2)[labels])
    found = decide_drop(accuracy(2), samples, 0.0, QUICK)
    assert (found.status, "p = 0.0312" in found.method) == (Status.BROKEN, True)
    assert decide_drop(accuracy(2), samples, 0.0, Rules(alarm=0.01, draws=2000)).status is Status.UNPROVEN


def test_a_function_of_any_kind_is_decided_alike():
    """A statistic that is called draw by draw has nearly the bounds of the same measure, and the same answers."""
    samples = drawn(harmed=0.03, together=2)

    def called(labels, scores):
        return MEASURE(labels, scores)

    for margin in (0.01, 0.03, 0.06):
        ours, theirs = (decide_drop(one, samples, margin, QUICK) for one in (called, MEASURE))
        assert ours.status is theirs.status
        assert ours.bounds is not None
        assert theirs.bounds is not None
        assert ours.bounds.upper == pytest.approx(theirs.bounds.upper, abs=0.004)
        assert ours.bounds.lower == pytest.approx(theirs.bounds.lower, abs=0.004)


def test_a_function_without_an_answer_for_some_draws_holds_nothing():
    """Draws that come to nothing count as the worst, on either side."""
    labels = np.arange(200) % 2

    def fickle(given, scores):
        return 0.9 if len(given) == 200 and np.array_equal(given, labels) else math.nan * scores.sum()

    samples = Labelled(labels, np.eye(2)[labels])
    assert decide_floor(fickle, samples, 0.1).status is Status.UNPROVEN


def worth(_labels, scores):
    """A statistic that is one number however the samples are drawn."""
    return float(scores[0, 0])


def constant(value: float) -> np.ndarray:
    """Scores whose :func:`worth` is a value."""
    return np.full((20, 1), value)


@pytest.mark.parametrize(("reference", "candidate", "margin"), [(0.92, 0.878, 0.042), (1.0, 0.7, 0.3)])
def test_a_drop_of_its_margin_holds_although_the_reckoning_rounds(reference, candidate, margin):
    """A drop that is its margin in decimals may lie a rounding above it in binary; anything more is above it."""
    labels = np.zeros(20, np.int64)
    exact = Labelled(labels, constant(candidate), constant(reference))
    assert reference - candidate > margin
    assert decide_drop(worth, exact, margin).status is Status.HELD
    above = Labelled(labels, constant(candidate - 1e-12), constant(reference))
    assert decide_drop(worth, above, margin).status is Status.BROKEN


@pytest.mark.parametrize(("value", "floor"), [(1 - 0.9, 0.1), (0.5 - 0.2 - 0.1, 0.2)])
def test_a_value_of_its_floor_holds_although_the_reckoning_rounds(value, floor):
    """The same for a floor, from below."""
    labels = np.zeros(20, np.int64)
    assert value < floor
    assert decide_floor(worth, Labelled(labels, constant(value)), floor).status is Status.HELD
    assert decide_floor(worth, Labelled(labels, constant(floor - 1e-12)), floor).status is Status.BROKEN


def test_a_floor_of_one_holds_although_the_reckoning_rounds():
    """A floor, or a value, that is 1 but for its last digit is 1; one wrong sample of a thousand is not."""
    labels = np.arange(1000) % 2
    perfect = Labelled(labels, np.eye(2)[labels])
    nearly = 1.0 - np.finfo(np.float64).eps
    found = decide_floor(accuracy(2), perfect, nearly)
    assert (found.status, found.exact) == (Status.HELD, True)
    rounded = BootstrapMeasure(2, lambda tallies: nearly * accuracy(2).value(tallies))
    assert decide_floor(rounded, perfect, 1.0).status is Status.HELD
    wrong = np.where(np.arange(1000) < 1, 1 - labels, labels)
    assert decide_floor(accuracy(2), Labelled(labels, np.eye(2)[wrong]), 1.0).status is Status.BROKEN


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_never_held(value):
    """A statistic that is not finite cannot pass a floor, nor hide a drop."""
    samples = Labelled(np.zeros(4, dtype=np.int64), np.full((4, 1), value), np.zeros((4, 1)))

    def mean(_labels, scores):
        return float(scores.mean())

    assert decide_floor(mean, samples, 0.5).status is Status.ERROR
    assert decide_drop(mean, samples, 0.5).status is Status.ERROR
    turned = Labelled(samples.labels, np.zeros((4, 1)), np.full((4, 1), value))
    assert decide_drop(mean, turned, 0.5).status is Status.ERROR


def test_a_drop_needs_two():
    """A drop without a reference is a fault of the check."""
    with pytest.raises(ValueError, match="reference"):
        decide_drop(macro_f1(2), Labelled(np.array([0]), np.array([[1.0, 0.0]])), 0.1)
