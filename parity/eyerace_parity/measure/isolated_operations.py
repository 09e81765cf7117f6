"""What the isolated worker does when it is asked: measure, decode samples, build a file."""

from __future__ import annotations

import sys
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
"""Contracts that stay open, their golden sets with them; a run has one or two."""


class TracingGoldenSet(GoldenSetProxy):
    """A golden set that notes which sample is begun."""

    def __init__(self, golden: GoldenSet, in_flight: SamplesInFlight) -> None:
        super().__init__(golden)
        self._in_flight = in_flight

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        self._in_flight.note(index + 1)
        return self._golden.feeds(index, profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """The same as an app does it; see :meth:`GoldenSet.unchecked`."""
        self._in_flight.note(index + 1)
        return self._golden.unchecked(index, profile)


class _OpenContract:
    """A contract that has crossed, where its modules are found, and what is open of it.

    Attributes:
        contract: The contract.
        path: Where modules are looked for, as on the other side.
        contexts: What measures it, by the options of the run that differ between requests.
    """

    def __init__(self, contract: Contract, path: list[str]) -> None:
        self.contract = contract
        self.path = path
        self.contexts: dict[tuple[int, bool, str | None], MeasurementContext] = {}


class IsolatedOperations:
    """Serves one run.

    Args:
        progress: Reports to the other side.
        in_flight: Where samples are noted that are begun.
    """

    def __init__(self, progress: ProgressReporter, in_flight: SamplesInFlight) -> None:
        self._progress = progress
        self._in_flight = in_flight
        self._contracts: dict[str, _OpenContract] = {}

    def open(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Take a contract in; later requests name it by its digest."""
        if len(self._contracts) >= CONTRACTS:
            self._contracts.clear()
        self._contracts[header["digest"]] = _OpenContract(from_wire(header["contract"]), header["path"])
        return {"contracts": list(self._contracts)}, {}

    def measure(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Measure what a need asks for."""
        # Named by where they are, not by their names in a registry: an extension need not be registered here.
        kind, measurer = load(header["kind"]), load(header["measurer"])
        context, source = self._context(header), Provenance.model_validate(header["source"])
        if source.golden and context.golden().digest != source.golden:
            raise InputChanged("the golden set has changed since the run began")
        evidence = measurer.measure(context, Need(kind, **header["need"]), source)
        return {}, {"evidence": np.frombuffer(encode(evidence), np.uint8)}

    def make(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Make the content of a variant's file."""
        content = content_of(self._opened(header).contract, header["variant"], self._progress)
        return {}, {"content": np.frombuffer(content, np.uint8)}

    def feeds(self, header: dict[str, Any], _arrays: Arrays) -> Answer:
        """Prepare one golden sample."""
        return {}, self._context(header).golden().feeds(int(header["index"]), _profile(header))

    def _opened(self, header: dict[str, Any]) -> _OpenContract:
        opened = self._contracts[header["contract"]]
        sys.path[:] = opened.path
        return opened

    def _context(self, header: dict[str, Any]) -> MeasurementContext:
        """What measures a contract, with its golden set opened once."""
        opened = self._opened(header)
        jobs, recorded, peer = header["options"]
        if (jobs, recorded, peer) not in opened.contexts:
            nowhere = EvidenceCache(opened.contract.root)  # nothing is kept here: who asks keeps it
            place = None if peer is None else Path(peer)
            opened.contexts[jobs, recorded, peer] = MeasurementContext(
                opened.contract, self._open_golden, nowhere, jobs, self._progress, recorded, place
            )
        return opened.contexts[jobs, recorded, peer]

    def _open_golden(self, contract: Contract) -> GoldenSet:
        return TracingGoldenSet(open_golden(contract), self._in_flight)


def operations(progress: ProgressReporter, in_flight: SamplesInFlight) -> Mapping[str, Operation]:
    """What the isolated worker serves, by the name of the operation."""
    served = IsolatedOperations(progress, in_flight)
    return {
        "open": served.open,
        "measure": served.measure,
        "make": served.make,
        "feeds": served.feeds,
    }


def _profile(header: dict[str, Any]) -> Preprocess | None:
    return None if header["profile"] is None else Preprocess.model_validate(header["profile"])
