"""The worker: its frames, what it may import, and what it tells of a session."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eyerace_parity.contract.variants import Session
from eyerace_parity.isolation import worker
from tests.onnx_files import write_linear

DTYPES = st.sampled_from(["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


def frame(header: dict[str, object], arrays: dict[str, np.ndarray]) -> bytes:
    """One frame as bytes."""
    stream = io.BytesIO()
    worker.write_frame(stream, header, arrays)
    return stream.getvalue()


@settings(deadline=None)
@given(st.dictionaries(st.text(), ARRAYS, max_size=4), st.dictionaries(st.sampled_from("abc"), st.text()))
def test_what_is_written_is_read(arrays: dict[str, np.ndarray], header: dict[str, object]) -> None:
    """Every header and every array come back bit for bit, whatever their shape, and can be written to."""
    found, values = worker.read_frame(io.BytesIO(frame(header, arrays)))
    assert found == header
    assert values.keys() == arrays.keys()
    for name, array in arrays.items():
        assert values[name].dtype == array.dtype
        assert values[name].shape == array.shape
        assert values[name].tobytes() == array.tobytes()
        assert values[name].flags.writeable


def test_arrays_of_any_layout_are_sent() -> None:
    """A transposed, strided or big-endian array arrives with the same values."""
    array = np.arange(24, dtype=">f4").reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    _, values = worker.read_frame(io.BytesIO(frame({}, {"x": array})))
    np.testing.assert_array_equal(values["x"], array)


@pytest.mark.parametrize("keep", [1, 10, 27, 40, 60])
def test_a_torn_frame_is_told_from_a_closed_stream(keep: int) -> None:
    """A stream that ends inside a frame is torn; one that ends before it is merely closed."""
    whole = frame({"op": "run"}, {"x": np.ones(7)})
    with pytest.raises(worker.TornFrameError):
        worker.read_frame(io.BytesIO(whole[:keep]))
    with pytest.raises(worker.Closed):
        worker.read_frame(io.BytesIO(b""))


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    """A frame with any one byte changed is refused, never read as something else."""
    whole = bytearray(frame({"op": "run"}, {"x": np.arange(5.0)}))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(worker.FrameError):
        worker.read_frame(io.BytesIO(bytes(whole)))


def test_objects_are_never_sent() -> None:
    """Nothing that would need pickle can be put into a frame."""
    with pytest.raises(worker.Refused, match="object"):
        frame({}, {"x": np.array([{}], object)})


def test_the_worker_needs_only_what_a_guest_has() -> None:
    """One file: the standard library, numpy and onnxruntime, in the syntax of Python 3.8."""
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}


BOILERPLATE = (
    "The operator schemas and or other functionality may change before next ONNX release and in this case ONNX Runtime "
    "will not guarantee backward compatibility."
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node 'c'",
            "NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node 'c'",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Load model from /home/me/x.onnx failed:Protobuf parsing failed.",
            "FAIL : Protobuf parsing failed.",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : inference_session.cc:2238 operator() ORT model verification failed.",
            "FAIL : ORT model verification failed.",
        ),
        (
            (
                "[ONNXRuntimeError] : 2 : FAIL : with error: /graph/utils.h:46 void onnxruntime::utils::Validate("
                f"const std::unordered_map<std::string, int>&, bool) Opset 5 is new. {BOILERPLATE} Official is opset 3."
            ),
            "FAIL : with error: Opset 5 is new. Official is opset 3.",
        ),
        (
            (
                "[ONNXRuntimeError] : 2 : FAIL : with error: /src/graph/model.cc:149 onnxruntime::Model::Model("
                "onnx::ModelProto&&, const PathString&) Unsupported model IR version: 10, max supported IR version: 9"
            ),
            "FAIL : with error: Unsupported model IR version: 10, max supported IR version: 9",
        ),
        ("", "RuntimeError"),
        ("one\n two\n  three", "one two three"),
    ],
)
def test_an_exception_is_cut_to_its_sentence(said: str, told: str) -> None:
    """The user sees what the runtime found, without codes, paths of theirs or line breaks."""
    assert worker.in_words(RuntimeError(said)) == told


def test_a_missing_provider_is_refused(tmp_path: Path) -> None:
    """A provider that the runtime lacks is an answer, never a silent fallback to another."""
    model = write_linear(tmp_path / "m.onnx").read_bytes()
    settings = Session(providers=("NoSuchProvider", "CPUExecutionProvider")).model_dump(mode="json")
    with pytest.raises(worker.Refused, match=r"has no NoSuchProvider, only .*CPUExecutionProvider"):
        worker.create_session(model, settings)


def test_ports_are_described_as_numpy_spells_them(tmp_path: Path) -> None:
    """Names, element types and axes, dynamic ones by their name."""
    model = write_linear(tmp_path / "m.onnx").read_bytes()
    session = worker.create_session(model, Session().model_dump(mode="json"))
    assert worker.describe(session.get_inputs()) == [
        {"name": "pixel_values", "dtype": "float32", "shape": ["batch", 3, 32, 32]}
    ]


def test_memory_is_told_in_bytes() -> None:
    """The process has some memory, and never had less at its peak than it has now."""
    told = worker.memory(reset=True)
    assert told["peak"] > 1 << 20
    assert told["current"] is None or told["current"] <= worker.memory()["peak"]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system counts no pages")
def test_what_is_held_now_is_counted_page_by_page() -> None:
    """A buffer that is filled counts, to the page; one that is freed does not."""
    size = 64 << 20
    before = worker.resident()["current"]
    held = bytearray(size)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    with_it = worker.resident()["current"]
    del held
    after = worker.resident()["current"]
    assert abs(with_it - before - size) < 1 << 20
    assert abs(after - before) < 1 << 20
