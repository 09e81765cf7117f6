"""A candidate against the accepted release: each clause on both sides of its limit, and what cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.measure.kinds.flips import compute_flips
from tests.checks.evidence_factory import (
    LABELS,
    clauses,
    contract,
    files,
    golden,
    one_hot,
    outputs,
    planned,
    scores,
    series,
    timing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Judgement

CLASSES = ("orange", "yellow", "pearl", "bull", "split")
EACH = 240
"""Photographs a class, as in a golden set of 1,200."""


def judge(read: Contract, clause: str, ours: Any, theirs: Any, facts: GoldenFacts | None = None) -> Judgement:
    """Judge int8 against the release's int8."""
    item = planned(read, "int8", clause)
    facts = facts or golden()
    found: dict[Any, Any] = {}
    for need in item.needs:
        if need.kind is GoldenFacts:
            found[need] = facts
        elif need.kind is KnownFlips:
            found[need] = KnownFlips(provenance=Provenance(variant=""), today="2026-11-24")
        elif need.kind is FlipLedger:
            assert isinstance(ours, Outputs)
            assert isinstance(theirs, Outputs)
            found[need] = compute_flips(read, ours, facts, theirs, Provenance(variant="int8"))
        else:
            found[need] = theirs if need.baseline and not need.versus else ours
    return item.judge(ClauseEvidence(found))


def verdict(limits: Mapping[str, Any], clause: str, ours: Any, theirs: Any) -> Judgement:
    """Judge int8 of the tiny contract."""
    return judge(contract({"int8": {"release": limits}}), f"release_{clause}", ours, theirs)


def photographs(damaged: int = 0) -> tuple[Contract, GoldenFacts, Outputs, Outputs]:
    """A contract of five classes, 1,200 samples, a candidate with some photographs of pearl harmed, and the release.

    Both err alike on every twelfth photograph.
    """
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    before = labels.copy()
    before[::12] = (before[::12] + 1) % len(CLASSES)
    after = before.copy()
    pearls = np.flatnonzero((labels == CLASSES.index("pearl")) & (before == labels))[:damaged]
    after[pearls] = [0 if index % 2 else 4 for index in range(len(pearls))]

    def decided(classes: NDArray[np.int64]) -> Outputs:
        return outputs("int8", scores=np.eye(len(CLASSES), dtype=np.float32)[classes] * 4)

    interface = {
        "inputs": [{"name": "pixel_values", "shape": ["batch", 3, 8, 8]}],
        "outputs": [{"name": "scores", "shape": ["batch", len(CLASSES)]}],
    }
    limits = {"int8": {"release": {"f1_drop": 0.02, "f1_drop_per_class": 0.008}}}
    read = contract(limits, classes=CLASSES, interface=interface)
    facts = GoldenFacts("", tuple(f"eye-{index}" for index in range(len(labels))), CLASSES, labels)
    return read, facts, decided(after), decided(before)


def test_a_class_that_lost_three_points_is_named_while_the_mean_hides_it() -> None:
    """F1 of pearl drops by 3 points: that clause is broken and names it; the mean over the classes is held."""
    read, facts, ours, theirs = photographs(damaged=13)
    one = judge(read, "release_f1_drop_per_class", ours, theirs, facts)
    assert one.status is Status.BROKEN
    assert one.value == pytest.approx(0.03, abs=0.002)
    assert "the F1 of pearl drops" in one.reason
    whole = judge(read, "release_f1_drop", ours, theirs, facts)
    assert whole.status is Status.HELD
    assert isinstance(whole.value, float)
    assert whole.value < 0.012


def test_an_unchanged_release_is_held() -> None:
    """No decision differs, so no drop is possible."""
    read, facts, ours, theirs = photographs()
    for clause in ("release_f1_drop", "release_f1_drop_per_class"):
        assert judge(read, clause, ours, theirs, facts).status is Status.HELD


def test_a_margin_may_be_given_class_by_class() -> None:
    """Only the classes that the table names are judged; one that it does not know is refused before anything runs."""
    read, facts, ours, theirs = photographs(damaged=13)
    for margin, status in (({"orange": 0.2}, Status.HELD), ({"orange": 0.2, "pearl": 0.01}, Status.BROKEN)):
        limits = read.variants["int8"].limits["release"].model_copy(update={"f1_drop_per_class": margin})
        variant = read.variants["int8"].model_copy(update={"limits": {"release": limits}})
        other = read.model_copy(update={"variants": {**read.variants, "int8": variant}})
        assert judge(other, "release_f1_drop_per_class", ours, theirs, facts).status is status
    with pytest.raises(ContractError, match="did you mean 'red'"):
        planned(contract({"int8": {"release": {"f1_drop_per_class": {"rad": 0.1}}}}), "int8", "any")


def test_a_set_without_a_class_defines_no_f1_of_it() -> None:
    """A class that is not there must not be averaged away."""
    read = contract({"int8": {"release": {"f1_drop": 0.1}}})
    found = judge(read, "release_f1_drop", scores("int8", (0, 1)), scores("int8", (0, 1)), golden((0, 1)))
    assert found.status is Status.ERROR
    assert "blue" in found.reason


