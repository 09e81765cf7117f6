"""Closeness: each number against its limit, the worst output, sample and element named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from eyerace_parity.checks.closeness import ClosenessLimits
from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import TWO_OUTPUTS, VARIANTS, contract, golden, judge, one_hot, outputs, scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.answers import Outputs

TIGHT = {
    "max_abs": 0.0,
    "p999_abs": 0.0,
    "max_rel": 0.0,
    "sqnr_db": 200.0,
    "cosine": 1.0,
    "top1_agreement": 1.0,
    "mean_kl": 0.0,
}
DEMANDING = contract({"int8": {"closeness": TIGHT}})
ELEMENTWISE = ("max_abs", "p999_abs", "max_rel", "sqnr_db", "cosine")


def verdict(limits: Mapping[str, Any], ours: Outputs, theirs: Outputs, clause: str) -> Judgement:
    """Judge int8 against fp32."""
    return judge(contract({"int8": {"closeness": limits}}), "int8", clause, golden(), ours, theirs)


@settings(max_examples=40)
@given(arrays_of.arrays(np.float32, (6, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_equal_outputs_hold_the_tightest_limits(array):
    """Every clause holds at zero distance, whatever the numbers are."""
    for clause in TIGHT:
        judgement = judge(
            DEMANDING, "int8", clause, golden(), outputs("int8", scores=array), outputs("fp32", scores=array)
        )
        assert judgement.status is Status.HELD, clause


@pytest.mark.parametrize("clause", TIGHT)
def test_one_spoilt_sample_breaks_and_is_named(clause):
    """The worst sample and element stand in the failure, with the tolerance that would have passed."""
    spoilt = one_hot((0, 0, 1, 1, 2, 2))
    spoilt[4] = [9.0, 0.0, 1.0]
    judgement = verdict(TIGHT, outputs("int8", scores=spoilt), scores("fp32"), clause)
    assert judgement.status is Status.BROKEN
    assert "eye-4" in judgement.details[0]
    if clause in ELEMENTWISE:
        assert "scores[0] is 9, reference 0" in judgement.details[0]
    assert any("would have passed" in line for line in judgement.details)
    assert "the quantisation loss of int8 against fp32 in the chain torch → fp32 → int8" in judgement.reason


@pytest.mark.parametrize("clause", [key for key in TIGHT if key != "top1_agreement"])
def test_the_tolerance_that_would_have_passed_does_pass(clause):
    """The advice is true: the same evidence holds at the limit that the failure names."""
    random = np.random.default_rng(3)
    signal, noise = random.normal(size=(2, 6, 3)).astype(np.float32)
    theirs, ours = outputs("fp32", scores=signal), outputs("int8", scores=signal + noise * 0.01)
    broken = verdict(TIGHT, ours, theirs, clause)
    advice = next(line for line in broken.details if "would have passed" in line)
    limit = float(advice.rsplit(" ", 1)[1])
    assert broken.status is Status.BROKEN
    assert verdict({clause: limit}, ours, theirs, clause).status is Status.HELD


def test_known_values():
    """A difference of one in one element of eighteen."""
    theirs = np.full((6, 3), 2.0, np.float32)
    ours = theirs.copy()
    ours[2, 1] += 1.0
    pair = (outputs("int8", scores=ours), outputs("fp32", scores=theirs))
    assert verdict({"max_abs": 1.0}, *pair, "max_abs").value == 1.0
    assert verdict({"max_rel": 1.0}, *pair, "max_rel").value == 0.5
    assert verdict({"sqnr_db": 0.0}, *pair, "sqnr_db").value == pytest.approx(10 * np.log10(18 * 4))
    assert verdict({"cosine": 0.0}, *pair, "cosine").value == pytest.approx(14 / np.sqrt(12 * 17))


def test_no_noise_is_written_without_a_number():
    """JSON has no infinity: the value is a text."""
    judgement = verdict({"sqnr_db": 30.0}, scores("int8"), scores("fp32"), "sqnr_db")
    assert (judgement.status, judgement.value, judgement.unit) == (Status.HELD, "∞", "dB")


def test_noise_against_zeros_breaks():
    """A reference of zeros throughout is no excuse."""
    zeros = outputs("fp32", scores=np.zeros((6, 3), np.float32))
    assert verdict({"sqnr_db": -100.0}, scores("int8"), zeros, "sqnr_db").status is Status.BROKEN
    assert verdict({"max_rel": 1e9}, scores("int8"), zeros, "max_rel").value == "∞"


def test_the_worst_output_by_its_own_limit_is_named():
    """Of two outputs the one furthest beyond its own tolerance answers; both are told."""
    limits = {"max_abs": 1.0, "per_output": {"norm": {"max_abs": 10.0}}}
    read = contract({"int8": {"closeness": limits}}, interface=TWO_OUTPUTS, classes=(), labelled=False)
    rank, norm = np.zeros((6, 3), np.float32), np.arange(6, dtype=np.int64)
    theirs = outputs("fp32", rank=rank, norm=norm)
    ours = outputs("int8", rank=rank + 2, norm=norm + 9)
    judgement = judge(read, "int8", "max_abs", golden(None, count=6), ours, theirs)
    assert (judgement.status, judgement.value, judgement.limit) == (Status.BROKEN, 2.0, 1.0)
    assert "of rank is 2" in judgement.reason
    assert "norm: 9 (limit 10)" in judgement.details
    held = judge(read, "int8", "max_abs", golden(None, count=6), outputs("int8", rank=rank + 1, norm=norm), theirs)
    assert held.status is Status.HELD


def test_a_limit_of_one_output_alone_judges_it_alone():
    """Without a general tolerance the other output may differ as it likes."""
    limits = {"per_output": {"norm": {"max_abs": 0.0}}}
    read = contract({"int8": {"closeness": limits}}, interface=TWO_OUTPUTS, classes=(), labelled=False)
    rank, norm = np.zeros((6, 3), np.float32), np.full(6, 2**60, np.int64)
    theirs = outputs("fp32", rank=rank, norm=norm)
    pair = golden(None, count=6), outputs("int8", rank=rank + 5, norm=norm)
    assert judge(read, "int8", "max_abs", *pair, theirs).status is Status.HELD
    other = norm.copy()
    other[5] += 1
    judgement = judge(read, "int8", "max_abs", pair[0], outputs("int8", rank=rank, norm=other), theirs)
    assert (judgement.status, judgement.value) == (Status.BROKEN, 1.0)
    assert judgement.details[0].startswith("eye-5: norm is ")


def test_probabilities_are_taken_as_they_are():
    """With ``scores = "probabilities"`` no softmax comes in between."""
    ours, theirs = (np.tile(np.array([row], np.float32), (6, 1)) for row in ([0.5, 0.25, 0.25], [0.25, 0.5, 0.25]))
    judgement = verdict(
        {"mean_kl": 1.0, "scores": "probabilities"},
        outputs("int8", scores=ours),
        outputs("fp32", scores=theirs),
        "mean_kl",
    )
    assert judgement.value == pytest.approx(0.25 * np.log(2))


def test_export_loss_and_other_loss_have_their_names():
    """Torch → fp32 is an export, an unknown making is just a loss."""
    limits = {name: {"closeness": {"max_abs": 0.0}} for name in ("fp32", "other")}
    other = {"kind": "onnx", "path": "build/other.onnx", "reference": "fp32"}
    read = contract(limits, variants={"other": other})
    off = {name: outputs(name, scores=one_hot((0, 0, 1, 1, 2, 2)) + 1) for name in ("fp32", "other")}
    export = judge(read, "fp32", "max_abs", golden(), off["fp32"], scores("torch"))
    assert "the export loss of fp32 against torch" in export.reason
    loss = judge(read, "other", "max_abs", golden(), off["other"], scores("fp32"))
    assert "the loss of other against fp32 in the chain torch → fp32 → other" in loss.reason
    assert VARIANTS["fp32"]["reference"] == "torch"


def test_limits_know_what_single_outputs_demand():
    """A tolerance of one output counts as a demand of the family."""
    limits = ClosenessLimits(per_output={"norm": {"cosine": 0.9}})
    assert {"cosine"} <= limits.demanded()
    assert "max_abs" not in limits.demanded()
    assert limits.by_output("cosine", ("norm", "rank")) == {"norm": 0.9}
