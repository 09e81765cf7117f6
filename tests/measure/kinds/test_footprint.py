"""A process that may die: preflight and footprint."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from onnx import TensorProto, helper

from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Footprint, Preflight
from eyerace_parity.measure.kinds import footprint
from tests.equipment import misbehaving
from tests.laboratories import bench, laboratory
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path


def preflight(bundle: Path, variant: str = "fp32") -> Preflight:
    """A variant's preflight, measured without a store."""
    place = bench(bundle)
    need = Need(Preflight, variant)
    return footprint.measure_preflight(place, need, footprint.preflight_provenance(place, need))


def test_a_good_file_survives(image_bundle: Path) -> None:
    """It loads from bytes, runs one golden sample, and declares its ports."""
    found = preflight(image_bundle)
    assert not found.failure
    assert found.signal is None
    assert [port.name for port in found.inputs] == ["pixel_values"]
    assert [port.name for port in found.outputs] == ["scores"]
    footprint.require_preflight(bench(image_bundle), found)


def test_a_footprint_has_one_entry_a_process(image_bundle: Path) -> None:
    """Times and memory of several fresh processes."""
    place = bench(image_bundle)
    need = Need(Footprint, "fp32")
    found = footprint.measure_footprint(place, need, footprint.footprint_provenance(place, need))
    assert not found.failure
    for numbers in (found.create_ms, found.first_ms, found.peak_bytes):
        assert len(numbers) == footprint.PROCESSES
    assert min(found.create_ms) > 0
    assert min(found.peak_bytes) > 0


def test_memory_is_that_of_the_model(image_bundle: Path) -> None:
    """A model with 64 MiB of weights takes at least as much; the runtime itself and the file's bytes do not count."""
    node = helper.make_node("ConstantOfShape", ["shape"], ["big"])
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [16 << 20])
    graph = helper.make_graph(
        [
            node,
            helper.make_node("Flatten", ["pixel_values"], ["flat"]),
            helper.make_node("ReduceSum", ["big"], ["sum"]),
            helper.make_node("Add", ["flat", "sum"], ["scores"]),
        ],
        "big",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3072])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (image_bundle / "build/tiny.fp32.onnx").write_bytes(model.SerializeToString())
    place = bench(image_bundle)
    need = Need(Footprint, "fp32")
    found = footprint.measure_footprint(place, need, footprint.footprint_provenance(place, need))
    assert not found.failure
    assert 60 << 20 < min(found.peak_bytes) <= max(found.peak_bytes) < 250 << 20


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"no model", "INVALID_PROTOBUF|No graph"), (None, "keeps weights in tiny.data")],
)
def test_a_file_that_does_not_load_is_evidence(image_bundle: Path, content: bytes | None, told: str) -> None:
    """Why it does not load stands in the fact; evaluating it in this process is refused with the same reason."""
    path = write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data")
    if content is not None:
        path.write_bytes(content)
    found = preflight(image_bundle)
    assert found.failure
    with pytest.raises(ArtefactError, match=told) as caught:
        footprint.require_preflight(bench(image_bundle), found)
    assert caught.value.next_step


def test_a_missing_file_is_an_error(image_bundle: Path) -> None:
    """Nothing was tried, so there is no fact."""
    (image_bundle / "build/tiny.fp32.onnx").unlink()
    with pytest.raises(ArtefactError, match="does not exist"):
        preflight(image_bundle)


def test_a_death_is_evidence_with_its_signal(image_bundle: Path) -> None:
    """What killed its process is not evaluated in this one."""
    source = footprint.preflight_provenance(bench(image_bundle), Need(Preflight, "fp32"))
    died = Preflight(provenance=source, failure="the process died of SIGILL while running model", signal=4)
    with pytest.raises(WorkerDied, match="SIGILL") as caught:
        footprint.require_preflight(bench(image_bundle), died)
    assert caught.value.signal == 4


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_a_process_that_was_killed_from_outside_says_nothing_of_the_file(
    image_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system short of memory once is no reason to call a file broken ever after."""
    need = Need(Preflight, "fp32")
    dying = misbehaving(tmp_path, "killed", "os.kill(os.getpid(), signal.SIGKILL)")
    with monkeypatch.context() as patch:
        patch.setattr(footprint, "local_command", lambda: dying)
        with pytest.raises(WorkerDied, match="SIGKILL") as caught:
            laboratory(image_bundle).obtain(need)
        assert "with more memory" in caught.value.next_step
    assert not laboratory(image_bundle).obtain(need).failure


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_a_crash_of_its_own_is_kept(image_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What kills whoever runs it does so on another day, too."""
    need = Need(Preflight, "fp32")
    dying = misbehaving(tmp_path, "crashing", "os.kill(os.getpid(), signal.SIGSEGV)")
    with monkeypatch.context() as patch:
        patch.setattr(footprint, "local_command", lambda: dying)
        assert laboratory(image_bundle).obtain(need).signal == signal.SIGSEGV
    assert laboratory(image_bundle).obtain(need).signal == signal.SIGSEGV


def test_torch_has_no_footprint(image_bundle: Path) -> None:
    """The facts are those of a session of ONNX Runtime; of torch there is a plain error, not a number."""
    with pytest.raises(MeasurementError, match="ONNX Runtime variants only"):
        preflight(image_bundle, "torch")