def test_flips_against_the_release_are_told_as_such() -> None:
    """One right→wrong and one wrong→right between the release and the candidate."""
    ours, theirs = scores("int8", (1, 0, 1, 1, 2, 2)), scores("int8", (0, 0, 0, 1, 2, 2))
    found = verdict({"flips": 1}, "flips", ours, theirs)
    assert (found.status, found.value) == (Status.BROKEN, 2)
    assert "between the release's int8 and int8" in found.reason
    assert verdict({"harmful_flips": 1}, "harmful_flips", ours, theirs).status is Status.HELD
    assert verdict({"harmful_flips": 0}, "harmful_flips", ours, theirs).status is Status.BROKEN


def test_closeness_to_the_release() -> None:
    """The worst element and its sample are named; equal answers hold the tightest limits."""
    array = one_hot(LABELS)
    other = array.copy()
    other[3, 1] += 0.5
    ours, theirs = outputs("int8", scores=other), outputs("int8", scores=array)
    found = verdict({"max_abs": 0.4}, "max_abs", ours, theirs)
    assert (found.status, found.value) == (Status.BROKEN, 0.5)
    assert found.details[0].startswith("eye-3: scores[1] is apart by 0.5")
    assert verdict({"max_abs": 0.5}, "max_abs", ours, theirs).status is Status.HELD
    assert verdict({"sqnr_db": 26}, "sqnr_db", ours, theirs).status is Status.BROKEN
    for limits, clause in (({"max_abs": 0.0}, "max_abs"), ({"sqnr_db": 200}, "sqnr_db")):
        assert verdict(limits, clause, theirs, theirs).status is Status.HELD


@pytest.mark.parametrize("clause", ["f1_drop", "flips", "harmful_flips", "max_abs", "sqnr_db"])
def test_a_candidate_that_answers_nan_is_broken_everywhere(clause: str) -> None:
    """No comparison is pleasant with what is no number."""
    bad = outputs("int8", scores=np.full((6, 3), np.nan, np.float32))
    assert verdict({clause: 1}, clause, bad, scores("int8")).status is Status.BROKEN
    assert verdict({clause: 1}, clause, scores("int8"), bad).status is Status.ERROR


@pytest.mark.parametrize(("size", "status"), [(1020, Status.HELD), (1021, Status.BROKEN), (0, Status.ERROR)])
def test_size_may_grow_by_its_share(size: int, status: Status) -> None:
    """Two per cent of 1,000 bytes are 20."""
    found = verdict({"size_growth": 0.02}, "size_growth", files("int8", size), files("int8", 1000))
    assert found.status is status


def test_times_compare_in_turns_only() -> None:
    """The median of the growth, pair by pair, is proven in or out; without the release's runs there is no answer."""

    def beside(factor: float, runs: int = 100) -> Judgement:
        ours = [factor * (1 + index % 7) for index in range(runs)]
        theirs = series([float(1 + index % 7) for index in range(runs)])
        pair = timing(ours, versus="int8@1.0", versus_runs=theirs)
        return verdict({"latency_growth": 0.05}, "latency_growth", pair, pair)

    assert beside(1.04).status is Status.HELD
    broken = beside(1.06)
    assert broken.status is Status.BROKEN
    assert broken.value == pytest.approx(0.06)
    assert beside(1.0, runs=3).status is Status.UNPROVEN
    alone = timing([1.0] * 100)
    assert verdict({"latency_growth": 0.05}, "latency_growth", alone, alone).status is Status.ERROR


def test_what_can_never_be_compared_is_refused() -> None:
    """A torch module is not kept in a release; without labels nobody knows an F1."""
    with pytest.raises(ContractError, match="keeps no torch module"):
        clauses(contract({"torch": {"release": {"latency_growth": 0.1}}}), "torch")
    with pytest.raises(ContractError, match="no labels"):
        clauses(contract({"int8": {"release": {"f1_drop": 0.1}}}, labelled=False), "int8")


def test_every_clause_needs_the_release() -> None:
    """None of them can be held without one: each asks for evidence of it."""
    everything = {"f1_drop": 0, "f1_drop_per_class": 0, "flips": 0, "harmful_flips": 0, "max_abs": 0, "sqnr_db": 0}
    everything |= {"size_growth": 0, "latency_growth": 0}
    read = contract({"int8": {"release": everything}})
    names = {name for name in clauses(read, "int8") if name.startswith("release_")}
    assert len(names) == len(everything)
    for name in names:
        assert any(need.baseline for need in planned(read, "int8", name).needs), name


def test_a_cell_of_the_matrix_is_no_candidate() -> None:
    """What differs from one cell to the next is the runtime; the release is for the whole gate."""
    read = contract({"int8": {"release": {"f1_drop": 0.1, "size_growth": 0.1}, "size": {"file_size": 1000}}})
    assert clauses(read, "int8") - clauses(read.as_cell(), "int8") == {"release_f1_drop", "release_size_growth"}
