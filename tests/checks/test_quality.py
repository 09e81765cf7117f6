"""Quality: floors and drops, with the class, the confusions and the flips that explain them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parity.result import Status
from tests.checks.evidence_factory import CLASSES, LABELS, contract, golden, judge, outputs, scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parity.contract.model import Contract
    from parity.evidence.model import Golden
    from parity.result import Judgement

# One blue is taken for red: F1 of red 0.8, green 1, blue 2/3.
ONE_WRONG = (0, 0, 1, 1, 2, 0)
MACRO = (0.8 + 1.0 + 2 / 3) / 3


def verdict(
    clause: str,
    limits: Mapping[str, Any],
    ours: Sequence[int] = LABELS,
    theirs: Sequence[int] = LABELS,
    truth: Golden | None = None,
) -> Judgement:
    """Judge int8 against fp32."""
    read = contract({"int8": {"quality": limits}})
    return judge(read, "int8", clause, truth or golden(), scores("int8", ours), scores("fp32", theirs))


@pytest.mark.parametrize(("clause", "value"), [("f1", MACRO), ("micro_f1", 5 / 6), ("accuracy", 5 / 6)])
def test_floors(clause, value):
    """Exactly on the floor is held, a hair above it is broken; the classes are told."""
    held = verdict(clause, {clause: value}, ONE_WRONG)
    broken = verdict(clause, {clause: value + 1e-6}, ONE_WRONG)
    assert (held.status, broken.status) == (Status.HELD, Status.BROKEN)
    assert held.value == pytest.approx(value)
    assert "blue: F1 0.6667, 2 samples, taken for red 1×" in broken.details  # noqa: RUF001 - the sign for times


@pytest.mark.parametrize(
    ("clause", "value"), [("f1_drop", 1 - MACRO), ("micro_f1_drop", 1 / 6), ("accuracy_drop", 1 / 6)]
)
def test_drops(clause, value):
    """A drop of exactly the margin is held; the flips are told with their images."""
    held = verdict(clause, {clause: value}, ONE_WRONG)
    broken = verdict(clause, {clause: value - 1e-6}, ONE_WRONG)
    assert (held.status, broken.status) == (Status.HELD, Status.BROKEN)
    assert "1 in fp32" in broken.reason
    assert "1 of 6 decisions flip between fp32 and int8" in broken.details
    assert "right→wrong: 1 (eye-5)" in broken.details
    assert "wrong→right: 0" in broken.details


def test_a_rise_is_held_at_a_margin_of_zero():
    """More than the reference is a negative drop."""
    judgement = verdict("f1_drop", {"f1_drop": 0.0}, LABELS, ONE_WRONG)
    assert judgement.status is Status.HELD
    assert judgement.value == pytest.approx(MACRO - 1)
    assert "rises by" in judgement.reason


def test_the_worst_class_is_named_with_its_confusions():
    """A floor for all classes, and floors for some."""
    every = verdict("f1_per_class", {"f1_per_class": 0.9}, ONE_WRONG)
    assert (every.status, every.limit) == (Status.BROKEN, 0.9)
    assert "F1 of blue is 0.6667" in every.reason
    assert "taken for red 1×" in every.reason  # noqa: RUF001 - the sign for times
    assert "2 classes below the floor: red, blue" in every.reason
    some = {"f1_per_class": {"red": 0.9, "blue": 0.5}}
    assert "F1 of red is 0.8" in verdict("f1_per_class", some, ONE_WRONG).reason
    assert verdict("f1_per_class", {"f1_per_class": {"blue": 0.5}}, ONE_WRONG).status is Status.HELD


@pytest.mark.parametrize("clause", ["f1", "f1_drop", "f1_per_class"])
def test_a_class_without_samples_is_an_error(clause):
    """Macro-F1 over a class that the set does not show would be averaged from nothing."""
    limit = {clause: 1.0 if clause == "f1_drop" else 0.0}
    judgement = verdict(clause, limit, (0, 0, 1, 1, 1, 1), truth=golden((0, 0, 1, 1, 1, 1)))
    assert judgement.status is Status.ERROR
    assert "no sample of blue" in judgement.reason


def test_a_floor_of_a_class_that_is_there_needs_no_other():
    """A floor for red does not care for a blue that the set does not show."""
    shown = golden((0, 0, 1, 1, 1, 1))
    limits = {"f1_per_class": {"red": 0.9}, "accuracy": 0.9}
    for clause in limits:
        assert verdict(clause, limits, (0, 0, 1, 1, 1, 1), truth=shown).status is Status.HELD


def test_labels_that_do_not_fit_are_an_error():
    """A label beyond the classes, no labels, or too few."""
    for truth in (golden((0, 0, 1, 1, 2, 3)), golden((0, 0, 1, 1, 2, -1)), golden(None, count=6)):
        assert verdict("accuracy", {"accuracy": 0.0}, truth=truth).status is Status.ERROR


def test_the_samples_order_does_not_matter():
    """F1 and its drop are the same for permuted samples."""
    order = np.random.default_rng(2).permutation(6)
    labels, ours = np.array(LABELS)[order], np.array(ONE_WRONG)[order]
    for clause in ("f1", "f1_drop"):
        before = verdict(clause, {clause: 0.0}, ONE_WRONG).value
        after = verdict(clause, {clause: 0.0}, ours.tolist(), labels.tolist(), golden(labels.tolist())).value
        assert after == pytest.approx(before)


def metric_contract(tmp_path: Path, body: str, limits: Mapping[str, Any]) -> Contract:
    """A contract whose metric is a function of the bundle."""
    source = f"def score(labels, scores):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
    (tmp_path / "tiny_metric.py").write_text(source, encoding="utf-8")
    read = contract({"int8": {"quality": limits}}, metric="tiny_metric:score")
    read._file = tmp_path / "contract.toml"
    return read


def test_the_contracts_own_metric(tmp_path):
    """It is called with labels and scores, and its floor and drop are judged."""
    body = "return (scores.argmax(1) == labels).mean() * 10"
    read = metric_contract(tmp_path, body, {"metric": 8.0, "metric_drop": 1.0})
    evidence = golden(), scores("int8", ONE_WRONG), scores("fp32")
    floor, drop = (judge(read, "int8", clause, *evidence) for clause in ("metric", "metric_drop"))
    assert floor.status is Status.HELD
    assert floor.value == pytest.approx(10 * 5 / 6)
    assert drop.status is Status.BROKEN
    assert "metric tiny_metric:score drops by 1.667: 10 in fp32, 8.333 in int8" in drop.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('gone')", "the metric tiny_metric:score failed: KeyError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("return float('nan')", "no number to compare"),
        ("return 'good'", "ValueError"),
        ("return None", "TypeError"),
    ],
)
def test_a_metric_that_fails_is_an_error(tmp_path, body, reason):
    """The user's own code may do anything; the run survives it and says what happened."""
    read = metric_contract(tmp_path, body, {"metric": 0.0, "metric_drop": 0.0})
    for clause in ("metric", "metric_drop"):
        judgement = judge(read, "int8", clause, golden(), scores("int8"), scores("fp32"))
        assert judgement.status is Status.ERROR
        assert reason in judgement.reason


def test_a_metric_cannot_spoil_the_evidence(tmp_path):
    """It gets copies: sorting in place changes nothing for others."""
    read = metric_contract(tmp_path, "scores.sort(); labels[:] = 0\nreturn 1.0", {"metric": 0.5})
    ours, truth = scores("int8"), golden()
    before = ours.arrays["scores"].copy()
    assert judge(read, "int8", "metric", truth, ours).status is Status.HELD
    assert np.array_equal(ours.arrays["scores"], before)
    assert truth.labels is not None
    assert truth.labels.tolist() == list(LABELS)


def test_the_first_of_equal_scores_decides():
    """A tie is a decision for the first class, here as everywhere."""
    flat = outputs("int8", scores=np.zeros((6, len(CLASSES)), np.float32))
    read = contract({"int8": {"quality": {"accuracy": 1.0}}})
    assert judge(read, "int8", "accuracy", golden([0] * 6), flat).status is Status.HELD
