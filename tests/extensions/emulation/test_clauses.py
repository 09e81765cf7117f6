"""Instructions: budgets, ratios and growth of counts, and every reason for which a count is not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.numbers import format_count
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.limits import InstructionLimits
from tests.checks.evidence_factory import contract

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement

OLD, NEW = "arm64/armv8.0", "arm64/armv8.2"
DEVICE: dict[str, Any] = {"int8": {"kind": "onnx", "path": "int8.onnx", "reference": "fp32", "tier": "device"}}


def on_targets(limits: Mapping[str, Any], **targets: Any) -> Contract:
    """A contract whose int8 is executed on two targets, unless told otherwise."""
    return contract({"int8": {"arm64": dict(limits)}}, variants=DEVICE, targets={"run": [OLD, NEW], **targets})


def counts(
    *steady: int, variant: str = "int8", target: str = OLD, runtime: str = "", **fields: Any
) -> InstructionCounts:
    """What was counted: 400 M to load, 150 M for a first run."""
    base: dict[str, Any] = {"load": (400_000_000, 400_100_000), "first": (150_000_000,) * 2, "steady": steady}
    return InstructionCounts(provenance=Provenance(variant=variant, target=target, runtime=runtime), **(base | fields))


def judge(
    read: Contract,
    clause: str,
    *evidence: InstructionCounts,
    release: InstructionCounts | None = None,
    target: str = OLD,
) -> Judgement:
    """Judge a clause of int8 on a target."""
    item = next(p for p in plan(read) if (p.identity.clause, p.identity.target) == (clause, target))
    found: dict[Any, Any] = {}
    for need in item.needs:
        if need.baseline and release is not None:
            found[need] = release
        for piece in evidence:
            whose = piece.provenance.variant, piece.provenance.target
            if not need.baseline and whose == (need.variant, need.target):
                found[need] = piece
    return item.judge(ClauseEvidence(found))


def planned(read: Contract, *clauses: str) -> list[tuple[str, str]]:
    """Clauses that are planned, with their targets."""
    found = [(item.identity.clause, item.identity.target) for item in plan(read)]
    return [place for place in found if place[0] in clauses]


# ---- how a budget is written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [(190_000_000, 190_000_000), ("190 M", 190_000_000), ("0.19G", 190_000_000), (" 12.5 k ", 12_500), ("7", 7)],
)
def test_a_budget_is_a_number_or_a_text_with_a_unit(written: Any, read: int) -> None:
    """However it is written, it is the same number."""
    assert InstructionLimits(instructions=written).instructions == read
    assert InstructionLimits(load_instructions={OLD: written}).load_instructions == {OLD: read}


@pytest.mark.parametrize("written", ["190 MB", "M", "-1", "1e9", "0.5", "190 ms", 0, -3, 1.5, "0 M", {OLD: "fast"}])
def test_what_is_no_budget_is_refused(written: Any) -> None:
    """Bytes, times, fractions of an instruction and nothing at all are no budgets."""
    with pytest.raises(ValidationError):
        InstructionLimits.model_validate({"instructions": written})


@given(st.integers(1, 10**15))
def test_what_is_shown_is_what_may_be_written(number: int) -> None:
    """A count as it is shown can stand in a contract, and means the same within its four digits."""
    read = InstructionLimits(instructions=format_count(number)).instructions
    assert read == pytest.approx(number, rel=1e-3)


def test_a_contract_may_write_either(tensor_bundle: Path) -> None:
    """A number for all targets, and a table, from the file itself."""
    path = tensor_bundle / "contract.toml"
    text = path.read_text(encoding="utf-8")
    more = f'\n[targets]\nrun = ["{OLD}", "{NEW}"]\nvariants = ["fp32"]\n\n[variants.fp32.limits.arm64]\n'
    more += f'instructions = {{"{NEW}" = "2 M"}}\nload_instructions = "40 M"\n'
    path.write_text(text + more, encoding="utf-8")
    read = open_contract(path)
    assert planned(read, "instructions", "load_instructions") == [
        ("load_instructions", OLD),
        ("instructions", NEW),
        ("load_instructions", NEW),
    ]


# ---- what is planned -------------------------------------------------------------------------------------------------


def test_nothing_is_counted_that_nobody_demands() -> None:
    """Without a limit there is no clause, and so no need to count."""
    read = on_targets({})
    assert not planned(read, "instructions", "load_instructions", "instructions_ratio", "instructions_growth")
    assert not [need for item in plan(read) for need in item.needs if need.kind is InstructionCounts]


def test_a_table_demands_nothing_of_other_targets() -> None:
    """Only the targets that it names are judged."""
    assert planned(on_targets({"instructions": {NEW: "190 M"}}), "instructions") == [("instructions", NEW)]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"instructions": {"arm64/armv8.1": 1}}, "'arm64/armv8.1' names no target of targets.run"),
        ({"load_instructions": {}}, "names no target"),
        ({"instructions_ratio": {"versus": "fp16", "at_most": 1.0}}, "fp16"),
        ({"instructions_ratio": {"versus": "int8", "at_most": 1.0}}, "cannot be compared with itself"),
        ({"instructions_ratio": {"versus": "torch", "at_most": 1.0}}, "'torch' is a torch variant"),
    ],
)
def test_what_can_never_be_judged_is_refused(limits: dict[str, Any], told: str) -> None:
    """A target or variant that is not there is a fault of the contract."""
    with pytest.raises(ContractError, match=told):
        plan(on_targets(limits))


# ---- what is judged --------------------------------------------------------------------------------------------------


def test_a_budget_is_held_or_broken_by_the_largest_repeat() -> None:
    """One instruction over the budget breaks it; the counts stand in the details."""
    read = on_targets({"instructions": "148 M"})
    held = judge(read, "instructions", counts(147_870_000, 148_000_000))
    assert (held.status, held.value, held.limit, held.unit) == (Status.HELD, 148_000_000, 148_000_000, "instructions")
    assert held.reason == f"an inference of int8 takes 148 M instructions on {OLD}, in one thread"
    assert "later runs: 147870000, 148000000" in held.details
    broken = judge(read, "instructions", counts(148_000_001, 147_900_000))
    assert broken.status is Status.BROKEN
    assert broken.next_step


def test_a_target_has_its_own_budget() -> None:
    """The number of the table, target by target."""
    read = on_targets({"instructions": {OLD: "190 M", NEW: "140 M"}})
    assert judge(read, "instructions", counts(150_000_000, 150_000_000)).status is Status.HELD
    there = counts(150_000_000, 150_000_000, target=NEW)
    assert judge(read, "instructions", there, target=NEW).status is Status.BROKEN


def test_loading_has_a_budget() -> None:
    """The largest of the sessions that were made."""
    read = on_targets({"load_instructions": "400.1 M"})
    assert judge(read, "load_instructions", counts(1, 1)).status is Status.HELD
    more = judge(read, "load_instructions", counts(1, 1, load=(400_100_000, 400_100_001)))
    assert (more.status, more.value) == (Status.BROKEN, 400_100_001)


def test_a_ratio_is_of_the_same_target() -> None:
    """Both counted on the target, in its unit."""
    read = on_targets({"instructions_ratio": {"versus": "fp32", "at_most": 0.4}})
    ours, theirs = counts(150_000_000, 150_000_000), counts(400_000_000, 400_000_000, variant="fp32")
    judgement = judge(read, "instructions_ratio", ours, theirs)
    assert (judgement.status, judgement.value, judgement.unit) == (Status.HELD, 0.375, "of fp32")
    theirs = counts(300_000_000, 300_000_000, variant="fp32")
    assert judge(read, "instructions_ratio", ours, theirs).status is Status.BROKEN


@pytest.mark.parametrize(
    ("now", "status", "told"),
    [
        (150_000_000, Status.HELD, "exactly as many"),
        (153_000_000, Status.HELD, "2 % more"),
        (153_150_000, Status.BROKEN, "2.1 % more"),
        (120_000_000, Status.HELD, "20 % less"),
    ],
)
def test_growth_is_against_the_release(now: int, status: Status, told: str) -> None:
    """Two percent is allowed, a tenth of a percent over it is not; to take fewer is no fault."""
    read = on_targets({"instructions_growth": 0.02})
    judgement = judge(read, "instructions_growth", counts(now, now), release=counts(150_000_000, 150_000_000))
    assert judgement.status is status
    assert told in judgement.reason


def test_counts_of_two_runtimes_do_not_compare() -> None:
    """Another runtime has other kernels: nothing is proven of the file, unless it is the release's to the byte."""
    read = on_targets({"instructions_growth": 0.02})
    then, now = "onnxruntime 1.31.0", "onnxruntime 1.32.0"
    for steady in (150_000_000, 300_000_000):
        release = made_of("sha256:then", counts(steady, steady, runtime=then))
        ours = made_of("sha256:now", counts(150_000_000, 150_000_000, runtime=now))
        judgement = judge(read, "instructions_growth", ours, release=release)
        assert judgement.status is Status.UNPROVEN
        assert f"counted with {then}, this one with {now}" in judgement.reason
        assert f"judge with {then}" in judgement.next_step
        same = judge(read, "instructions_growth", made_of("sha256:then", ours), release=release)
        assert (same.status, same.value) == (Status.HELD, 0.0)
        assert any(f"the release's own file, which was counted with {then}" in line for line in same.details)


