"""Judges one planned clause: obtains its evidence, runs its check, and looks for causes if the clause is broken.

A faulty clause never ends the run. Evidence that cannot be obtained and a check that raises both give a verdict
``error`` that says what is at fault.
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
"""Frames of a traceback that a verdict shows: enough to find the line, short enough for a report."""


def judge(planned: PlannedClause, source: Source, *, explain: bool = True) -> Verdict:
    """Judge one clause. Errors of a model, a file or a check become verdicts, never exceptions.

    Args:
        planned: The clause.
        source: Supplies the evidence.
        explain: Whether to look for likely causes of a broken clause; this may measure further evidence.

    Returns:
        The verdict, with the keys and needs of all evidence that it is based on.
    """
    tracked = TrackedSource(source)
    judgement = _judged(planned, tracked)
    if explain and _asks_why(judgement):
        # Imported only when a clause is broken, so that a green run does not pay for the import.
        from eyerace_parity.diagnose import causes  # noqa: PLC0415

        judgement = replace(judgement, causes=causes(planned, tracked))
    return Verdict(planned.identity, judgement, tracked.keys, tracked.needs)


def _judged(planned: PlannedClause, source: Source) -> Judgement:
    """Obtain the evidence of a clause and run its check on it."""
    evidence: dict[Need[Any], Any] = {}
    try:
        needs = planned.needs
    except Exception as error:  # noqa: BLE001 - one faulty check must not cost the run its other verdicts
        return _own_fault(f"the check {planned.clause.name!r}", error)
    for need in needs:
        try:
            evidence[need] = source.obtain(need)
        except MeasurementError as error:
            return _unmeasured(error)
        except Exception as error:  # noqa: BLE001 - as above, for whatever measures
            return _own_fault(f"the measurement of {need}", error)
    try:
        judgement = planned.judge(ClauseEvidence(evidence))
    except ParityError as error:
        # A user's own metric, for example, raises with a reason that needs no further words.
        judgement = _unmeasured(error)
    except Exception as error:  # noqa: BLE001 - as above
        judgement = _own_fault(f"the check {planned.clause.name!r}", error)
    return _sound(judgement)


def _asks_why(judgement: Judgement) -> bool:
    """Whether to look for causes: the clause is broken, or its unproven value is on the wrong side of the limit."""
    if judgement.status is Status.BROKEN:
        return True
    value, limit = judgement.value, judgement.limit
    if judgement.status is not Status.UNPROVEN or value is None or limit is None:
        return False
    return not isinstance(value, str) and not isinstance(limit, str) and not judgement.relation.holds(value, limit)


def _unmeasured(error: ParityError) -> Judgement:
    # A missing baseline says nothing against the variant, so the clause is unproven and not an error.
    step = error.next_step or "see to what the reason says, then run again"
    status = Status.UNPROVEN if isinstance(error, BaselineMissing) else Status.ERROR
    return Judgement(status, reason=error.reason, next_step=step)


def _own_fault(who: str, error: Exception) -> Judgement:
    """Report an unexpected exception as a fault of this package, with the last frames of its traceback."""
    description = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    details = tuple(f"in {frame.name} ({frame.filename.rpartition('parity')[2]}:{frame.lineno})" for frame in frames)
    return Judgement(Status.ERROR, reason=f"{who} itself failed: {description}", next_step=_REPORT_IT, details=details)


def _sound(judgement: Judgement) -> Judgement:
    """Turn a passing judgement with a NaN into an error, and remove control characters from its texts.

    Reasons quote text from model files, which must not control the terminal that shows them.
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
