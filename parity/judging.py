"""From a planned clause to its verdict: gather what it needs, hand it over, keep what it answers.

One clause at fault never costs the run: evidence that cannot be obtained and a check that fails of its own both end in
a verdict ``error`` which says whose fault it is.
"""

from __future__ import annotations

import math
import traceback
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from parity.checks.base import Findings
from parity.errors import BaselineMissing, MeasurementError, ParityError
from parity.result import Judgement, Status, Verdict

if TYPE_CHECKING:
    from parity.checks.base import Planned
    from parity.evidence.model import Evidence, Need

E = TypeVar("E")

_REPORT_IT = "report it with the details below; the model is not at fault"
_FRAMES = 3


class Source(Protocol):
    """Wherever evidence comes from: a laboratory that measures, or the record of a run that has."""

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            MeasurementError: It cannot be had.
        """

    def key(self, need: Need[Any]) -> str:
        """Name the evidence as it stands in the record.

        Raises:
            MeasurementError: What would name it cannot be read.
        """


def judge(planned: Planned, source: Source) -> Verdict:
    """Judge one clause. Never raises for anything that a model, a file or a check can do."""
    keys: list[str] = []
    found: dict[Need[Any], Evidence] = {}
    try:
        needs = planned.needs
    except Exception as error:  # noqa: BLE001 - one faulty check must not cost the run its other verdicts
        return Verdict(planned.identity, _own_fault(f"the check {planned.clause.name!r}", error))
    for need in needs:
        try:
            found[need] = source.obtain(need)
            keys.append(source.key(need))
        except MeasurementError as error:
            return Verdict(planned.identity, _unmeasured(error), tuple(keys))
        except Exception as error:  # noqa: BLE001 - as above, for whatever measures
            return Verdict(planned.identity, _own_fault(f"the measurement of {need}", error), tuple(keys))
    try:
        judgement = planned.judge(Findings(found))
    except ParityError as error:
        # A user's own metric, say: it speaks for itself.
        judgement = _unmeasured(error)
    except Exception as error:  # noqa: BLE001 - as above
        judgement = _own_fault(f"the check {planned.clause.name!r}", error)
    return Verdict(planned.identity, _sound(judgement), tuple(keys))


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
    """Refuse a judgement that holds something which is not a number: no check may pass on a NaN."""
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
