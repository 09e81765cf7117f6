"""The golden evaluation: every sample once, at its place, however many threads; and what stops it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from eyerace_parity.core.errors import GoldenError, MeasurementError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.kinds import outputs
from tests.laboratories import bench, change, floats
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.evidence.base import Array


def evaluate(bundle: Path, variant: str = "fp32", *, jobs: int = 1) -> Outputs:
    """A variant's answers to its golden set, measured without a store."""
    place = bench(bundle, jobs=jobs)
    need = Need(Outputs, variant)
    return outputs.measure(place, need, outputs.provenance(place, need))


def test_the_answers_are_those_of_a_bare_loop(image_bundle: Path) -> None:
    """Every sample through preprocessing and a plain session, one by one, gives the same numbers."""
    place = bench(image_bundle)
    golden, profile = place.golden(), place.contract.preprocess_of("fp32")
    session = onnxruntime.InferenceSession((image_bundle / "build/tiny.fp32.onnx").read_bytes())
    expected = [
        session.run(None, {name: value[None] for name, value in golden.feeds(index, profile).items()})[0]
        for index in range(len(golden))
    ]
    found = evaluate(image_bundle)
    np.testing.assert_array_equal(found.arrays["scores"], np.concatenate(expected))
    assert found.expected == len(golden) == 24
    assert found.provenance.golden == golden.digest


@pytest.mark.parametrize(("jobs", "batch"), [(1, 5), (2, 1), (2, 7), (5, 24), (64, 2)])
def test_threads_and_batches_change_nothing(image_bundle: Path, jobs: int, batch: int) -> None:
    """Results stand in the golden set's order, whatever thread had them, and a last short batch counts too."""
    expected = evaluate(image_bundle)
    change(image_bundle, 'cluster = "blot"', f'cluster = "blot"\nbatch = {batch}')
    found = evaluate(image_bundle, jobs=jobs)
    np.testing.assert_allclose(floats(found.arrays["scores"]), floats(expected.arrays["scores"]), rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs(tensor_bundle: Path) -> None:
    """Two inputs, two outputs, all variants; samples of two files in order."""
    for variant in ("torch", "fp32", "int8"):
        found = evaluate(tensor_bundle, variant, jobs=2)
        assert list(found.arrays) == ["rank", "norm"]
        assert found.arrays["rank"].shape == (19, 4)
        np.testing.assert_allclose(
            floats(found.arrays["norm"]), np.square(floats(found.arrays["rank"])).sum(1), rtol=1e-4
        )


def test_a_model_that_takes_one_at_a_time_gets_one_at_a_time(image_bundle: Path) -> None:
    """Where the first axis is 1 the golden set's batch does not apply."""
    write_linear(image_bundle / "build/tiny.fp32.onnx")
    expected = evaluate(image_bundle)
    write_linear(image_bundle / "build/tiny.fp32.onnx", shape=(1, 3, 32, 32))
    change(image_bundle, 'shape = ["batch", 3, 32, 32]', "shape = [1, 3, 32, 32]")
    change(image_bundle, 'cluster = "blot"', 'cluster = "blot"\nbatch = 4')
    found = evaluate(image_bundle)
    np.testing.assert_array_equal(found.arrays["scores"], expected.arrays["scores"])
    assert found.provenance.settings["batch"] == "1"


def test_a_model_without_a_batch_axis_takes_samples_as_they_are(tensor_bundle: Path) -> None:
    """An input whose first axis is neither dynamic nor 1 has no place for a batch: a sample is all of it."""
    for old, new in (
        ('shape = ["rows", 8]', "shape = [8]"),
        ('shape = ["rows"] },\n]\noutputs', "shape = [] },\n]\noutputs"),
        ('shape = ["rows", 4]', "shape = [4]"),
        ('{ name = "norm", dtype = "float32", shape = ["rows"] }', '{ name = "norm", dtype = "float32", shape = [] }'),
    ):
        change(tensor_bundle, old, new)
    batched = evaluate_ranker(tensor_bundle, "torch.cat([features, self.table(bird)], 0)", "square().sum()")
    assert batched.arrays["rank"].shape == (19, 4)
    np.testing.assert_allclose(
        floats(batched.arrays["norm"]), np.square(floats(batched.arrays["rank"])).sum(1), rtol=1e-4
    )


def evaluate_ranker(bundle: Path, joined: str, norm: str) -> Outputs:
    """The torch ranker, rewritten to take one sample without a batch axis."""
    path = bundle / "tiny_ranker.py"
    text = path.read_text(encoding="utf-8").replace("torch.cat([features, self.table(bird)], 1)", joined)
    path.write_text(text.replace("square().sum(1)", norm), encoding="utf-8")
    return evaluate(bundle, "torch", jobs=2)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("logits",), "it lacks scores and adds logits"),
        (("scores", "extra"), "it adds extra"),
    ],
)
def test_missing_and_extra_outputs_are_errors(image_bundle: Path, names: tuple[str, ...], told: str) -> None:
    """Outputs are matched by name: one more or one less is never ignored."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", outputs=names)
    with pytest.raises(MeasurementError, match=told) as caught:
        evaluate(image_bundle)
    assert caught.value.next_step


def test_a_lost_batch_axis_is_an_error(tensor_bundle: Path) -> None:
    """An output whose first axis does not count the samples cannot be put beside them."""
    path = tensor_bundle / "tiny_ranker.py"
    path.write_text(path.read_text(encoding="utf-8").replace("square().sum(1)", "square().sum(1).mean()"))
    with pytest.raises(MeasurementError, match=r"'norm' has shape \[\] for 1 samples"):
        evaluate(tensor_bundle, "torch")


def test_nan_is_data(image_bundle: Path) -> None:
    """A model that answers NaN has answered: the checks judge it."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", bias=np.nan)
    assert np.isnan(evaluate(image_bundle).arrays["scores"]).all()


