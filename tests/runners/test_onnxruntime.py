"""ONNX Runtime in this process: what it runs, and how it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.runners.onnxruntime import OnnxRuntimeRunner, refusal, runtime
from eyerace_parity.runners.registry import open_runner
from tests.laboratories import floats
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path

FEEDS = {"pixel_values": np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)}


def state(bundle: Path, old: str, new: str) -> None:
    """Change the bundle's contract."""
    path = bundle / "contract.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def open_fp32(bundle: Path) -> OnnxRuntimeRunner:
    """The runner of the bundle's fp32 variant."""
    return OnnxRuntimeRunner(open_contract(bundle / "contract.toml"), "fp32")


def test_it_runs_what_onnxruntime_runs(image_bundle: Path) -> None:
    """The same file and inputs give the same numbers as a bare session; ports are as declared."""
    session = onnxruntime.InferenceSession((image_bundle / "build/tiny.fp32.onnx").read_bytes())
    with open_fp32(image_bundle) as runner:
        np.testing.assert_array_equal(runner.infer(FEEDS)["scores"], session.run(None, FEEDS)[0])
        inputs, outputs = runner.ports()
    assert [(port.name, port.dtype, port.shape) for port in inputs] == [
        ("pixel_values", "float32", ("batch", 3, 32, 32))
    ]
    assert [port.name for port in outputs] == ["scores"]
    assert runner.runtime == runtime() == f"onnxruntime {onnxruntime.__version__}"


def test_an_ort_file_runs_too(image_bundle: Path) -> None:
    """ONNX Runtime's own format is run from bytes alike."""
    source = image_bundle / "build/tiny.fp32.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(image_bundle / "build/tiny.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(source), options)
    with (image_bundle / "contract.toml").open("a", encoding="utf-8") as file:
        file.write('\n[variants.mobile]\nkind = "ort"\npath = "build/tiny.ort"\nreference = "fp32"\n')
        file.write("[variants.mobile.limits.closeness]\nmax_abs = 1e-4\n")
    contract = open_contract(image_bundle / "contract.toml")
    with open_runner(contract, "mobile") as mobile, open_runner(contract, "fp32") as fp32:
        found, expected = mobile.infer(FEEDS)["scores"], fp32.infer(FEEDS)["scores"]
        np.testing.assert_allclose(floats(found), floats(expected), atol=1e-5)


@pytest.mark.parametrize("single_file", ["true", "false"])
def test_another_file_is_no_ort_file(image_bundle: Path, single_file: str) -> None:
    """A full runtime takes an ONNX file under any name; the app's, built for ``.ort`` alone, would not."""
    state(image_bundle, "[interface]\n", f"[interface]\nsingle_file = {single_file}\n")
    with (image_bundle / "contract.toml").open("a", encoding="utf-8") as file:
        file.write('\n[variants.mobile]\nkind = "ort"\npath = "build/tiny.fp32.onnx"\n')
    with pytest.raises(ArtefactError, match="is not in ONNX Runtime's own format") as caught:
        open_runner(open_contract(image_bundle / "contract.toml"), "mobile").load()
    assert "convert_onnx_models_to_ort" in caught.value.next_step


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:600]), "refuses the file: INVALID_PROTOBUF"),
        (lambda path: path.write_text("<html>404</html>"), "refuses the file"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a file"),
    ],
)
def test_a_bad_file_is_an_artefact_error(image_bundle: Path, spoil, told: str) -> None:
    """Missing, empty, torn and foreign files are told with the variant's name and what to do."""
    spoil(image_bundle / "build/tiny.fp32.onnx")
    with pytest.raises(ArtefactError, match=told) as caught:
        open_fp32(image_bundle).load()
    assert caught.value.reason.startswith("fp32: ")
    assert caught.value.next_step


def test_external_data_are_refused_where_one_file_is_wanted(image_bundle: Path, monkeypatch) -> None:
    """Even when the data lie in the working directory, where the runtime would find them by luck."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data")
    monkeypatch.chdir(image_bundle / "build")
    with pytest.raises(ArtefactError, match=r"keeps weights in tiny\.data"):
        open_fp32(image_bundle).load()


def test_external_data_are_found_where_the_contract_allows_them(image_bundle: Path) -> None:
    """With ``single_file = false`` the session is made from the path."""
    write_linear(image_bundle / "build/tiny.fp32.onnx", external="tiny.data")
    state(image_bundle, "[interface]\n", "[interface]\nsingle_file = false\n")
    with open_fp32(image_bundle) as runner:
        assert runner.infer(FEEDS)["scores"].shape == (2, 3)


def test_a_missing_provider_is_an_artefact_error(image_bundle: Path) -> None:
    """The contract's provider is not silently replaced by another."""
    state(image_bundle, "[golden]\n", '[session]\nproviders = ["MagicExecutionProvider"]\n\n[golden]\n')
    with pytest.raises(ArtefactError, match="has no MagicExecutionProvider") as caught:
        open_fp32(image_bundle).load()
    assert "session.providers" in caught.value.next_step


def test_settings_reach_the_session(image_bundle: Path) -> None:
    """Threads, optimisation and config entries are those of the contract; ``threads`` overrides."""
    session = '[session]\nintra_op_threads = 2\noptimisation = "basic"\nconfig = { "session.intra_op.x" = "7" }\n'
    state(image_bundle, "[golden]\n", f"{session}\n[golden]\n")
    with open_fp32(image_bundle) as runner:
        options = runner._session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.intra_op.x") == "7"
    with OnnxRuntimeRunner(open_contract(image_bundle / "contract.toml"), "fp32", threads=1) as runner:
        assert runner._session.get_session_options().intra_op_num_threads == 1


@pytest.mark.parametrize("feeds", [{}, {"pixel_values": np.ones((1, 5), np.float32)}, {"other": np.ones(1)}])
def test_wrong_inputs_are_measurement_errors(image_bundle: Path, feeds: dict[str, np.ndarray]) -> None:
    """What the runtime refuses at run time is told with the variant's name, not as a traceback of the runtime's."""
    with open_fp32(image_bundle) as runner, pytest.raises(MeasurementError, match=r"^fp32: "):
        runner.infer(feeds)


@pytest.mark.parametrize(
    ("sentence", "step"),
    [
        ("NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10)", "newer onnxruntime"),
        ("FAIL : Unsupported model IR version: 14, max supported IR version: 11", "older opset or IR version"),
        ("something else", "to see more"),
    ],
)
def test_a_refusal_says_what_to_do(image_bundle: Path, sentence: str, step: str) -> None:
    """The next step fits what the runtime said, whose version stands in the reason."""
    error = refusal(open_contract(image_bundle / "contract.toml"), "fp32", sentence)
    assert sentence in error.reason
    assert runtime() in error.reason
    assert step in error.next_step