def made_of(artefact: str, found: InstructionCounts) -> InstructionCounts:
    """The same counts, of a file with this digest."""
    return found.model_copy(update={"provenance": found.provenance.model_copy(update={"artefact": artefact})})


def test_a_cell_of_the_matrix_has_no_growth() -> None:
    """There the runtime is another than the release's, by intent."""
    read = on_targets({"instructions_growth": 0.02, "instructions": "1 G"})
    cell = read.as_cell((OLD,))
    assert planned(cell, "instructions", "instructions_growth") == [("instructions", OLD)]


@pytest.mark.parametrize("clause", ["instructions", "load_instructions"])
def test_repeats_that_disagree_prove_nothing(clause: str) -> None:
    """More than half a percent apart: unproven with the spread, however far below the budget."""
    read = on_targets({clause: "900 M"})
    apart = (100_000_000, 100_500_001)
    judgement = judge(read, clause, counts(*apart, load=apart))
    assert judgement.status is Status.UNPROVEN
    assert "differ by 0.5 %, more than the 0.5 %" in judgement.reason
    near = (100_000_000, 100_500_000)
    assert judge(read, clause, counts(*near, load=near)).status is Status.HELD


def test_one_count_alone_proves_nothing() -> None:
    """What was not repeated cannot be seen to repeat."""
    judgement = judge(on_targets({"instructions": "900 M"}), "instructions", counts(1000))
    assert judgement.status is Status.UNPROVEN
    assert "not repeated" in judgement.reason


