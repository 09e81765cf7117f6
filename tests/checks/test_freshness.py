"""Freshness: an artefact of another checkpoint or recipe is broken, whatever its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import clauses, contract, judge, lineage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.core.result import Judgement

NOW = {"source": "sha256:aa", "recipe": "sha256:bb", "tool.torch": "2.13"}
READ = contract(variants={"bought": {"kind": "onnx", "path": "bought.onnx"}})


def verdict(stamped: Mapping[str, str], current: Mapping[str, str] | None = None) -> Judgement:
    """Judge fp32."""
    return judge(READ, "fp32", "fresh", lineage(stamped, NOW if current is None else current))


def test_what_was_made_from_what_is_there_is_held():
    """All digests agree."""
    assert verdict(NOW).status is Status.HELD


def test_another_tool_is_told_but_not_judged():
    """A newer torch need not make another model."""
    judgement = verdict(NOW | {"tool.torch": "2.6"})
    assert judgement.status is Status.HELD
    assert judgement.details == ("torch: made with 2.6, now 2.13",)


@pytest.mark.parametrize(
    ("stamped", "reason"),
    [
        (NOW | {"source": "sha256:cc"}, "made from another checkpoint or source"),
        (NOW | {"recipe": "sha256:cc"}, "made by another recipe"),
        ({"source": "sha256:aa"}, "made by another recipe"),
        (NOW | {"calibration": "sha256:dd"}, "made with another calibration"),
        ({}, "does not say what it was made from"),
        ({"tool.torch": "2.13"}, "does not say what it was made from"),
    ],
)
def test_whatever_else_is_stale_breaks(stamped, reason):
    """Another, a missing and a foreign stamp are broken, and the command that mends it is named."""
    judgement = verdict(stamped)
    assert judgement.status is Status.BROKEN
    assert reason in judgement.reason
    assert "eyerace-parity export fp32" in judgement.next_step


def test_another_checkpoint_is_one_reason():
    """It changes the digest of the source as well, which is not told a second time but stays in the details."""
    now = NOW | {"checkpoint": "sha256:ee"}
    judgement = verdict(now | {"source": "sha256:cc", "checkpoint": "sha256:ff"}, now)
    assert judgement.reason == "fp32 was made with another checkpoint"
    assert [line.split(":")[0] for line in judgement.details] == ["checkpoint", "source"]


def test_nothing_known_of_now_is_an_error():
    """Two empty lineages are equal, but prove nothing."""
    assert verdict({}, {}).status is Status.ERROR
    assert verdict(NOW, {"tool.torch": "2.13"}).status is Status.ERROR


def test_only_what_a_recipe_makes_can_be_stale():
    """A checkpoint and a file that was taken as it is have no recipe."""
    assert "fresh" in clauses(READ, "int8")
    assert "fresh" not in clauses(READ, "torch") | clauses(READ, "bought")
