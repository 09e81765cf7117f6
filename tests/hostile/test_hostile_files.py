"""Whatever a file says, reading it ends in a clear error or in what it says, and runs nothing of it."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.variants import TorchExportVariant
from eyerace_parity.core.errors import ArtefactError, GoldenError, MeasurementError, ParityError, RecordError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.npz import Bound, read_headers
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import artefact_digest
from eyerace_parity.record.files import read_record
from eyerace_parity.runners import artefact_files
from eyerace_parity.runners.onnxruntime import model_of
from eyerace_parity.runners.torch import load_module
from tests.hostile import mutations
from tests.hostile.readers import READERS, SAYING
from tests.hostile.yard import Reader, Yard, ending
from tests.laboratories import change, laboratory
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.model import Contract


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@settings(max_examples=12, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(seed=st.integers(0, 2**32))
def test_every_reader_ends_clearly(reader: Reader, yard: Yard, tmp_path: Path, seed: int) -> None:
    """It reads the file or refuses it; ``benchmarks/test_hostile.py`` does this ten thousand times."""
    random = Random(seed)
    chosen = random.choice(reader.seeds(yard))
    path = tmp_path / chosen.name
    path.write_bytes(mutations.hostile(chosen.read_bytes(), random, reader.mutations))
    assert ending(reader, yard, path) in {"read", "refused"}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_sound_file_is_read(reader: Reader, yard: Yard, tmp_path: Path) -> None:
    """Otherwise the law above would hold of a reader that refuses everything."""
    for seed in reader.seeds(yard):
        path = tmp_path / seed.name
        path.write_bytes(seed.read_bytes())
        assert ending(reader, yard, path) == "read", seed


@pytest.mark.parametrize("variant", ["torch", "fp32", "int8"])
def test_nothing_but_its_size_is_held_of_garbage(image_bundle: Path, variant: str) -> None:
    """Whatever looks into the file is broken or in error."""
    contract = open_contract(image_bundle / "contract.toml")
    path = contract.path(contract.variants[variant].path)
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    own = laboratory(image_bundle)
    verdicts = [judge(planned, own) for planned in plan(own.contract) if planned.identity.variant == variant]
    held = {verdict.identity.check for verdict in verdicts if verdict.judgement.status is Status.HELD}
    assert len(verdicts) > len(held)
    assert held <= {"size"}
    assert not any("itself failed" in verdict.judgement.reason for verdict in verdicts)


# ---- no code is run from data ----------------------------------------------------------------------------------------


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, str]]:
        return Path.write_text, (self._path, "executed")


def _rezipped(path: Path, change_member: Callable[[str, bytes], bytes], *more: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, body in members:
            archive.writestr(name, change_member(name, body))
        root = members[0][0].partition("/")[0]
        for name, body in more:
            archive.writestr(f"{root}/{name}", body)


@pytest.fixture
def program(image_bundle: Path) -> tuple[Contract, Path]:
    """A contract with an exported program among its variants, and the program."""
    module = load_module(open_contract(image_bundle / "contract.toml"), "torch")
    path = image_bundle / "tiny.pt2"
    torch.export.save(torch.export.export(module, (torch.ones(1, 3, 32, 32),)), path)
    contract = open_contract(image_bundle / "contract.toml")
    stated = TorchExportVariant(kind="torch_export", path=path)
    return contract.model_copy(update={"variants": {**contract.variants, "program": stated}}), path


@pytest.mark.parametrize("where", ["weight", "sample input", "constant"])
def test_a_program_with_a_pickle_in_it_is_refused_and_not_run(
    program: tuple[Contract, Path], tmp_path: Path, where: str
) -> None:
    """Torch opens such pickles without restraint: as weights, as sample inputs, and as constants of no tensor type."""
    contract, path = program
    assert callable(load_module(contract, "program"))
    executed = tmp_path / "executed"
    buffer = io.BytesIO()
    torch.save(Bomb(executed), buffer)
    opaque = pickle.dumps(Bomb(executed))

    def spoil(name: str, body: bytes) -> bytes:
        if where == "sample input" and "sample_inputs" in name:
            return buffer.getvalue()
        if where == "weight" and name.endswith("weights_config.json"):
            config = json.loads(body)
            for entry in config["config"].values():
                entry["use_pickle"] = True
            return json.dumps(config).encode()
        if where == "weight" and "/data/weights/weight_" in name:
            return buffer.getvalue()
        if where == "constant" and name.endswith("constants_config.json"):
            entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
            return json.dumps({"config": {"c": entry}}).encode()
        return body

    _rezipped(path, spoil, *([("data/constants/opaque_obj_0", opaque)] if where == "constant" else []))
    with pytest.raises(ArtefactError, match="could execute code"):
        load_module(contract, "program")
    assert not executed.exists()


def test_a_program_with_a_library_in_it_is_refused(program: tuple[Contract, Path]) -> None:
    """Torch would load it."""
    contract, path = program
    _rezipped(path, lambda _, body: body, ("data/aotinductor/model/model.so", b"\x7fELF"))
    with pytest.raises(ArtefactError, match="could execute code"):
        load_module(contract, "program")


# ---- nothing outside the bundle --------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["../../weights.bin", "/etc/passwd", "link.bin", "a\0b", "a" * 5000])
def test_external_data_outside_the_bundle_are_not_opened(image_bundle: Path, location: str) -> None:
    """Neither by a path nor through a link, nor under a name that no system takes."""
    path = image_bundle / "build" / "tiny.int8.onnx"
    write_linear(path, external="weights.bin")
    (image_bundle / "build" / "link.bin").symlink_to("/etc/passwd")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    path.write_bytes(model.SerializeToString())
    change(image_bundle, "opset = 17", "opset = 17\nsingle_file = false")
    (image_bundle.parent / "weights.bin").write_bytes(b"secret")
    contract = open_contract(image_bundle / "contract.toml")
    artefact_digest(contract, "int8")
    with pytest.raises(ArtefactError, match=r"outside the bundle"):
        model_of(contract, "int8")


def test_a_key_of_the_store_is_no_path(tmp_path: Path) -> None:
    """A record may name any key."""
    store = EvidenceCache(tmp_path / "store")
    store.write("graph", "../../secret", b"body")
    assert (tmp_path / "secret.evidence").exists(), "what follows would otherwise prove nothing"
    assert store.read("graph", "../../secret") is None
    assert store.read("graph", "a\0b") is None


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_number_of_protobuf_ends() -> None:
    """Reading one without end takes a time that grows with the square of its length."""
    content = b"\xff" * 50 + b"\x01"
    assert artefact_files._varint(content, 0, len(content)) == (0, len(content))


def test_samples_that_are_empty_cannot_be_countless(tensor_bundle: Path) -> None:
    """An array without elements takes no bytes and may claim any extent."""
    path = tensor_bundle / "golden" / "races-0.npz"
    np.savez(path, features=np.zeros((10**12, 0), np.float32), bird=np.zeros(0, np.int64))
    change(tensor_bundle, 'shape = ["rows", 8]', 'shape = ["rows", "wide"]')
    from eyerace_parity.golden.dataset import open_golden

    with pytest.raises(GoldenError, match="a sample of it is empty"):
        open_golden(open_contract(tensor_bundle / "contract.toml"))


def test_two_spellings_of_one_array_are_refused(tmp_path: Path) -> None:
    """The one whose header was checked would not be the one that is read."""
    file = io.BytesIO()
    np.save(file, np.ones(3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", file.getvalue())
        archive.writestr("x.npy", file.getvalue())
    with pytest.raises(MeasurementError, match="two arrays of the same name"):
        read_headers((tmp_path / "a.npz").read_bytes(), "a.npz", Bound(1 << 20))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"tool": "', '"tool": "\\ud800', 1),
        lambda text: text.replace('"seconds": 1.0', f'"seconds": {"9" * 400}', 1),
        lambda _: "[" * 100_000,
    ],
    ids=["half a character", "a long number", "a deep nest"],
)
def test_a_record_that_no_text_could_show_is_refused(yard: Yard, tmp_path: Path, spoil: Callable[[str], str]) -> None:
    """What cannot be printed is not taken in."""
    text = (yard.images / "record.json").read_text(encoding="utf-8")
    (tmp_path / "record.json").write_text(spoil(text), encoding="utf-8")
    with pytest.raises(RecordError, match="torn"):
        read_record(tmp_path / "record.json")


def test_an_error_cannot_steer_the_terminal() -> None:
    """Names in files stand in messages."""
    error = ParityError("no class \x1b[2J\u202e", next_step="look\x07")
    assert str(error) == "no class ?[2J?\n  next: look?"


# ---- guests ----------------------------------------------------------------------------------------------------------


def _frame(header: bytes, payload: int = 0) -> bytes:
    head = worker._PREFIX.pack(worker.MAGIC, worker.PROTOCOL, 0, len(header), payload, 0)
    return head + worker._SEAL.pack(zlib.crc32(head)) + header


def test_a_frame_is_believed_as_far_as_it_has_come() -> None:
    """One that speaks of eight gigabytes costs no memory for them."""
    with pytest.raises(worker.TornFrameError, match="0 of 8589934592"):
        worker.read_frame(io.BytesIO(_frame(b"", worker.MAX_PAYLOAD)))


@pytest.mark.parametrize("said", ["nest", "no ports", "no counts"])
def test_an_answer_that_makes_no_sense_is_no_fault_of_ours(yard: Yard, tmp_path: Path, said: str) -> None:
    """It is told as the guest's, at once."""
    told = tmp_path / "told"
    greeting = (yard.root / "hello.frame").read_bytes()
    body: dict[str, object] = {"ok": True, "wall_ns": 1, "cpu_ns": 1, "baseline": 1, "peak": 1}
    ports: dict[str, object] = {} if said == "no ports" else {"inputs": [], "outputs": [], "wall_ns": "soon"}
    buffer = io.BytesIO()
    worker.write_frame(buffer, {**body, **ports}, {})
    answer = buffer.getvalue()
    if said == "nest":
        answer = _nested()
    told.write_bytes(greeting + answer)
    session = open_contract(yard.images / "contract.toml").session_of("fp32")
    with (
        RuntimeWorker((*SAYING, str(told)), answer_seconds=60) as guest,
        pytest.raises(MeasurementError, match="protocol"),
    ):
        guest.load("s", b"", session)


def _nested() -> bytes:
    text = b'{"arrays":' + b"[" * 100_000
    head = worker._PREFIX.pack(worker.MAGIC, worker.PROTOCOL, 0, len(text), 0, zlib.crc32(text))
    return head + struct.pack("<I", zlib.crc32(head)) + text
