"""Instructions of a target that cannot count them: told, without a worker for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.evidence.base import Need
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from tests.equipment import OLD
from tests.measure.targets.test_executor import bundle, expecting, on, started

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bundle", "started"]


def test_what_cannot_be_counted_is_told_without_a_guest(bundle: Path, started: list[str]) -> None:
    """Instructions of a target without a counting command, beside an execution that needs none."""
    counts: Need[InstructionCounts] = Need(InstructionCounts, "int8", OLD)
    lab = expecting(bundle, on(OLD), counts)
    assert lab.obtain(counts).unavailable == "nothing is counted here"
    assert lab.obtain(on(OLD)).failure == ""
    assert started.count(f"the guest on {OLD}") == 1
