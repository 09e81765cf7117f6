"""Instructions of a variant, counted in real guests: repeats, what was refused, and where nothing counts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from eyerace_parity.core.errors import MeasurementError, WorkerDied
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.measurer import (
    IDENTITY,
    REPEATS,
    STEADY,
    count,
    measure,
    provenance,
    unavailable,
)
from eyerace_parity.isolation.runtime_worker import RuntimeWorker, local_command
from eyerace_parity.measure.sample_selection import NO_SAMPLES
from tests.extensions.emulation.emulators import counting, x86_command
from tests.isolation.test_runtime_worker import impostor
from tests.laboratories import bench, change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "x86/avx2"
NEED = Need(InstructionCounts, "fp32", TARGET)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="qemu emulates user programs on Linux only")


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuntimeWorker]:
    """A guest that counts."""
    plugin = counting("x86_64", tmp_path_factory.getbasetemp() / "counters")
    with RuntimeWorker(x86_command(*plugin.arguments), name="the guest on x86/avx2") as opened:
        yield opened


def source(bundle: Path, **identity: str) -> Provenance:
    """Where a count of the bundle's fp32 comes from."""
    return provenance(bench(bundle), NEED, NO_SAMPLES, identity)


def test_a_variant_is_counted_and_repeats(guest: RuntimeWorker, image_bundle: Path) -> None:
    """Every session is counted, loading apart from running; even a model this tiny repeats within half a percent."""
    found = measure(bench(image_bundle), guest, NEED, source(image_bundle))
    assert (len(found.load), len(found.first), len(found.steady)) == (REPEATS, REPEATS, REPEATS * STEADY)
    for counts, agreed in ((found.load, 0.05), (found.first, 0.01), (found.steady, 0.005)):
        assert (max(counts) - min(counts)) / min(counts) < agreed, found
    assert min(found.load) > min(found.first) >= min(found.steady) > 10_000
    assert (found.failure, found.unavailable, found.signal) == ("", "", None)
    again = measure(bench(image_bundle), guest, NEED, source(image_bundle))
    assert min(again.steady) / min(found.steady) == pytest.approx(1, abs=0.005)


def input_of(bundle: Path) -> str:
    """What names the sample that is counted."""
    return source(bundle).settings["input"]


def test_another_photograph_or_preparation_is_another_count(image_bundle: Path) -> None:
    """The first one is named by what it is, and by what prepares it; another that changes changes nothing."""
    before = input_of(image_bundle)
    first, *others = sorted((image_bundle / "images").iterdir())
    photographs = [path.read_bytes() for path in (first, others[0])]
    others[-1].write_bytes(others[-1].read_bytes() + b"more")
    assert input_of(image_bundle) == before
    first.write_bytes(photographs[1])
    others[0].write_bytes(photographs[0])
    assert input_of(image_bundle) != before
    first.write_bytes(photographs[0])
    others[0].write_bytes(photographs[1])
    assert input_of(image_bundle) == before
    change(image_bundle, "mean = [0.5, 0.5, 0.5]", "mean = [0.4, 0.5, 0.5]")
    assert input_of(image_bundle) != before


def test_other_tensors_are_another_count(tensor_bundle: Path) -> None:
    """Named by their numbers."""
    before = input_of(tensor_bundle)
    archive = min((tensor_bundle / "golden").glob("*.npz"))
    with np.load(archive) as loaded:
        arrays = dict(loaded)
    arrays["features"][0, 0] += 1
    np.savez(archive, **arrays)
    assert input_of(tensor_bundle) != before


def test_a_file_that_is_refused_is_a_finding(guest: RuntimeWorker, image_bundle: Path) -> None:
    """What the runtime says of it stands in the evidence, and the guest takes the next file."""
    path = bench(image_bundle).contract.path(bench(image_bundle).contract.variants["fp32"].path)
    whole = path.read_bytes()
    path.write_bytes(b"no model at all")
    refused = measure(bench(image_bundle), guest, NEED, source(image_bundle))
    assert refused.failure
    assert (refused.steady, refused.signal) == ((), None)
    path.write_bytes(whole)
    assert measure(bench(image_bundle), guest, NEED, source(image_bundle)).steady


def test_a_file_that_kills_its_guest_is_a_finding(image_bundle: Path) -> None:
    """The signal and its words are evidence; a guest that merely leaves is no evidence about the file."""
    for last, signal in (("os.kill(os.getpid(), signal.SIGILL)", 4), ("os._exit(3)", None)):
        with RuntimeWorker(impostor(f"worker.read_frame(source); {last}"), processor="phone generation") as guest:
            guest.counts = True
            if signal is None:
                with pytest.raises(WorkerDied, match="exit code 3"):
                    measure(bench(image_bundle), guest, NEED, source(image_bundle))
                continue
            found = measure(bench(image_bundle), guest, NEED, source(image_bundle))
            assert found.signal == signal
            assert "an instruction that this phone generation does not have" in found.failure


def test_where_nothing_counts_the_evidence_says_so(image_bundle: Path) -> None:
    """A plain worker is no emulator: nothing is run for nothing."""
    with RuntimeWorker(local_command(), name="the worker on the host") as plain:
        found = measure(bench(image_bundle), plain, NEED, source(image_bundle))
    assert found.unavailable == "the worker on the host runs in no emulator that counts instructions"
    assert found == unavailable(source(image_bundle), found.unavailable)
    assert not found.load + found.first + found.steady


def test_the_key_holds_what_could_change_a_count_and_nothing_else(image_bundle: Path) -> None:
    """The emulator, the input and the artefact; not this machine's processor, and no sample that is not fed."""
    first = source(image_bundle, qemu="7.2")
    assert first.settings["qemu"] == "7.2"
    assert (first.machine, first.golden, first.target) == ("", "", TARGET)
    assert first.settings["threads"] == "1"
    assert first.artefact
    assert source(image_bundle, qemu="7.2") == first
    assert source(image_bundle, qemu="9.0") != first


def test_the_warming_file_is_a_whole_model() -> None:
    """The bytes that stand in the code are an identity of one float, as any runtime takes it."""
    model = onnx.load_model_from_string(IDENTITY)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Identity"]
    assert (model.ir_version, model.opset_import[0].version) == (8, 13)


def test_a_count_that_is_missing_is_no_count(image_bundle: Path) -> None:
    """A worker that answers without counting is an error, not a row of zeros."""
    prepared = bench(image_bundle).contract.session_of("fp32")
    code = """
        for _ in range(20):
            header, arrays = worker.read_frame(source)
            answer = {"ok": True, "wall_ns": 1, "cpu_ns": 1, "baseline": 1, "peak": 1, "inputs": [], "outputs": []}
            worker.write_frame(sink, answer, {})
    """
    with RuntimeWorker(impostor(code)) as silent, pytest.raises(MeasurementError, match="did not count every run"):
        count(silent, b"model", prepared, {"x": np.ones(1, np.float32)})
