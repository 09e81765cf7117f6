"""What every measurer works on: digests that change with what they speak of, and code that must be there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.core.errors import GoldenError, MeasurementError
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure import context as benches
from eyerace_parity.measure.context import MISSING, artefact_digest, code_digest, content_key
from eyerace_parity.runners import torch as torch_runtime
from eyerace_parity.runners.artefact_files import lies_inside
from tests.laboratories import bench, change, laboratory

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract


def test_code_that_cannot_be_read_is_an_error() -> None:
    """Nothing stands for it, least of all the version: it would stay the same whatever is changed."""
    with pytest.raises(MeasurementError, match=r"no_such\.py") as caught:
        code_digest("evidence/no_such.py")
    assert "install" in caught.value.next_step


def test_evidence_of_code_that_cannot_be_read_is_not_obtained(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clauses that need it end in error; neither an old entry nor a new measurement answers for it."""
    own = laboratory(image_bundle)
    own.obtain(Need(Files, "fp32"))
    moved = dataclasses.replace(KINDS.of(Files), code=("evidence/no_such.py",))
    monkeypatch.setattr(KINDS, "_by_type", KINDS._by_type | {Files: moved})
    with pytest.raises(MeasurementError, match=r"no_such\.py"):
        laboratory(image_bundle).obtain(Need(Files, "fp32"))
    with pytest.raises(MeasurementError, match=r"no_such\.py"):
        content_key(Files, Provenance(variant="fp32", target="host", artefact=""))


