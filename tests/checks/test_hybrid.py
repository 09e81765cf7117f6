"""The hybrid deployment: what a user sees change when the phone loses its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import LABELS, clauses, contract, golden, judge, one_hot, outputs, scores

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.answers import Outputs

HYBRID: dict[str, Any] = {
    "cloud": "fp32",
    "device": "int8",
    "offline_share": 0.5,
    "confidence": 0.6,
    "shown": 2,
}
EVERYTHING = {
    "tier_agreement": 1.0,
    "score_shift": 0.0,
    "score_shift_p99": 0.0,
    "order_agreement": 1.0,
    "calibration_shift": 0.0,
    "waiting": 0.0,
}
FLOORS = {"mixture_f1": 0.4, "waiting_f1": 0.4}


def deployed(limits: dict[str, Any], **stated: Any) -> Contract:
    """A contract whose int8 answers offline."""
    return contract({"int8": {"hybrid": limits}}, hybrid=HYBRID | stated)


def verdict(clause: str, limit: float, phone: Outputs, cloud: Outputs, **stated: Any) -> Judgement:
    """Judge one clause of the phone beside the cloud."""
    return judge(deployed({clause: limit}, **stated), "int8", clause, golden(), phone, cloud)


def unsure(decisions: tuple[int, ...] = LABELS) -> np.ndarray:
    """Scores float32 [n, 3] that decide so with a confidence of 0.38."""
    return one_hot(decisions, scale=0.2)


@pytest.mark.parametrize("clause", EVERYTHING)
def test_equal_tiers_hold_the_tightest_limits(clause):
    """A user cannot tell two tiers apart that answer alike."""
    assert verdict(clause, EVERYTHING[clause], scores("int8"), scores("fp32")).status is Status.HELD


@pytest.mark.parametrize("clause", EVERYTHING)
def test_a_phone_that_answers_otherwise_breaks_and_is_named(clause):
    """One eye that the phone is unsure of, decides otherwise and orders otherwise breaks every clause."""
    spoilt = one_hot(LABELS)
    spoilt[4] = [0.3, 0.1, 0.0]
    judgement = verdict(clause, EVERYTHING[clause], outputs("int8", scores=spoilt), scores("fp32"))
    assert judgement.status is Status.BROKEN
    assert judgement.next_step
    if clause != "calibration_shift":
        assert "eye-4" in judgement.details[0]


@pytest.mark.parametrize("clause", [*EVERYTHING, *FLOORS])
def test_no_clause_holds_on_numbers_that_are_none(clause):
    """A NaN from the phone is broken, one from the cloud leaves nothing to judge by."""
    limit = (EVERYTHING | FLOORS)[clause]
    torn = one_hot(LABELS)
    torn[2, 1] = np.nan
    assert verdict(clause, limit, outputs("int8", scores=torn), scores("fp32")).status is Status.BROKEN
    assert verdict(clause, limit, scores("int8"), outputs("fp32", scores=torn)).status is Status.ERROR


def test_the_mixture_counts_each_tier_by_its_share():
    """At half offline the F1 is that of the expected confusion, and the whole curve is told."""
    wrong = scores("int8", [1, 1, 2, 2, 0, 0])
    told = {
        share: verdict("mixture_f1", 0.0, wrong, scores("fp32"), offline_share=share).value for share in (0.0, 0.5, 1.0)
    }
    assert told == {0.0: pytest.approx(1.0), 0.5: pytest.approx(0.5), 1.0: pytest.approx(0.0)}
    assert "1 at 0%, 0.75 at 25%, 0.5 at 50%, 0.25 at 75%, 0 at 100%" in " ".join(
        verdict("mixture_f1", 0.0, wrong, scores("fp32")).details
    )


def test_a_mixture_that_is_wrong_too_often_is_broken():
    """A phone that is always wrong breaks a floor that the cloud alone would hold."""
    wrong = scores("int8", [1, 1, 2, 2, 0, 0])
    assert verdict("mixture_f1", 0.9, wrong, scores("fp32"), offline_share=1.0).status is Status.BROKEN


def test_answers_that_wait_are_the_clouds():
    """An unsure and wrong phone does no harm when its answers wait; their share is told."""
    phone = outputs("int8", scores=unsure((1, 1, 2, 2, 0, 0)))
    share = verdict("waiting", 0.5, phone, scores("fp32"))
    assert (share.status, share.value) == (Status.BROKEN, 1.0)
    judgement = verdict("waiting_f1", 0.1, phone, scores("fp32"))
    assert judgement.value == pytest.approx(1.0)
    assert "and 0 when none does" in judgement.reason


def test_probabilities_are_taken_as_they_are():
    """A model that answers probabilities is not put through a softmax again."""
    phone, cloud = np.array([[0.5, 0.3, 0.2]] * 6, np.float32), np.array([[0.6, 0.3, 0.1]] * 6, np.float32)
    judgement = verdict(
        "score_shift", 0.11, outputs("int8", scores=phone), outputs("fp32", scores=cloud), scores="probabilities"
    )
    assert judgement.status is Status.HELD
    assert judgement.value == pytest.approx(0.1, abs=1e-6)


def test_the_tiers_are_found_by_where_they_are_deployed():
    """A contract that deploys one variant a tier need not name them again."""
    tiers = {
        name: {"kind": "onnx", "path": f"build/{name}.onnx", "reference": "torch", "tier": tier}
        for name, tier in (("fp32", "cloud"), ("int8", "device"))
    }
    read = contract({"int8": {"hybrid": {"tier_agreement": 1.0}}}, variants=tiers, hybrid={"offline_share": 0.5})
    assert "tier_agreement" in clauses(read, "int8")


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"cloud": "fp23"}, "did you mean 'fp32'"),
        ({"cloud": None}, "not exactly one of tier 'cloud'"),
        ({"cloud": "int8"}, "nothing to mix"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(stated, told):
    """Unknown, missing and equal tiers are faults of the contract."""
    with pytest.raises(ValueError, match=told):
        contract(hybrid=HYBRID | stated)


@pytest.mark.parametrize(
    ("variant", "fields", "told"),
    [
        ("fp32", {"hybrid": HYBRID}, "not the phone's variant"),
        ("int8", {}, r"no \[hybrid\]"),
        ("int8", {"hybrid": HYBRID | {"confidence": None}}, "no confidence"),
        ("int8", {"hybrid": HYBRID, "labelled": False}, "no labels"),
    ],
)
def test_a_demand_that_can_never_be_judged_is_refused(variant, fields, told):
    """No limit of the hybrid deployment is dropped in silence."""
    read = contract({variant: {"hybrid": {"waiting_f1": 0.5}}}, **fields)
    with pytest.raises(ContractError, match=told):
        plan(read)
