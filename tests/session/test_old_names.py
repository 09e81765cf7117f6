"""A limit under its old name is told once a run, and turns no run red."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.session.conftest import Project

NOTE = "eyerace-parity: golden/contract.toml:*: micro_f1 is called accuracy now; write accuracy, version 0.3 refuses*"


@pytest.mark.parametrize("arguments", [(), ("-q",), ("-n", "1")])
def test_it_is_told_once_and_is_turns_nothing_red(project: Project, arguments: tuple[str, ...]) -> None:
    """In the header, or at the end where there is none; the project turns every warning into an error."""
    project.edit("[variants.int8.limits.quality]", "[variants.int8.limits.quality]\nmicro_f1 = 0.0")
    result = project.run_apart("-k", "int8 and accuracy", *arguments)
    result.stdout.fnmatch_lines([NOTE])
    assert str(result.stdout).count("micro_f1 is called accuracy now") == 1
    assert project.statuses()["int8 accuracy"] == "held"
    assert "1 passed" in str(result.stdout)
    assert "warnings summary" not in str(result.stdout)