def test_another_element_type_is_recorded(tensor_bundle: Path) -> None:
    """An output of a type that the interface does not state is kept as it is: another check judges that."""
    path = tensor_bundle / "tiny_ranker.py"
    path.write_text(path.read_text(encoding="utf-8").replace("return rank,", "return rank.double(),"))
    assert evaluate(tensor_bundle, "torch").arrays["rank"].dtype == np.float64


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_torn_image_stops_the_evaluation(image_bundle: Path, jobs: int) -> None:
    """The error of one thread is the error of all, with the file's name."""
    path = image_bundle / "images/green-3.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GoldenError, match=r"green-3\.jpg"):
        evaluate(image_bundle, jobs=jobs)


class Counting:
    """A progress that counts, and interrupts when told to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.done = 0
        self.total: int | None = 0
        self.stop_at = stop_at

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Any]:
        """Count from nothing."""
        assert label
        self.total = total
        yield self

    def advance(self, n: int = 1) -> None:
        """Count, in the thread that asked for the work."""
        self.done += n
        assert threading.current_thread() is threading.main_thread()
        if self.stop_at is not None and self.done >= self.stop_at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_counts_every_sample(image_bundle: Path, jobs: int) -> None:
    """All samples are told, from the thread that asked."""
    place = bench(image_bundle, jobs=jobs)
    place.progress = Counting()
    need = Need(Outputs, "fp32")
    outputs.measure(place, need, outputs.provenance(place, need))
    assert (place.progress.done, place.progress.total) == (24, 24)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_stops_all_threads(image_bundle: Path, jobs: int) -> None:
    """Ctrl-C comes through, no thread goes on behind it, and what was not begun is left."""
    place = bench(image_bundle, jobs=jobs)
    place.progress = Counting(stop_at=1)
    golden = place.golden()
    fed: list[int] = []
    feeds = golden.feeds

    def slowly(index: int, profile: Preprocess | None) -> dict[str, Array]:
        fed.append(index)
        time.sleep(0.05)
        return feeds(index, profile)

    golden.feeds = slowly  # type: ignore[method-assign]
    need = Need(Outputs, "fp32")
    with pytest.raises(KeyboardInterrupt):
        outputs.measure(place, need, outputs.provenance(place, need))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("golden")]
    assert len(fed) < len(golden)
