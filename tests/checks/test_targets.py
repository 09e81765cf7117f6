"""The family of targets: what is planned where, and what is said of executions that load, die, differ, flip and lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks import plan as planning
from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from tests.checks.evidence_factory import LABELS, contract, golden, graph, one_hot, scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement
    from eyerace_parity.evidence.artefacts import Graph
    from eyerace_parity.evidence.base import Array

OLD, NEW, X86 = "arm64/armv8.0", "arm64/armv8.2", "x86/avx2"
DEVICE: dict[str, Any] = {"int8": {"kind": "onnx", "path": "int8.onnx", "reference": "fp32", "tier": "device"}}
QDQ = graph("int8", operators={"ai.onnx::QuantizeLinear": 3, "ai.onnx::Conv": 1})
HALF = (0, 2, 4)


@pytest.fixture(autouse=True)
def _any_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name be that of a target: who provides it is no matter of the clauses."""
    monkeypatch.setattr(planning, "check_target", lambda *_: None)


def on_targets(limits: Mapping[str, Any] | None = None, **targets: Any) -> Contract:
    """A contract whose int8 is executed on one target, unless told otherwise."""
    stated = {"int8": {"arm64": dict(limits)}} if limits else {}
    return contract(stated, variants=DEVICE, targets={"run": [OLD], **targets})


def execution(
    target: str = OLD, arrays: Mapping[str, Array] | None = None, samples: Sequence[int] = HALF, **fields: Any
) -> Execution:
    """What int8 answered to some samples; rightly, unless told otherwise."""
    given = {"scores": one_hot([LABELS[i] for i in samples])} if arrays is None else arrays
    near = tuple(fields.pop("near", ()))
    drawn = tuple(index for index in samples if index not in near)
    return Execution(Provenance(variant="int8", target=target), near, drawn, given, **fields)


def judge(read: Contract, clause: str, *evidence: Any, target: str = OLD) -> Judgement:
    """Judge a clause of int8 on a target, on evidence that is matched by kind, variant and target."""
    item = next(p for p in plan(read) if (p.identity.clause, p.identity.target) == (clause, target))
    found = {}
    for need in item.needs:
        for piece in evidence:
            whose = (
                ("", "host") if isinstance(piece, GoldenFacts) else (piece.provenance.variant, piece.provenance.target)
            )
            if isinstance(piece, need.kind) and whose == (need.variant, need.target):
                found[need] = piece
    return item.judge(ClauseEvidence(found))


def beside(there: Execution, here: Execution | None = None) -> tuple[GoldenFacts, Execution, Execution, Graph]:
    """An execution with all that it is compared with."""
    return golden(), there, here or execution("host"), QDQ


# ---- what is planned -------------------------------------------------------------------------------------------------


def planned_on(read: Contract) -> list[tuple[str, str, str]]:
    """What is planned elsewhere than on the host: variant, clause, target."""
    items = [item.identity for item in plan(read)]
    return [(item.variant, item.clause, item.target) for item in items if item.target != "host"]


def test_every_target_has_its_clauses():
    """Executing implies parity and no flips; F1 and the ratio to noise only where they are stated."""
    bare = planned_on(on_targets(run=[OLD, X86]))
    assert bare == [("int8", clause, target) for target in (OLD, X86) for clause in ("executes", "parity", "flips")]
    stated = {clause for _, clause, _ in planned_on(on_targets({"f1": 0.8, "sqnr_db": 20.0}))}
    assert stated == {"executes", "parity", "flips", "f1", "sqnr_db"}


def test_without_targets_nothing_is_planned():
    """A contract that names none is judged on the host alone."""
    assert planned_on(contract(variants=DEVICE)) == []


def test_named_variants_are_executed_whatever_their_tier():
    """``targets.variants`` says which; without it, those of tier device."""
    assert {variant for variant, _, _ in planned_on(on_targets(variants=["fp32"]))} == {"fp32"}


def test_without_a_decision_there_are_no_flips():
    """A model that does not classify is executed and compared."""
    read = contract(variants=DEVICE, targets={"run": [OLD]}, classes=(), labelled=False)
    assert [clause for _, clause, _ in planned_on(read)] == ["executes", "parity"]


