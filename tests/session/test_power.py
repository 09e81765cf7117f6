"""What the golden set can resolve is said when it is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.session.conftest import Project


def test_a_margin_that_cannot_be_resolved_is_told_at_collection(project: Project) -> None:
    """The header names the margin before anything is measured, and it is no error."""
    project.edit("confidence = 0.5", "confidence = 0.95")
    result = project.run("--collect-only")
    assert result.ret == 0
    told = "golden set: 24 samples in 12 clusters resolve an F1 drop of *; power of the contract's margins:"
    told += " int8.f1_drop = 0.2: 0 %; too small to count on: int8.f1_drop = 0.2"
    result.stdout.fnmatch_lines([f"eyerace-parity: {told}"])


def test_labels_that_cannot_be_read_are_left_to_the_verdicts(project: Project) -> None:
    """A missing table of labels costs the line and not the run."""
    (project.bundle / "labels.csv").unlink()
    result = project.run("--collect-only")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*golden set: *")
