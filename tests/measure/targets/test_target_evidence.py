"""The target room: who starts a worker on a target, tried once a run; and which samples it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Execution, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.sample_selection import choose, margins
from eyerace_parity.measure.targets import target_evidence
from eyerace_parity.measure.targets.target_evidence import TargetEvidence
from tests.equipment import OLD, X86, Local, on_two_targets
from tests.laboratories import bench, laboratory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def room(bundle: Path, answers: Callable[[Need[Outputs]], Outputs], *, everything: bool = False) -> TargetEvidence:
    """The room over a bundle, whose host answers so."""
    return TargetEvidence(bench(bundle), Local(), answers=answers, everything=everything, abandon=lambda: None)


def selection(found: TargetEvidence) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Near and drawn samples, as the provenance names them."""
    chosen = found._selection(Need(Execution, "int8"))
    return chosen.near, chosen.drawn


def test_half_of_the_samples_are_the_nearest_of_the_host(image_bundle: Path) -> None:
    """By the host's own answers, with the contract's seed and the set's labels."""
    on_two_targets(image_bundle, images=8)
    lab = laboratory(image_bundle)
    margin = margins(lab.obtain(Need(Outputs, "int8")).arrays["scores"])
    labels = bench(image_bundle).golden().facts().labels
    wanted = choose(24, 8, lab.contract.targets.seed, labels=labels, margin=margin)
    assert selection(room(image_bundle, lab.obtain)) == (wanted.near, wanted.drawn)
    assert len(wanted.near) == 4


def test_a_host_that_cannot_answer_leaves_the_lot(image_bundle: Path) -> None:
    """Whether a target can run the file is asked all the same."""
    on_two_targets(image_bundle, images=8)

    def refuse(_need: Need[Outputs]) -> Outputs:
        raise MeasurementError("the host refuses the file")

    near, drawn = selection(room(image_bundle, refuse))
    assert (near, len(drawn)) == ((), 8)


def test_all_samples_need_no_answer_of_the_host(image_bundle: Path) -> None:
    """Nothing is chosen then, and so nothing is measured for it."""
    on_two_targets(image_bundle, images=8)

    def never(need: Need[Outputs]) -> Outputs:
        pytest.fail(f"{need} was asked for")

    assert selection(room(image_bundle, never, everything=True)) == ((), tuple(range(24)))


def test_only_what_is_executed_there_is_expected(image_bundle: Path) -> None:
    """Neither other kinds nor a release's evidence."""
    on_two_targets(image_bundle, images=8)
    found = room(image_bundle, laboratory(image_bundle).obtain)
    wanted = Need(Execution, "int8", X86)
    found.expect([wanted, Need(Outputs, "int8"), Need(Execution, "int8", OLD, baseline=True), wanted])
    assert list(found._expected) == [wanted]


def test_a_refusal_is_remembered(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is asked once; every later need says the same."""
    on_two_targets(image_bundle, images=8)
    found = room(image_bundle, laboratory(image_bundle).obtain)
    runs: list[int] = []

    def run(_self: TargetEvidence, orders: list[Any]) -> dict[Any, Any]:
        runs.append(len(orders))
        return {order.need: MeasurementError("the worker is gone") for order in orders}

    monkeypatch.setattr(target_evidence.TargetEvidence, "_run", run)
    for _ in range(2):
        with pytest.raises(MeasurementError, match="the worker is gone"):
            found.obtain(Need(Execution, "int8", OLD))
    assert runs == [1]
