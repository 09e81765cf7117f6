"""The page of two records side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.result import Status
from eyerace_parity.record.comparison import ChangeKind, worse
from eyerace_parity.report.comparison import headline as comparison_headline
from eyerace_parity.report.comparison import shown_factor, shown_verdict
from eyerace_parity.report.html.frame import icon, part, template
from eyerace_parity.report.view.words import RICH

if TYPE_CHECKING:
    from eyerace_parity.record.comparison import Comparison

_HELD, _BROKEN = RICH.status[Status.HELD], RICH.status[Status.BROKEN]


_CHANGED: Final = {ChangeKind.WORSE: "broken", ChangeKind.GONE: "broken", ChangeKind.BETTER: "held"}


def render_comparison(found: Comparison) -> str:
    """Write two records side by side as a page."""
    rows = [
        (
            step,
            _CHANGED.get(step.change, ""),
            shown_verdict(step.before, RICH).plain,
            shown_verdict(step.after, RICH).plain,
            shown_factor(step),
        )
        for step in found.changed
    ]
    return template("comparison").render(
        found=found,
        rows=rows,
        same=sum(step.change is ChangeKind.SAME for step in found.steps),
        headline=comparison_headline(found),
        outcome="broken" if worse(found) else "held",
        sign=_BROKEN if worse(found) else _HELD,
        icon=icon("broken" if worse(found) else "held"),
        css=part("css"),
    )
