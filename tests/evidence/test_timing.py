"""Times: their number, their turns and their order. How long anything takes is nobody's business here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parity.errors import ArtefactError
from parity.evidence import timing
from parity.evidence.model import Need, Series, Timing
from tests.laboratories import bench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer runs than a real measurement takes."""
    monkeypatch.setattr(timing, "RUNS", 25)
    monkeypatch.setattr(timing, "FEWEST_RUNS", 15)


def times(bundle: Path, variant: str, versus: str = "") -> Timing:
    """A variant's times."""
    place = bench(bundle)
    need = Need(Timing, variant, versus=versus)
    return timing.measure(place, need, timing.provenance(place, need))


def whole(series: Series | None, runs: int = 25) -> bool:
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


def test_a_slow_model_has_fewer_runs_but_never_too_few(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of runs follows from the first few, down to the fewest that can prove a quantile."""
    monkeypatch.setattr(timing, "SECONDS", 1e-9)
    assert whole(times(image_bundle, "fp32").runs, 15)


def test_a_file_that_does_not_load_is_an_error(image_bundle: Path) -> None:
    """There are no times of what does not run."""
    (image_bundle / "build/tiny.int8.onnx").write_bytes(b"no model")
    with pytest.raises(ArtefactError):
        times(image_bundle, "fp32", "int8")