@pytest.mark.parametrize(
    ("limits", "targets", "why"),
    [
        ({"int8": {"parity": 0.1}}, {}, "targets.run names no target"),
        ({"fp32": {"flips": 0}}, {"run": [OLD]}, "the targets execute int8"),
        ({"int8": {"f1": 0.5}}, {"run": [OLD], "labelled": False}, "no labels"),
    ],
)
def test_a_demand_that_no_target_can_meet_is_refused(limits, targets, why):
    """What the contract states is judged or refused, never dropped; a stated default is stated, too."""
    labelled = targets.pop("labelled", True)
    stated = {name: {"arm64": fields} for name, fields in limits.items()}
    with pytest.raises(ContractError) as caught:
        plan(contract(stated, variants=DEVICE, targets=targets, labelled=labelled))
    assert why in caught.value.reason
    assert "limits.arm64." in caught.value.reason


# ---- executes --------------------------------------------------------------------------------------------------------


def test_what_runs_is_held_and_says_how_its_samples_were_chosen():
    """How many, and how: nobody should take three samples for the whole set."""
    judgement = judge(on_targets(seed=5), "executes", golden(), execution(near=[2]))
    assert judgement.status is Status.HELD
    assert judgement.value == judgement.limit == 3
    assert "3 of 6 samples" in judgement.details[0]
    assert "1 whose decision on the host is nearest" in judgement.details[0]
    assert "2 drawn by lot, class by class, with seed 5" in judgement.details[0]


def test_a_death_is_broken_with_its_words():
    """A file that kills its process must not ship, and the reason says how it died."""
    died = execution(arrays={}, failure="the guest died of SIGILL (an instruction …) while running int8", signal=4)
    for clause in ("executes", "parity", "flips"):
        judgement = judge(on_targets(), clause, *beside(died))
        assert judgement.status is Status.BROKEN
        assert "SIGILL" in judgement.reason
        assert "must not ship for arm64/armv8.0" in judgement.next_step


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"scores": np.full((3, 3), np.nan, np.float32)}, "nan"),
        ({"scores": one_hot([0, 1])}, "2 rows"),
        ({}, "does not answer scores"),
        ({"scores": np.zeros((3, 0), np.float32)}, "no elements"),
    ],
)
def test_answers_that_are_none_break_every_clause(arrays, why):
    """NaN, missing rows, missing outputs: nothing is held on them."""
    for clause in ("executes", "parity", "flips", "f1", "sqnr_db"):
        there = execution(arrays=arrays)
        read = on_targets({"f1": 0.0, "sqnr_db": 0.0})
        judgement = judge(read, clause, *beside(there), scores("int8"), scores("fp32"))
        assert judgement.status is Status.BROKEN
        assert why in judgement.reason


@pytest.mark.parametrize("clause", ["executes", "parity", "flips", "f1", "sqnr_db"])
def test_no_sample_holds_nothing(clause):
    """An empty set, and a choice of none."""
    read = on_targets({"f1": 0.0, "sqnr_db": -999.0})
    nothing, here = (execution(target, arrays={}, samples=()) for target in (OLD, "host"))
    empty = GoldenFacts("", (), read.classes, np.zeros(0, np.int64))
    for facts in (golden(), empty):
        judgement = judge(read, clause, facts, nothing, here, QDQ, scores("int8"), scores("fp32"))
        assert judgement.status is not Status.HELD


# ---- parity ----------------------------------------------------------------------------------------------------------


def shifted(by: float) -> Execution:
    """The right answers, one element of the second sample a little higher."""
    array = one_hot([LABELS[i] for i in HALF]).copy()
    array[1, 2] += by
    return execution(arrays={"scores": array})


def test_a_quantised_file_must_agree_exactly():
    """The default of a file with QuantizeLinear: one bit is too much, and the place is named."""
    assert judge(on_targets(), "parity", *beside(execution())).status is Status.HELD
    judgement = judge(on_targets(), "parity", *beside(shifted(1e-6)))
    assert judgement.status is Status.BROKEN
    assert judgement.limit == 0
    assert "scores[2] of eye-2" in judgement.reason
    assert any("would have passed" in line for line in judgement.details)


@pytest.mark.parametrize("operators", [{"ai.onnx::Conv": 2}, {"ai.onnx::DynamicQuantizeLinear": 1}])
def test_a_floating_file_needs_a_stated_tolerance(operators):
    """Its last bits may differ, and nobody but the contract can say how many: unproven, with the number."""
    floating = graph("int8", operators=operators)
    there = shifted(1e-6)
    judgement = judge(on_targets(), "parity", golden(), there, execution("host"), floating)
    assert judgement.status is Status.UNPROVEN
    assert judgement.value == pytest.approx(1e-6, rel=0.1)
    assert "variants.int8.limits.arm64.parity" in judgement.next_step
    exact = judge(on_targets(), "parity", golden(), execution(), execution("host"), floating)
    assert exact.status is Status.HELD


