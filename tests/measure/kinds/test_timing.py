"""Times: their number, their turns and their order. How long anything takes is nobody's business here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Series, Timing
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure.kinds import timing
from tests.laboratories import bench, change

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eyerace_parity.evidence.base import Array
    from eyerace_parity.isolation.runtime_worker import Hello, Times


def times(bundle: Path, variant: str, versus: str = "") -> Timing:
    """A variant's times."""
    place = bench(bundle)
    need = Need(Timing, variant, versus=versus)
    return timing.measure(place, need, timing.provenance(place, need))


def whole(series: Series | None, runs: int = 30) -> bool:
    """Whether a series has all its runs, wall times above zero."""
    return series is not None and len(series.wall_ms) == len(series.cpu_ms) == runs and min(series.wall_ms) > 0


def test_a_variant_is_timed_with_another_in_turns(image_bundle: Path) -> None:
    """As many runs of the one as of the other, the first apart, preprocessing and decision beside them."""
    found = times(image_bundle, "int8", "fp32")
    assert whole(found.runs)
    assert whole(found.versus_runs)
    assert whole(found.preprocess)
    assert whole(found.postprocess)
    assert found.first_wall_ms > 0
    assert found.versus == "fp32"
    assert found.threads == 1
    assert found.provenance.settings["placement"] == "a process of its own"
    assert found.provenance.settings["versus_artefact"] == bench(image_bundle).artefact("fp32")


def test_torch_is_timed_in_this_process_and_says_so(image_bundle: Path) -> None:
    """Where either is a torch variant both are timed here, in the same turns."""
    found = times(image_bundle, "fp32", "torch")
    assert whole(found.runs)
    assert whole(found.versus_runs)
    assert found.provenance.settings["placement"] == "the run's own process"
    assert found.provenance.settings["versus_runtime"].startswith("torch ")


def test_a_tensor_set_has_neither_photographs_nor_classes(tensor_bundle: Path) -> None:
    """What is not done is not timed."""
    found = times(tensor_bundle, "fp32")
    assert found.preprocess is None
    assert found.postprocess is None
    assert found.versus_runs is None
    assert whole(found.runs)


def limited(bundle: Path, text: str, variant: str = "int8") -> None:
    """Give a variant limits of latency, instead of any that it has."""
    path = bundle / "contract.toml"
    path.write_text(
        path.read_text(encoding="utf-8") + f"\n[variants.{variant}.limits.latency]\n{text}\n", encoding="utf-8"
    )


def test_a_series_ends_when_all_that_is_asked_is_proven(image_bundle: Path) -> None:
    """Ninety runs prove a p95 far below its budget; what nobody asks of ends at the first look."""
    limited(image_bundle, "confidence = 0.95\np95_ms = 60000.0\npreprocess_p95_ms = 60000.0")
    found = times(image_bundle, "int8")
    assert whole(found.runs, 90)
    assert whole(found.preprocess, 90)
    assert whole(found.postprocess)
    assert found.ended == "proven"
    limited(image_bundle, "p50_ms = 60000.0", "fp32")
    assert whole(times(image_bundle, "fp32").runs)


def test_a_budget_that_is_broken_ends_it_at_the_first_look(image_bundle: Path) -> None:
    """Thirty runs over the budget prove enough; the ratio beside it is proven as soon."""
    limited(image_bundle, 'p95_ms = 1e-6\nlatency_ratio = { versus = "fp32", at_most = 1e6 }')
    found = times(image_bundle, "int8", "fp32")
    assert whole(found.runs)
    assert whole(found.versus_runs)
    assert found.ended == "proven"


def test_a_cap_ends_a_series_that_proves_nothing(image_bundle: Path) -> None:
    """In runs, at the last look within it; or in seconds, at once."""
    limited(image_bundle, "confidence = 0.95\np99_ms = 60000.0\nmax_runs = 45")
    found = times(image_bundle, "int8")
    assert whole(found.runs, 40)
    assert found.ended == "runs"
    limited(image_bundle, "confidence = 0.95\np99_ms = 60000.0\nmax_seconds = 1e-9", "fp32")
    short = times(image_bundle, "fp32")
    assert whole(short.runs, 10)
    assert short.ended == "seconds"


def test_a_file_that_does_not_load_is_an_error(image_bundle: Path) -> None:
    """There are no times of what does not run."""
    (image_bundle / "build/tiny.int8.onnx").write_bytes(b"no model")
    with pytest.raises(ArtefactError):
        times(image_bundle, "fp32", "int8")


@pytest.mark.parametrize(("spinning", "processes"), [("true", 2), ("false", 1)])
def test_threads_that_spin_are_counted_for_nobody_else(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch, spinning: str, processes: int
) -> None:
    """They go on after their run: each variant then has a process of its own, and still a run for a run."""
    change(
        image_bundle,
        "[variants.int8.recipe]",
        "[variants.int8.session]\nintra_op_threads = 2\n\n[variants.int8.recipe]",
    )
    change(image_bundle, "intra_op_threads = 2\n", f"intra_op_threads = 2\nspinning = {spinning}\n")
    asked: list[tuple[str, ...]] = []
    started: list[str] = []
    take, start = RuntimeWorker.time, RuntimeWorker.start

    def told(self: RuntimeWorker, feeds: Mapping[str, Mapping[str, Array]], runs: int) -> Times:
        asked.extend([tuple(feeds)] * runs)
        return take(self, feeds, runs)

    def begun(self: RuntimeWorker) -> Hello:
        started.append(self.name)
        return start(self)

    monkeypatch.setattr(RuntimeWorker, "time", told)
    monkeypatch.setattr(RuntimeWorker, "start", begun)
    found = times(image_bundle, "int8", "fp32")
    assert found.versus_runs is not None
    assert whole(found.runs)
    assert whole(found.versus_runs)
    assert len([name for name in started if "timed" in name]) == processes
    if processes == 1:
        assert set(asked) == {("int8", "fp32")}
    else:
        assert asked == [("int8",), ("fp32",)] * len(found.runs.wall_ms), "in turns, a run for a run"
    assert found.provenance.settings["placement"] == (
        "a process for each variant" if processes == 2 else "a process of its own"
    )