def test_each_file_and_their_order_make_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed byte in any of them is other code."""
    monkeypatch.setattr(benches, "_PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room/a.py").write_bytes(b"a = 1\n")
    (tmp_path / "room/b.py").write_bytes(b"b = 1\n")
    both = code_digest("room/a.py", "room/b.py")
    assert both == code_digest("room/a.py", "room/b.py")
    assert len({both, code_digest("room/a.py"), code_digest("room/b.py"), code_digest("room/b.py", "room/a.py")}) == 4
    (tmp_path / "room/b.py").write_bytes(b"b = 2\n")
    assert code_digest("room/a.py", "room/b.py") != both


# ---- the golden set --------------------------------------------------------------------------------------------------


def test_the_golden_set_is_opened_once(image_bundle: Path) -> None:
    """Whoever asks gets the same one."""
    own = bench(image_bundle)
    opened = []
    opener = own.opener
    own.opener = lambda contract: opened.append(contract) or opener(contract)  # type: ignore[func-returns-value]
    assert own.golden() is own.golden()
    assert len(opened) == 1


def test_a_set_that_cannot_be_opened_is_tried_once(image_bundle: Path) -> None:
    """And every later call says the same."""
    own = bench(image_bundle)
    tried = []

    def fail(contract: Contract) -> NoReturn:
        tried.append(contract)
        raise GoldenError("torn")

    own.opener = fail
    for _ in range(2):
        with pytest.raises(GoldenError, match="torn"):
            own.golden()
    assert len(tried) == 1


# ---- artefacts -------------------------------------------------------------------------------------------------------


def test_a_file_is_its_bytes(image_bundle: Path) -> None:
    """One more byte is another artefact; no file is none."""
    contract = bench(image_bundle).contract
    before = artefact_digest(contract, "fp32")
    path = image_bundle / "build/tiny.fp32.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    assert artefact_digest(contract, "fp32") not in {before, MISSING}
    path.unlink()
    assert artefact_digest(contract, "fp32") == MISSING


def test_a_torch_variant_is_its_file_and_its_factory(image_bundle: Path) -> None:
    """Other weights, or other source that makes the module, are another artefact."""
    contract = bench(image_bundle).contract
    before = artefact_digest(contract, "torch")
    source = image_bundle / "tiny_classifier.py"
    source.write_text(source.read_text(encoding="utf-8").replace("Dropout(0.2)", "Dropout(0.3)"), encoding="utf-8")
    other = artefact_digest(contract, "torch")
    weights = image_bundle / "tiny.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert len({before, other, artefact_digest(contract, "torch")}) == 3


def test_external_data_is_part_of_a_file(image_bundle: Path) -> None:
    """Its bytes count, its absence counts, and what lies outside the bundle is never opened."""
    contract = bench(image_bundle).contract
    path = image_bundle / "build/tiny.fp32.onnx"
    beside = path.with_name("weights.bin")

    def outsourced(location: str) -> str:
        model = onnx.ModelProto()
        tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weight")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        model.graph.initializer.append(tensor)
        path.write_bytes(model.SerializeToString())
        return artefact_digest(contract, "fp32")

    missing = outsourced("weights.bin")
    beside.write_bytes(b"1234")
    there = outsourced("weights.bin")
    beside.write_bytes(b"1235")
    assert len({missing, there, outsourced("weights.bin")}) == 3
    (image_bundle.parent / "secret.bin").write_bytes(b"1")
    outside = outsourced("../../secret.bin")
    (image_bundle.parent / "secret.bin").write_bytes(b"2")
    assert outsourced("../../secret.bin") == outside
    assert lies_inside(contract.root, path, "../../secret.bin") is None
    assert lies_inside(contract.root, path, "weights.bin") == beside


def test_an_artefact_is_read_once_a_run(image_bundle: Path) -> None:
    """All measurers speak of the same digest."""
    own = bench(image_bundle)
    before = own.artefact("fp32")
    (image_bundle / "build/tiny.fp32.onnx").unlink()
    assert own.artefact("fp32") == before
    assert bench(image_bundle).artefact("fp32") == MISSING


# ---- provenance ------------------------------------------------------------------------------------------------------


def test_provenance_names_what_was_used_and_nothing_else(image_bundle: Path) -> None:
    """Golden set, profile, runtime and machine stand in it only where they took part."""
    own = bench(image_bundle)
    used = own.provenance("int8", golden=True, settings={"threads": "1"})
    assert (used.golden, used.artefact) == (own.golden().digest, own.artefact("int8"))
    assert used.preprocess.startswith("sha256:")
    assert used.runtime.startswith("onnxruntime ")
    assert used.machine
    assert used.settings == {"threads": "1"}
    read = own.provenance("int8", runtime="")
    assert (read.golden, read.preprocess, read.runtime, read.machine, read.settings) == ("", "", "", "", {})
    assert own.provenance("torch").runtime.startswith("torch ")


def test_whatever_a_session_is_made_of_stands_in_its_settings(image_bundle: Path) -> None:
    """Threads, optimisation and ports; a torch module's ports get their names by their order."""
    before = bench(image_bundle).session_settings("int8")
    assert {"threads", "spinning", "optimisation", "providers", "loaded_from"} <= before.keys()
    assert bench(image_bundle).session_settings("int8", threads=3)["threads"] == "3"
    assert bench(image_bundle).session_settings("torch")["outputs"] == '["scores"]'
    change(image_bundle, "[golden]", '[session]\noptimisation = "basic"\n\n[golden]')
    assert bench(image_bundle).session_settings("int8") == before | {"optimisation": "basic"}


def test_recorded_outputs_stand_in_for_torch_alone(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are asked for, and where torch is missing."""
    own = bench(image_bundle)
    assert not own.uses_recorded("torch")
    own.recorded = True
    assert own.uses_recorded("torch")
    assert not own.uses_recorded("int8")
    monkeypatch.setattr(torch_runtime, "installed", lambda: False)
    assert bench(image_bundle).uses_recorded("torch")
    assert not bench(image_bundle).uses_recorded("fp32")


def test_the_versions_that_decode_photographs_stand_in_a_provenance(image_bundle: Path) -> None:
    """Pillow turns them into pixels."""
    assert set(bench(image_bundle).decoding_settings()) == {"numpy", "pillow"}


def test_recorded_tensors_are_decoded_by_numpy_alone(tensor_bundle: Path) -> None:
    """Another Pillow changes nothing of them."""
    assert set(bench(tensor_bundle).decoding_settings()) == {"numpy"}