@pytest.mark.parametrize(("limit", "status"), [(0.5, Status.HELD), (0.25, Status.HELD), (0.2, Status.BROKEN)])
def test_a_stated_tolerance_stands_above_the_file(limit, status):
    """Then the graph is not even looked at."""
    read = on_targets({"parity": limit})
    assert judge(read, "parity", golden(), shifted(0.25), execution("host")).status is status


def test_a_host_that_fails_is_no_fault_of_the_target():
    """There is nothing to compare with: an error, not a verdict on the file."""
    dead = execution("host", arrays={}, failure="the runtime refuses the file")
    judgement = judge(on_targets(), "parity", *beside(execution(), dead))
    assert judgement.status is Status.ERROR
    assert (
        judge(on_targets(), "parity", *beside(execution(), execution("host", samples=(0, 1, 4)))).status is Status.ERROR
    )


# ---- flips, F1, noise ------------------------------------------------------------------------------------------------


def flipped() -> Execution:
    """The second of three samples is decided otherwise."""
    return execution(arrays={"scores": one_hot([0, 2, 2])})


def test_flips_are_counted_and_named():
    """Which samples, from what to what."""
    judgement = judge(on_targets(), "flips", *beside(flipped()))
    assert (judgement.status, judgement.value, judgement.limit) == (Status.BROKEN, 1, 0)
    assert "eye-2: blue, host green" in judgement.details
    assert judge(on_targets({"flips": 1}), "flips", *beside(flipped())).status is Status.HELD


def test_f1_is_that_of_the_set_where_nothing_flips():
    """The host's own mistakes count, whether or not they are among the samples that were run."""
    host = scores("int8", (0, 1, 1, 1, 2, 2))
    judgement = judge(on_targets({"f1": 0.8}), "f1", golden(), execution(), host)
    assert judgement.status is Status.HELD
    assert judgement.value == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert any(line.startswith("estimated") for line in judgement.details)


def test_f1_falls_with_what_flips():
    """A drawn flip stands for its class; with all samples run nothing is estimated."""
    judgement = judge(on_targets({"f1": 0.9}), "f1", golden(), flipped(), scores("int8"))
    assert judgement.status is Status.BROKEN
    assert judgement.value == pytest.approx((1 + 0 + 2 * 2 / 6) / 3)
    whole = execution(samples=range(6))
    everything = judge(on_targets({"f1": 1.0}), "f1", golden(), whole, scores("int8"))
    assert everything.status is Status.HELD
    assert everything.details[0] == "all 6 samples of the golden set were run"


def test_f1_of_a_class_that_was_not_drawn_is_unproven():
    """Two samples cannot speak for three classes."""
    few = execution(samples=(0, 2))
    judgement = judge(on_targets({"f1": 0.0}), "f1", golden(), few, scores("int8"))
    assert judgement.status is Status.UNPROVEN
    assert "blue" in judgement.reason


def test_noise_is_measured_against_the_reference_on_the_host():
    """What saturates on host and target alike is seen here, and not by parity."""
    noisy = shifted(1.0)
    same = (golden(), noisy, execution("host", arrays=noisy.arrays), QDQ)
    assert judge(on_targets({"sqnr_db": 30.0}), "parity", *same).status is Status.HELD
    judgement = judge(on_targets({"sqnr_db": 30.0}), "sqnr_db", golden(), noisy, scores("fp32"))
    assert judgement.status is Status.BROKEN
    assert judgement.value == pytest.approx(10 * np.log10(3 * 16 / 1))
    assert judge(on_targets({"sqnr_db": 10.0}), "sqnr_db", golden(), noisy, scores("fp32")).status is Status.HELD


def test_another_shape_is_broken():
    """An output that has another shape on the target cannot be compared."""
    odd = execution(arrays={"scores": np.zeros((3, 4), np.float32)})
    for clause in ("parity", "flips"):
        assert judge(on_targets(), clause, *beside(odd)).status is Status.BROKEN
    assert judge(on_targets({"f1": 0.0}), "f1", golden(), odd, scores("int8")).status is Status.BROKEN


def test_outputs_of_another_set_are_no_evidence():
    """Samples that the golden set does not have."""
    judgement = judge(on_targets(), "executes", golden((0, 1)), execution())
    assert judgement.status is Status.ERROR
    assert isinstance(scores("int8"), Outputs)