@pytest.mark.parametrize("clause", ["instructions", "load_instructions", "instructions_ratio", "instructions_growth"])
def test_where_nothing_counts_nothing_is_proven(clause: str) -> None:
    """No plugins: unproven with the reason, whether it is this variant's count that is missing or the other's."""
    limits = {"versus": "fp32", "at_most": 9.0} if clause == "instructions_ratio" else 9
    read = on_targets({clause: limits})
    why = "qemu-aarch64 was built without plugins"
    nothing: dict[str, Any] = {"load": (), "first": (), "steady": (), "unavailable": why}
    ours, theirs = counts(1, 1), counts(1, 1, variant="fp32")
    for mine, other in ((counts(**nothing), theirs), (ours, counts(variant="fp32", **nothing))):
        judgement = judge(read, clause, mine, other, release=other)
        if mine is ours and clause in {"instructions", "load_instructions"}:
            continue
        assert judgement.status is Status.UNPROVEN
        assert judgement.reason == "qemu-aarch64 was built without plugins"
        assert judgement.next_step


@pytest.mark.parametrize(
    "fields",
    [
        {"load": (), "steady": (), "failure": "the guest died of SIGILL", "signal": 4},
        {"load": (), "steady": ()},
        {"load": (0, 0), "steady": (0, 0)},
    ],
)
@pytest.mark.parametrize("clause", ["instructions", "load_instructions"])
def test_what_did_not_run_or_was_not_counted_is_an_error(clause: str, fields: dict[str, Any]) -> None:
    """A file that dies, an empty count and a count of nothing are never held."""
    judgement = judge(on_targets({clause: "9 M"}), clause, counts(**fields))
    assert judgement.status is Status.ERROR
    assert judgement.reason
    assert judgement.next_step
