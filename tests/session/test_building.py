"""Artefacts that a recipe makes: built when missing, never rebuilt in silence, and a failure costs no other verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.session.conftest import Project


def artefact(project: Project, variant: str) -> Path:
    """The file of a variant."""
    return project.bundle / "build" / f"tiny.{variant}.onnx"


def test_a_missing_artefact_is_built_and_announced(project: Project) -> None:
    """The header says so before, a line says so after."""
    before = artefact(project, "int8").read_bytes()
    artefact(project, "int8").unlink()
    result = project.run("-k", "int8 and (file_size or fresh)")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "eyerace-parity: built before the first check, because missing: golden/build/tiny.int8.onnx",
            "eyerace-parity: built golden/build/tiny.int8.onnx in * s",
        ]
    )
    assert artefact(project, "int8").read_bytes() == before, "the same inputs give the same bytes in any folder"


def test_only_what_the_chosen_clauses_need_is_built(project: Project) -> None:
    """``-k fp32`` does not quantise."""
    artefact(project, "int8").unlink()
    assert project.run("-k", "fp32 and file_size").ret == 0
    assert not artefact(project, "int8").exists()


def test_a_stale_artefact_is_judged_not_rebuilt(project: Project) -> None:
    """Only ``--eyerace-parity-rebuild`` makes it again, and what is made from it."""
    project.edit("reduce_range = true", "reduce_range = false")
    before = artefact(project, "int8").read_bytes()
    assert project.run("-k", "fresh").ret == 1
    assert project.statuses() == {"fp32 fresh": "held", "int8 fresh": "broken"}
    assert artefact(project, "int8").read_bytes() == before
    result = project.run("-k", "fresh", "--eyerace-parity-rebuild")
    assert result.ret == 0
    assert artefact(project, "int8").read_bytes() != before
    result.stdout.no_fnmatch_line("*built golden/build/tiny.fp32.onnx*")


def test_a_failed_build_is_an_error_of_its_variant(project: Project) -> None:
    """The reason is the recipe's, everything else is judged, and there is no traceback."""
    artefact(project, "int8").unlink()
    (project.bundle / "tiny_calibration.py").write_text("raise RuntimeError('no blots today')\n", encoding="utf-8")
    result = project.run("-k", "file_size")
    assert result.ret == 1
    assert project.statuses() == {"fp32 file_size": "held", "int8 file_size": "error"}
    row = next(row for row in project.record().verdicts if row.variant == "int8")
    assert "no blots today" in row.reason
    result.stdout.no_fnmatch_line("*Traceback*")
    assert not artefact(project, "int8").exists()
