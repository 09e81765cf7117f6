"""Quality: floors and drops, with the class, the confusions and the flips that explain them."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import CLASSES, LABELS, contract, golden, judge, outputs, scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.answers import GoldenFacts

TIMES = 200
MANY = LABELS * TIMES
"""Enough samples to prove something."""

# One blue of two is taken for red: F1 of red 0.8, green 1, blue 2/3.
ONE_WRONG = (0, 0, 1, 1, 2, 0)
WRONG = ONE_WRONG * TIMES
MACRO = (0.8 + 1.0 + 2 / 3) / 3


def verdict(
    clause: str,
    limits: Mapping[str, Any],
    ours: Sequence[int] = MANY,
    theirs: Sequence[int] = MANY,
    truth: GoldenFacts | None = None,
    **statistics: Any,
) -> Judgement:
    """Judge int8 against fp32."""
    read = contract({"int8": {"quality": limits}}, statistics=statistics)
    return judge(read, "int8", clause, truth or golden(MANY), scores("int8", ours), scores("fp32", theirs))


@pytest.mark.parametrize(("clause", "value"), [("f1", MACRO), ("micro_f1", 5 / 6), ("accuracy", 5 / 6)])
def test_floors(clause, value):
    """Far enough above its floor it is held, far enough below broken, near it neither; the classes are told."""
    found = {floor: verdict(clause, {clause: floor}, WRONG) for floor in (value - 0.05, value, value + 0.05)}
    assert [judgement.status for judgement in found.values()] == [Status.HELD, Status.UNPROVEN, Status.BROKEN]
    for judgement in found.values():
        assert judgement.value == pytest.approx(value)
        assert "blue: F1 0.6667, 400 samples, taken for red 200×" in judgement.details  # noqa: RUF001 - the sign for times
    assert "prove it neither way" in found[value].reason


@pytest.mark.parametrize(
    ("clause", "value"), [("f1_drop", 1 - MACRO), ("micro_f1_drop", 1 / 6), ("accuracy_drop", 1 / 6)]
)
def test_drops(clause, value):
    """Far enough within the margin it is held, far enough beyond broken; the flips are told with their images."""
    found = [verdict(clause, {clause: margin}, WRONG) for margin in (value + 0.05, value, value - 0.05)]
    assert [judgement.status for judgement in found] == [Status.HELD, Status.UNPROVEN, Status.BROKEN]
    assert "1 in fp32" in found[2].reason
    assert "200 of 1200 decisions flip between fp32 and int8" in found[2].details
    assert "right→wrong: 200 (eye-5, eye-11, eye-17, eye-23, eye-29 and 195 more)" in found[2].details
    assert "wrong→right: 0" in found[2].details


@pytest.mark.parametrize(
    ("clause", "limit"), [("f1", MACRO - 0.012), ("f1_drop", 1 - MACRO + 0.012), ("f1_per_class", {"blue": 0.645})]
)
def test_an_open_question_says_how_many_samples_would_settle_it(clause, limit):
    """So many more of the same kind do settle it."""
    judgement = verdict(clause, {clause: limit}, WRONG)
    assert judgement.status is Status.UNPROVEN
    told = re.search(r"about ([\d,]+) further labelled samples like these would settle it", judgement.next_step)
    assert told
    more = TIMES + -(-int(told[1].replace(",", "")) // len(LABELS))
    again = verdict(clause, {clause: limit}, ONE_WRONG * more, LABELS * more, golden(LABELS * more))
    assert again.status is Status.HELD


def test_the_limit_that_would_have_passed_does():
    """What the failure names is provable, to the last of its digits."""
    for clause in ("f1", "f1_drop"):
        judgement = verdict(clause, {clause: 0.9 if clause == "f1" else 0.0}, WRONG)
        told = judgement.details[-1]
        assert told.startswith("tightest limit that would have passed: ")
        assert verdict(clause, {clause: float(told.rpartition(" ")[2])}, WRONG).status is Status.HELD


def test_a_rise_is_held_at_a_margin_of_zero_where_it_is_proven():
    """More than the reference is a negative drop; a rise that may be chance holds no margin of zero."""
    judgement = verdict("f1_drop", {"f1_drop": 0.0}, MANY, WRONG)
    assert judgement.status is Status.HELD
    assert judgement.value == pytest.approx(MACRO - 1)
    assert "rises by" in judgement.reason
    hardly = (*ONE_WRONG, *MANY[6:])
    assert verdict("f1_drop", {"f1_drop": 0.0}, MANY, hardly).status is Status.UNPROVEN


@pytest.mark.parametrize("times", [3, TIMES])
def test_a_margin_of_zero_is_held_by_the_same_decisions(times):
    """Exactly nothing is a demand on this very set, and so is a floor of one; a margin above it speaks of all."""
    for clause, limit in {"f1_drop": 0.0, "accuracy_drop": 0.0, "f1_drop_per_class": 0.0}.items():
        same = verdict(clause, {clause: limit}, LABELS * times, LABELS * times, golden(LABELS * times))
        assert same.status is Status.HELD
    for clause in ("f1", "accuracy", "f1_per_class"):
        assert verdict(clause, {clause: 1.0}, LABELS * times, truth=golden(LABELS * times)).status is Status.HELD
        one_off = (*ONE_WRONG, *LABELS * (times - 1))
        assert verdict(clause, {clause: 1.0}, one_off, truth=golden(LABELS * times)).status is Status.BROKEN


def test_twenty_samples_without_a_flip_prove_little():
    """No flip among a few samples does not prove that there are hardly any."""
    few = (LABELS * 4)[:20]
    judgement = verdict("accuracy_drop", {"accuracy_drop": 0.001}, few, few, golden(few))
    assert judgement.status is Status.UNPROVEN
    assert any("exact McNemar, 0 harmed and 0 mended of 20" in line for line in judgement.details)
    assert verdict("accuracy_drop", {"accuracy_drop": 0.25}, few, few, golden(few)).status is Status.HELD


def test_the_worst_class_is_named_with_its_confusions():
    """A floor for all classes, and floors for some."""
    every = verdict("f1_per_class", {"f1_per_class": 0.9}, WRONG)
    assert (every.status, every.limit) == (Status.BROKEN, 0.9)
    assert "F1 of blue is 0.6667" in every.reason
    assert "taken for red 200×" in every.reason  # noqa: RUF001 - the sign for times
    assert "2 classes broken: red, blue" in every.reason
    some = {"f1_per_class": {"red": 0.9, "blue": 0.5}}
    assert "F1 of red is 0.8" in verdict("f1_per_class", some, WRONG).reason
    assert verdict("f1_per_class", {"f1_per_class": {"blue": 0.5}}, WRONG).status is Status.HELD


def test_a_damaged_class_is_named_while_the_mean_hides_it():
    """One class loses more than its margin, the mean over all classes less than its own."""
    damaged = [*MANY]
    damaged[2 : 2 + 6 * 24 : 6] = [2] * 24  # 24 of 400 greens are taken for blue
    limits = {"f1_drop": 0.04, "f1_drop_per_class": {"red": 0.03, "green": 0.01, "blue": 0.06}}
    assert verdict("f1_drop", limits, damaged).status is Status.HELD
    judgement = verdict("f1_drop_per_class", limits, damaged)
    assert judgement.status is Status.BROKEN
    assert "F1 of green drops by" in judgement.reason
    assert any(line.startswith("red: 0 ≤ 0.03: held") for line in judgement.details)


def test_what_belongs_together_is_drawn_together():
    """Photographs of the same bird prove less than photographs of as many birds."""
    alone = golden(MANY)
    birds = dataclasses.replace(alone, clusters=tuple(f"bird-{i // 24}" for i in range(len(MANY))))
    wrong = [0 if label == 2 and i // 24 % 2 else label for i, label in enumerate(MANY)]
    limit = {"accuracy": 0.80}
    assert verdict("accuracy", limit, wrong, truth=alone).status is Status.HELD
    assert verdict("accuracy", limit, wrong, truth=birds).status is Status.UNPROVEN


def test_the_contract_says_how_sure_it_wants_to_be():
    """A lower confidence holds what a higher one leaves open, and a shared alarm breaks less."""
    near = {"f1": MACRO - 0.012}
    assert verdict("f1", near, WRONG, confidence=0.7).status is Status.HELD
    assert verdict("f1", near, WRONG, confidence=0.99).status is Status.UNPROVEN
    beyond = {"f1": MACRO + 0.022, "accuracy": 0.1, "micro_f1": 0.1, "f1_per_class": 0.1}
    assert verdict("f1", beyond, WRONG).status is Status.BROKEN
    assert verdict("f1", beyond, WRONG, correction="bonferroni").status is Status.UNPROVEN


def test_the_same_evidence_gets_the_same_answer():
    """The draws are seeded: a judgement repeats to the last digit."""
    found = [verdict("f1_drop", {"f1_drop": 0.1}, WRONG) for _ in range(3)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("clause", ["f1", "f1_drop", "f1_per_class"])
def test_a_class_without_samples_is_an_error(clause):
    """Macro-F1 over a class that the set does not show would be averaged from nothing."""
    limit = {clause: 1.0 if clause == "f1_drop" else 0.0}
    six = (0, 0, 1, 1, 1, 1)
    judgement = verdict(clause, limit, six, six, golden(six))
    assert judgement.status is Status.ERROR
    assert "no sample of blue" in judgement.reason


def test_a_floor_of_a_class_that_is_there_needs_no_other():
    """A floor for red does not care for a blue that the set does not show."""
    shown = golden((0, 0, 1, 1, 1, 1) * TIMES)
    limits = {"f1_per_class": {"red": 0.9}, "accuracy": 0.9}
    for clause in limits:
        assert verdict(clause, limits, (0, 0, 1, 1, 1, 1) * TIMES, truth=shown).status is Status.HELD


def test_labels_that_do_not_fit_are_an_error():
    """A label beyond the classes, no labels, or too few."""
    for truth in (golden((0, 0, 1, 1, 2, 3)), golden((0, 0, 1, 1, 2, -1)), golden(None, count=6)):
        assert verdict("accuracy", {"accuracy": 0.0}, LABELS, LABELS, truth).status is Status.ERROR


def test_the_samples_order_does_not_matter():
    """F1 and its drop are the same for permuted samples."""
    order = np.random.default_rng(2).permutation(6)
    labels, ours = np.array(LABELS)[order], np.array(ONE_WRONG)[order]
    for clause in ("f1", "f1_drop"):
        before = verdict(clause, {clause: 0.0}, ONE_WRONG, LABELS, golden()).value
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
    read = metric_contract(tmp_path, body, {"metric": 8.0, "metric_drop": 1.0})  # ten times the accuracy
    evidence = golden(MANY), scores("int8", WRONG), scores("fp32", MANY)
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
