"""Supplies evidence from targets: selects the samples, and executes all expected needs together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.cache import get
from eyerace_parity.measure.context import content_key, contract_read
from eyerace_parity.measure.measurer import target_measurer_of
from eyerace_parity.measure.sample_selection import NO_SAMPLES, SampleSelection, choose, margins
from eyerace_parity.measure.targets.executor import TargetExecutor, TargetRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.measure.targets.equipment import TargetEquipment
    from eyerace_parity.measure.targets.executor import TargetResult

Answers = Callable[[Need[Outputs]], Outputs]


class TargetEvidence:
    """Obtains evidence from targets. The first request executes everything that is expected.

    Args:
        context: The measurement context.
        equipment: Starts workers on targets; ``None`` if only the host is available.
        answers: Supplies the host's outputs for the golden set.
        everything: Whether to run all samples instead of a selection.
        abandon: Called when the run ends early; see :class:`eyerace_parity.measure.targets.executor.TargetExecutor`.
    """

    def __init__(
        self,
        context: MeasurementContext,
        equipment: TargetEquipment | None,
        *,
        answers: Answers,
        everything: bool,
        abandon: Callable[[], None],
    ) -> None:
        self._bench = context
        self._lane = TargetExecutor(context, equipment, abandon)
        self._answers = answers
        self._everything = everything
        self._expected: dict[Need[Any], None] = {}
        self._found: dict[Need[Any], TargetResult] = {}
        self._selections: dict[str, SampleSelection] = {}

    def expect(self, needs: Iterable[Need[Any]]) -> None:
        """Announce needs; those that are not executed on targets are ignored."""
        self._expected |= dict.fromkeys(filter(self.takes, needs))

    def takes(self, need: Need[Any]) -> bool:
        """Whether a need is executed on targets."""
        return KINDS.of(need.kind).runs is Runs.ON_TARGETS and not need.baseline

    def provenance(self, need: Need[Any]) -> Provenance:
        """Return the provenance of an execution, without executing anything.

        Raises:
            MeasurementError: A file that it covers cannot be read, or the target is not available.
        """
        identity = self._lane.identity(need.target)
        stated = target_measurer_of(need.kind).provenance(self._bench, need, self._selection(need), identity)
        return stated.with_settings(contract_read(self._bench.contract, need.kind))

    def obtain(self, need: Need[Any]) -> Any:
        """Return the evidence for a need.

        Raises:
            MeasurementError: It cannot be obtained.
        """
        if need not in self._found:
            request = self._order(need)
            kept = get(self._bench.store, request.need.kind, request.key)
            if kept is not None:
                return kept
            self._found |= self._run([request, *self._others(need)])
            if need not in self._found:
                self._found[need] = self._after_another(request)
        found = self._found[need]
        if isinstance(found, MeasurementError):
            raise found.with_traceback(None)
        return found

    def _run(self, requests: list[TargetRequest]) -> dict[Need[Any], TargetResult]:
        """Execute requests under the shared machine lock, so that no times are measured meanwhile."""
        with self._bench.store.turn():
            return self._lane.run(requests)

    def _others(self, first: Need[Any]) -> list[TargetRequest]:
        """Return requests for all other expected needs; one whose request fails reports that when it is asked for."""
        requests = []
        for need in self._expected:
            if need == first or need in self._found:
                continue
            try:
                request = self._order(need)
            except ParityError:
                continue
            if get(self._bench.store, request.need.kind, request.key) is None:
                requests.append(request)
        return requests

    def _after_another(self, request: TargetRequest) -> TargetResult:
        """Wait for another process that executes the same request; execute it here if that process failed."""
        while True:
            with self._bench.store.claim(request.key):
                kept = get(self._bench.store, request.need.kind, request.key)
            if kept is not None:
                return kept
            found = self._run([request])
            if request.need in found:
                return found[request.need]

    def _order(self, need: Need[Any]) -> TargetRequest:
        source = self.provenance(need)
        return TargetRequest(need, source, content_key(need.kind, source), self._selection(need))

    def _selection(self, need: Need[Any]) -> SampleSelection:
        if not target_measurer_of(need.kind).selects:
            return NO_SAMPLES
        if need.variant not in self._selections:
            self._selections[need.variant] = self._choose(need.variant)
        return self._selections[need.variant]

    def _choose(self, variant: str) -> SampleSelection:
        contract, golden = self._bench.contract, self._bench.golden()
        total, targets = len(golden), contract.targets
        images = total if self._everything else targets.images
        margin = None
        if images < total and (contract.classes or contract.golden.scores is not None):
            try:
                answers = self._answers(Need(Outputs, variant))
            except MeasurementError:
                pass  # the host cannot run the variant, so there are no margins; a target may still run it
            else:
                margin = margins(answers.arrays[contract.scores_output])
        return choose(total, images, targets.seed, labels=golden.facts().labels, margin=margin)
