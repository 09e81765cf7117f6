"""From a planned clause to its verdict: gather what it needs, hand it over, keep the answer, ask why it breaks.

One clause at fault never costs the run: evidence that cannot be obtained and a check that fails of its own both end in
a verdict ``error`` which says whose fault it is.
"""

from __future__ import annotations

import math
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.core.errors import BaselineMissing, MeasurementError, ParityError, without_control_characters
from eyerace_parity.core.result import Judgement, Status, Verdict
from eyerace_parity.evidence.source import TrackedSource

if TYPE_CHECKING:
    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.evidence.source import Source

_REPORT_IT = "report it with the details below; the model is not at fault"
_FRAMES = 3


def judge(planned: PlannedClause, source: Source, *, explain: bool = True) -> Verdict:
    """Judge one clause. Never raises for anything that a model, a file or a check can do.

    Args:
        planned: The clause.
        source: Where its evidence comes from.
        explain: Whether likely causes of what is broken are looked for, which takes further evidence.
    """
    asked = TrackedSource(source)
    judgement = _judged(planned, asked)
    if explain and _asks_why(judgement):
        # Imported only where something is broken: a green run pays nothing for it.
        from eyerace_parity.diagnose import causes  # noqa: PLC0415

        judgement = replace(judgement, causes=causes(planned, asked))
    return Verdict(planned.identity, judgement, asked.keys, asked.needs)


def _judged(planned: PlannedClause, source: Source) -> Judgement:
    """Gather what a clause needs, and hand it over."""
    found: dict[Need[Any], Any] = {}
    try:
        needs = planned.needs
    except Exception as error:  # noqa: BLE001 - one faulty check must not cost the run its other verdicts
        return _own_fault(f"the check {planned.clause.name!r}", error)
    for need in needs:
        try:
            found[need] = source.obtain(need)
        except MeasurementError as error:
            return _unmeasured(error)
        except Exception as error:  # noqa: BLE001 - as above, for whatever measures
            return _own_fault(f"the measurement of {need}", error)
    try:
        judgement = planned.judge(ClauseEvidence(found))
    except ParityError as error:
        # A user's own metric, say: it speaks for itself.
        judgement = _unmeasured(error)
    except Exception as error:  # noqa: BLE001 - as above
        judgement = _own_fault(f"the check {planned.clause.name!r}", error)
    return _sound(judgement)


def _asks_why(judgement: Judgement) -> bool:
    """Whether the numbers speak against the variant: they break the clause, or would if they proved what they say."""
    if judgement.status is Status.BROKEN:
        return True
    value, limit = judgement.value, judgement.limit
    if judgement.status is not Status.UNPROVEN or value is None or limit is None:
        return False
    return not isinstance(value, str) and not isinstance(limit, str) and not judgement.relation.holds(value, limit)


def _unmeasured(error: ParityError) -> Judgement:
    step = error.next_step or "see to what the reason says, then run again"
    status = Status.UNPROVEN if isinstance(error, BaselineMissing) else Status.ERROR
    return Judgement(status, reason=error.reason, next_step=step)


def _own_fault(who: str, error: Exception) -> Judgement:
    """An error that nobody expected: told as the fault of our own code, with the last frames for a report."""
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    details = tuple(f"in {frame.name} ({frame.filename.rpartition('parity')[2]}:{frame.lineno})" for frame in frames)
    return Judgement(Status.ERROR, reason=f"{who} itself failed: {told}", next_step=_REPORT_IT, details=details)


def _sound(judgement: Judgement) -> Judgement:
    """Refuse a judgement that holds something which is not a number: no check may pass on a NaN.

    What a file says of itself stands in reasons, and must not steer the terminal that shows them.
    """
    judgement = replace(
        judgement,
        reason=without_control_characters(judgement.reason),
        details=tuple(without_control_characters(line) for line in judgement.details),
    )
    numbers = [number for number in (judgement.value, judgement.limit) if isinstance(number, float)]
    if judgement.status.passes and any(math.isnan(number) for number in numbers):
        return Judgement(
            Status.ERROR,
            relation=judgement.relation,
            unit=judgement.unit,
            reason="the check held a value that is not a number",
            next_step=_REPORT_IT,
            details=judgement.details,
        )
    return judgement
