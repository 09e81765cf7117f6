"""A soak test: memory of one process over many runs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Soak
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure.kinds import soak
from eyerace_parity.stats.stopping_rules import SOAK_RUNS
from tests.laboratories import bench, change, laboratory

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.measure.context import MeasurementContext

_LIMITS = "[variants.fp32.limits.closeness]"
_ASKED = "[variants.fp32.limits.memory]\nmemory_leak = '1 MB'\nleak_runs = {runs}\n\n" + _LIMITS
_NEED = Need(Soak, "fp32")


def ask(bundle: Path, runs: int) -> None:
    """Let the contract ask for a soak of so many runs."""
    change(bundle, _LIMITS, _ASKED.format(runs=runs))


def measured(place: MeasurementContext) -> Soak:
    """A soak of ``fp32``, measured without a store."""
    return soak.measure(place, _NEED, soak.provenance(place, _NEED))


def grown(found: Soak) -> int:
    """Bytes from the first reading to the last."""
    return found.resident_bytes[-1] - found.resident_bytes[0]


def test_a_good_file_keeps_nothing(image_bundle: Path) -> None:
    """Over as many runs as the contract asks for, with a reading after each tenth and one before."""
    ask(image_bundle, 55)
    found = measured(bench(image_bundle))
    assert found.runs == 55
    assert len(found.resident_bytes) == soak.PARTS + 1
    assert min(found.resident_bytes) > 10_000_000  # a process with a runtime in it
    assert grown(found) < 1_000_000


def test_as_many_runs_are_made_as_are_said(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample once and a tenth of the runs before the first reading, then neither one more nor one less."""
    ask(image_bundle, 37)
    runs: list[int] = []
    run, resident = RuntimeWorker.run, RuntimeWorker.resident
    seen: list[int] = []

    def counted(self: RuntimeWorker, *args: object, **more: object) -> object:
        runs.append(1)
        return run(self, *args, **more)  # type: ignore[arg-type]

    def noted(self: RuntimeWorker) -> int | None:
        seen.append(len(runs))
        return resident(self)

    monkeypatch.setattr(RuntimeWorker, "run", counted)
    monkeypatch.setattr(RuntimeWorker, "resident", noted)
    found = measured(bench(image_bundle))
    warm = seen[0]
    assert warm == soak.SAMPLES
    assert len(runs) - warm == found.runs == 37
    assert len(seen) == len(found.resident_bytes)
    assert {after - before for before, after in pairwise(seen)} == {3, 4}


def test_without_a_limit_the_usual_number_is_run(image_bundle: Path) -> None:
    """Whoever asks for the evidence alone gets what a bare limit would."""
    place = bench(image_bundle)
    assert soak.provenance(place, _NEED).settings["runs"] == str(SOAK_RUNS)


def test_a_system_that_does_not_tell_is_no_proof(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reading there is no growth, and so no answer."""
    monkeypatch.setattr(RuntimeWorker, "resident", lambda _self: None)
    with pytest.raises(MeasurementError, match="does not tell how much memory"):
        measured(bench(image_bundle))


def test_a_torch_variant_is_refused(image_bundle: Path) -> None:
    """No app loads it from bytes."""
    place = bench(image_bundle)
    need = Need(Soak, "torch")
    with pytest.raises(MeasurementError, match="is a torch variant"):
        soak.measure(place, need, soak.provenance(place, need))


def test_it_is_measured_anew_each_time(image_bundle: Path) -> None:
    """Memory of yesterday says nothing of today's runtime and allocator."""
    ask(image_bundle, 20)
    for _ in range(2):
        lab = laboratory(image_bundle)
        assert not lab.obtain(_NEED).provenance.cached
        lab.close()
