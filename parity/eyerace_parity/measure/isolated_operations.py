"""Operations of the isolated worker: measure, decode samples, build files."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.contract.data import Preprocess
from eyerace_parity.contract.wire import from_wire
from eyerace_parity.core.errors import InputChanged
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.codec import encode
from eyerace_parity.golden.base import GoldenSetProxy
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.measurer import load
from eyerace_parity.recipes.build import content_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.isolation.server import ProgressReporter, SamplesInFlight
    from eyerace_parity.isolation.worker import Answer, Arrays, Operation


CONTRACTS: Final = 8
"""Contracts that stay open with their golden sets; a run has one or two."""


class TracingGoldenSet(GoldenSetProxy):
    """A golden set that records which sample is begun, so that a crash can be attributed to it."""

    def __init__(self, golden: GoldenSet, in_flight: SamplesInFlight) -> None:
        super().__init__(golden)
        self._in_flight = in_flight

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare one sample; see :meth:`GoldenSet.feeds`."""
        self._in_flight.note(index + 1)
        return self._golden.feeds(index, profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare one sample as an app does; see :meth:`GoldenSet.unchecked`."""
        self._in_flight.note(index + 1)
        return self._golden.unchecked(index, profile)


@dataclass(frozen=True, slots=True)
class _OpenContract:
    """A contract that the host has sent.

    Attributes:
        contract: The contract.
        path: The host's ``sys.path``, on which the contract's modules are found.
        contexts: Measurement contexts by the options that differ between requests: jobs, recorded, peer.
    """

    contract: Contract
    path: list[str]
    contexts: dict[tuple[int, bool, str | None], MeasurementContext] = field(default_factory=dict)


class IsolatedOperations:
    """Serves one run.

    Args:
        progress: Reports progress to the host.
        in_flight: Records the samples that are begun.
    """

    def __init__(self, progress: ProgressReporter, in_flight: SamplesInFlight) -> None:
        self._progress = progress
        self._in_flight = in_flight
        self._contracts: dict[str, _OpenContract] = {}

    def open(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Open a contract; later requests name it by its digest."""
        if len(self._contracts) >= CONTRACTS:
            self._contracts.clear()
        self._contracts[header["digest"]] = _OpenContract(from_wire(header["contract"]), header["path"])
        return {"contracts": list(self._contracts)}, {}

    def measure(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Measure the evidence for a need.

        Raises:
            InputChanged: The golden set has changed since the run began.
        """
        # Kind and measurer are named by module and object: an extension need not be registered in this process.
        kind, measurer = load(header["kind"]), load(header["measurer"])
        reads = None if header["reads"] is None else tuple(header["reads"])
        context, source = self._context(header), Provenance.model_validate(header["source"])
        if source.golden and context.golden().digest != source.golden:
            raise InputChanged("the golden set has changed since the run began")
        evidence = measurer.measure(context.narrowed(reads), Need(kind, **header["need"]), source)
        return {}, {"evidence": np.frombuffer(encode(evidence), np.uint8)}

    def make(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Build the content of a variant's file."""
        content = content_of(self._opened(header).contract, header["variant"], self._progress)
        return {}, {"content": np.frombuffer(content, np.uint8)}

    def feeds(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Prepare one golden sample."""
        profile = None if header["profile"] is None else Preprocess.model_validate(header["profile"])
        return {}, self._context(header).golden().feeds(int(header["index"]), profile)

    def _opened(self, header: dict[str, Any]) -> _OpenContract:
        opened = self._contracts[header["contract"]]
        sys.path[:] = opened.path
        return opened

    def _context(self, header: dict[str, Any]) -> MeasurementContext:
        """Return the measurement context of a request, whose golden set is opened once."""
        opened = self._opened(header)
        jobs, recorded, peer = header["options"]
        if (jobs, recorded, peer) not in opened.contexts:
            nowhere = EvidenceCache(opened.contract.root)  # never written to: the host stores the evidence
            place = None if peer is None else Path(peer)
            opened.contexts[jobs, recorded, peer] = MeasurementContext(
                opened.contract, self._open_golden, nowhere, jobs, self._progress, recorded, place
            )
        return opened.contexts[jobs, recorded, peer]

    def _open_golden(self, contract: Contract) -> GoldenSet:
        return TracingGoldenSet(open_golden(contract), self._in_flight)


def operations(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """Return the operations of the isolated worker by name."""
    served = IsolatedOperations(progress, in_flight)
    return {"open": served.open, "measure": served.measure, "make": served.make, "feeds": served.feeds}
