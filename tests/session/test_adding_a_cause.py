"""A likely cause is one function and one line: what it says stands beside every broken clause that it explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity import diagnose
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Outputs

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case
    from eyerace_parity.evidence.source import Source
    from tests.session.conftest import Project

BROKEN = ("max_abs = 1e-4", "max_abs = 1e-30")


def by_range(case: Case, source: Source) -> list[str]:
    """Name the largest score."""
    scores = source.obtain(case.need(Outputs)).arrays[case.contract.scores_output]
    return [f"the largest score of {case.name} is {scores.max():.1f}"]


def unmeasured(_case: Case, _source: Source) -> list[str]:
    """Fail as an experiment can."""
    raise MeasurementError("the experiment cannot be done here")


@pytest.mark.parametrize("before", [(), (unmeasured,)], ids=["alone", "after one that fails"])
def test_a_cause_is_shown_where_a_clause_is_broken(
    project: Project, monkeypatch: pytest.MonkeyPatch, before: tuple[object, ...]
) -> None:
    """It stands in the table and in the record; a clause that is held asks for none."""
    monkeypatch.setattr(diagnose, "EXPLANATIONS", (*before, by_range))
    project.edit(*BROKEN)
    shown = project.run("-k", "fp32 and (max_abs or top1_agreement)")
    shown.stdout.fnmatch_lines(["*the largest score of fp32 is *"])
    causes = {row.clause: row.causes for row in project.record().verdicts}
    assert [cause.startswith("the largest score of fp32 is ") for cause in causes["max_abs"]] == [True]
    assert not causes["top1_agreement"]
