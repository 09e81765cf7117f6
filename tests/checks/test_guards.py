"""The traps that every clause on outputs shares: each is told with its culprit, none is ever held."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import CLASSES, INTERFACE, contract, golden, judge, one_hot, outputs, scores

if TYPE_CHECKING:
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.answers import GoldenFacts, Outputs

LIMITS = {
    "quality": {"f1": 0.0, "f1_drop": 1.0, "f1_per_class": 0.0, "accuracy": 0.0, "accuracy_drop": 1.0},
    "closeness": {
        "max_abs": 1e9,
        "p999_abs": 1e9,
        "max_rel": 1e9,
        "sqnr_db": -1e9,
        "cosine": -1.0,
        "top1_agreement": 0.0,
        "mean_kl": 1e9,
    },
}
PAIRED = [*LIMITS["closeness"], "f1_drop", "accuracy_drop"]
ALONE = ["f1", "f1_per_class", "accuracy"]
READ = contract({"int8": LIMITS})


def verdict(clause: str, ours: Outputs, theirs: Outputs | None = None, truth: GoldenFacts | None = None) -> Judgement:
    """Judge int8 against fp32 under limits that anything would hold."""
    return judge(READ, "int8", clause, truth or golden(), ours, theirs or scores("fp32"))


@pytest.mark.parametrize("clause", [*PAIRED, *ALONE])
def test_limits_that_anything_holds_are_held(clause):
    """The control: without a trap every clause of this file is held."""
    assert verdict(clause, scores("int8")).status is Status.HELD


@pytest.mark.parametrize("clause", [*PAIRED, *ALONE, "finite", "varied"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_breaks_with_sample_and_element(clause, value):
    """One NaN in one element of one sample is found and named."""
    bad = one_hot((0, 0, 1, 1, 2, 2))
    bad[3, 1] = value
    judgement = verdict(clause, outputs("int8", scores=bad))
    assert judgement.status is Status.BROKEN
    assert "scores[1] of eye-3" in judgement.reason


@pytest.mark.parametrize("clause", PAIRED)
def test_a_nan_of_the_reference_is_nobodys_failure_but_an_error(clause):
    """There is nothing to compare with, and the variant is not to blame."""
    bad = one_hot((0, 0, 1, 1, 2, 2))
    bad[0, 0] = np.nan
    judgement = verdict(clause, scores("int8"), outputs("fp32", scores=bad))
    assert judgement.status is Status.ERROR
    assert "fp32 answers nan" in judgement.reason


@pytest.mark.parametrize("clause", [*PAIRED, *ALONE, "complete", "finite", "varied", "classes"])
def test_missing_extra_and_short_outputs_break(clause):
    """An output that is not there, one that nobody asked for, and fewer rows than samples."""
    good = one_hot((0, 0, 1, 1, 2, 2))
    renamed = verdict(clause, outputs("int8", logits=good))
    extra = verdict(clause, outputs("int8", scores=good, features=good))
    short = verdict(clause, outputs("int8", expected=6, scores=good[:5]))
    none = verdict(clause, outputs("int8", expected=6))
    assert {j.status for j in (renamed, extra, short, none)} == {Status.BROKEN}
    assert "does not answer scores and also answers logits" in renamed.reason
    assert "also answers features" in extra.reason
    assert "5 rows of scores for 6 samples" in short.reason
    assert "does not answer scores" in none.reason


@pytest.mark.parametrize("clause", PAIRED)
def test_shapes_that_differ_break(clause):
    """Broadcasting must not make numbers of two shapes comparable."""
    judgement = verdict(clause, outputs("int8", scores=one_hot((0, 0, 1, 1, 2, 2))[:, :1]))
    assert judgement.status is Status.BROKEN
    assert "[1] a sample in int8, but [3] in fp32" in judgement.reason


@pytest.mark.parametrize("clause", [*PAIRED, *ALONE, "complete", "finite", "varied"])
def test_an_output_without_elements_breaks(clause):
    """An axis of extent 0 makes every difference vanish."""
    hollow = np.zeros((6, 0), np.float32)
    judgement = verdict(clause, outputs("int8", scores=hollow), outputs("fp32", scores=hollow))
    assert judgement.status is Status.BROKEN
    assert "no elements" in judgement.reason


@pytest.mark.parametrize("clause", [*PAIRED, *ALONE, "complete"])
def test_outputs_of_another_golden_set_are_an_error(clause):
    """Another number of samples, or another digest: the evidence does not belong together."""
    fewer = verdict(clause, scores("int8"), truth=golden((0, 1, 2)))
    other = outputs("int8", scores=one_hot((0, 0, 1, 1, 2, 2)), golden_digest="sha256:old")
    foreign = verdict(clause, other, truth=golden(digest="sha256:new"))
    assert fewer.status is foreign.status is Status.ERROR
    assert "another golden set" in fewer.reason
    assert "another golden set" in foreign.reason


@pytest.mark.parametrize("clause", [*ALONE, "top1_agreement", "mean_kl"])
def test_scores_that_do_not_fit_the_classes_break(clause):
    """Six scores for three classes decide nothing."""
    wide = np.hstack([one_hot((0, 0, 1, 1, 2, 2))] * 2)
    judgement = verdict(clause, outputs("int8", scores=wide), outputs("fp32", scores=wide))
    assert judgement.status is Status.BROKEN
    assert f"one score for each of {len(CLASSES)} classes" in judgement.reason


@pytest.mark.parametrize(
    ("family", "limits"),
    [
        ("quality", {"f1": 0.5, "accuracy": 0.5, "f1_drop": 0.1, "f1_per_class": 0.5, "f1_drop_per_class": 0.1}),
        ("closeness", {"top1_agreement": 0.5, "mean_kl": 1.0}),
    ],
)
def test_with_a_single_class_nothing_is_held(family, limits):
    """The only class always wins, so an answer would say nothing of the model."""
    interface = INTERFACE | {"outputs": [{"name": "scores", "shape": ["batch", 1]}]}
    read = contract({"int8": {family: limits}}, classes=("red",), interface=interface)
    facts = replace(golden((0, 0, 0)), classes=("red",))
    answers = [outputs(name, scores=np.ones((3, 1), np.float32)) for name in ("int8", "fp32")]
    for clause in limits:
        found = judge(read, "int8", clause, facts, *answers)
        assert (found.status, "single score" in found.reason) == (Status.ERROR, True), clause
