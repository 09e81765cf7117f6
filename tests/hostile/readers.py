"""Everything of the gate that reads a file, as the user reaches it, each with a sound file to start from.

A reader ends in one of two ways: it returns, or it raises a :class:`~parity.errors.ParityError` whose message is for
the user. Every other ending is a defect.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnxruntime
import torch
from PIL import Image
from pydantic import TypeAdapter

from parity.checks.registry import open_contract, plan
from parity.cli import main
from parity.contract.variants import Variant
from parity.errors import ContractError, MeasurementError, ParityError, RecordError
from parity.evidence import known, recorded
from parity.evidence.assistant import Assistant
from parity.evidence.bench import Bench, artefact_digest
from parity.evidence.codec import encode
from parity.evidence.kept import recall
from parity.evidence.laboratory import Laboratory
from parity.evidence.model import Evidence, KnownFlips, Need, Outputs
from parity.evidence.store import Store
from parity.golden.dataset import open_golden
from parity.judging import judge
from parity.progress import SilentProgress
from parity.recipes.lineage import read_stamp
from parity.release import files as releases
from parity.release.save import acceptance, make
from parity.report.compose import Ledger, compose, finding
from parity.report.files import write_merged, write_record
from parity.result import Status
from parity.runners import worker
from parity.runners.external import external_locations
from parity.runners.guest import Guest
from parity.runners.onnxruntime import model_of
from parity.runners.torch import load_module
from tests.hostile import mutations
from tests.laboratories import laboratory
from tests.report.matrices import make_cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from parity.contract.model import Contract

ESCAPES: Final = ("\x1b[2J", "\x1b]0;", "\x07")
"""What no file may say to the user's terminal."""


class Unclear(AssertionError):  # noqa: N818 - an ending, not an error of this module
    """A file was met with something else than a clear error."""


@dataclass(frozen=True, slots=True)
class Yard:
    """Sound files of every kind, made once.

    Attributes:
        root: Where they lie.
        images: The labelled bundle, judged and released.
        tensors: The unlabelled bundle.
        store: The evidence of ``images``.
        evidence: A piece of every kind that the store keeps, by key.
        assistant: Who measures, as in the gate.
    """

    root: Path
    images: Path
    tensors: Path
    store: Path
    evidence: dict[str, Evidence]
    assistant: Assistant


@dataclass(frozen=True, slots=True)
class Reader:
    """One way into the gate.

    Attributes:
        name: What is read.
        seeds: Sound files, of a yard.
        read: Reads a file that stands in the place of a seed.
        mutations: How the file is made hostile, beside plain hurt.
        inputs: How many hostile files the benchmark gives it.
    """

    name: str
    seeds: Callable[[Yard], list[Path]]
    read: Callable[[Yard, Path], object]
    mutations: tuple[mutations.Mutation, ...]
    inputs: int


def make_yard(built_images: Path, built_tensors: Path, root: Path) -> Yard:
    """Judge a bundle, release the run, record what torch answered, and lay everything out."""
    images = Path(shutil.copytree(built_images, root / "bundle"))
    own = laboratory(images)
    ledger = Ledger(own.contract, plan(own.contract))
    for planned in ledger.planned:
        ledger.enter(finding(planned, judge(planned, own), own))
    record = compose([ledger], root=images, started="2026-01-01T00:00:00+00:00", seconds=1.0, why_unjudged=str)
    write_record(images / "record.json", record)
    store = Store(images.parent / "store")
    made = make(record, own.contract, store, "1.0", None)
    releases.write(made, acceptance(made, own.contract, record, store))
    recorded.write(own.contract, own.obtain(Need(Outputs, "torch")))
    (images / "flips.toml").write_text(
        '[[flip]]\nid = "red-0.jpg"\nvariant = "int8"\nagainst = "fp32"\ndecision = "red"\n'
        'reason = "seen"\nexpires = 2099-01-01\n',
        encoding="utf-8",
    )
    Image.open(images / "images" / "red-0.jpg").save(images / "picture.png", exif=_turned())
    Image.open(images / "images" / "red-1.jpg").save(images / "picture.jpg", exif=_turned(), progressive=True)
    cells = make_cells(built_images, root / "cells")
    write_merged(root / "cells" / "merged.json", cells.merged(*cells.all()))
    evidence = {measured.key: measured.evidence for measured in own.documents()}
    tensors = Path(shutil.copytree(built_tensors, root / "tensors"))
    guest_says(root)
    for key, piece in evidence.items():
        (root / f"{type(piece).__name__}-{key[-8:]}.entry").write_bytes(encode(piece))
    write_models(images)
    return Yard(root, images, tensors, store.folder, evidence, Assistant())


def ending(reader: Reader, yard: Yard, path: Path) -> str:
    """Read a hostile file: ``read`` or ``refused``.

    Raises:
        Unclear: It ended otherwise.
    """
    try:
        reader.read(yard, path)
    except ParityError as error:
        if not error.reason or any(escape in str(error) for escape in ESCAPES):
            message = f"{reader.name}: the reason is {str(error)!r}"
            raise Unclear(message) from error
        return "refused"
    except Unclear:
        raise
    except BaseException as error:
        message = f"{reader.name}: {type(error).__name__}: {error}"
        raise Unclear(message) from error
    return "read"


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


# ---- the ways in -----------------------------------------------------------------------------------------------------


def command(*arguments: str) -> str:
    """Run a command of the program; it must end as the README says, and say nothing to the terminal itself."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode("utf-8"))
    if code not in {0, 1, 4} or "Traceback" in "".join(said):
        message = f"exit code {code}: {said[1][-300:]}"
        raise Unclear(message)
    if any(escape in "".join(said) for escape in ESCAPES):
        message = f"it spoke to the terminal: {''.join(said)[:300]!r}"
        raise Unclear(message)
    if code == 4 and said[1].startswith("eyerace-parity: "):
        raise RecordError(said[1])
    if code == 4 and not said[1].startswith("eyerace-parity"):
        message = f"exit code 4 without a word: {said[1][:300]!r}"
        raise Unclear(message)
    return said[0]


def _contract(_yard: Yard, path: Path) -> object:
    return open_contract(path)


def _labels(yard: Yard, path: Path) -> object:
    contract = open_contract(yard.images / "contract.toml")
    golden = contract.golden.model_copy(update={"labels": path, "images": yard.images / "images"})
    return open_golden(contract.model_copy(update={"golden": golden})).facts()


def _picture(yard: Yard, path: Path) -> object:
    folder = path.parent / f"{path.name}.folder"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder / "images" / path.name)
    labels = folder / "labels.csv"
    labels.write_text(f"file,label,blot\n{path.name},red,1\n", encoding="utf-8")
    contract = open_contract(yard.images / "contract.toml")
    golden = contract.golden.model_copy(update={"labels": labels, "images": folder / "images"})
    contract = contract.model_copy(update={"golden": golden})
    try:
        return open_golden(contract).feeds(0, contract.preprocess_of("fp32"))
    finally:
        shutil.rmtree(folder)


def _tensors(yard: Yard, path: Path) -> object:
    contract = open_contract(yard.tensors / "contract.toml")
    golden = contract.golden.model_copy(update={"files": (str(path),)})
    opened = open_golden(contract.model_copy(update={"golden": golden}))
    return opened.facts(), [opened.feeds(number, None) for number in range(len(opened))]


def _record(yard: Yard, path: Path) -> None:
    contract = str(yard.images / "contract.toml")
    command("report", str(path))
    command("report", str(path), "--markdown")
    command("report", "--compare", str(path), str(yard.images / "record.json"))
    command("judge", str(path), "--contract", contract, "--cache", str(yard.store))
    with contextlib.suppress(RecordError):  # this contract judges no flips
        command("flips", "list", "--record", str(path), "--contract", contract)


def _matrix(yard: Yard, path: Path) -> object:
    command("report", str(path), "--markdown")
    return command("report", str(path), "--contract", str(yard.root / "cells" / "bundle" / "contract.toml"))


def _release(yard: Yard, path: Path) -> object:
    folder = path.parent / f"{path.name}.folder"
    shutil.copytree(yard.images / "releases" / "1.0", folder, dirs_exist_ok=True)
    shutil.copy(path, folder / path.name if (folder / path.name).exists() else folder / "history" / "x.json")
    contract = str(yard.images / "contract.toml")
    try:
        releases.history(folder)
        command("release", "show", str(folder), "--against", "1.0", "--contract", contract)
        return releases.read(folder)
    finally:
        shutil.rmtree(folder)


def _known_flips(yard: Yard, path: Path) -> object:
    contract = open_contract(yard.images / "contract.toml")
    contract = contract.model_copy(update={"flips": contract.flips.model_copy(update={"accepted": path})})
    need: Need[Any] = Need(KnownFlips)
    bench = Bench(contract, open_golden, Store(yard.store), 1, SilentProgress())
    found = known.measure(bench, need, known.provenance(bench, need))
    if found.failure:
        raise ContractError(found.failure)
    return found


def _entry(yard: Yard, path: Path) -> object:
    """A cache entry whose head fits its body: whoever can write into the folder can do so."""
    kind = next(type(piece) for piece in yard.evidence.values() if path.name.startswith(type(piece).__name__ + "-"))
    store = Store(path.parent / "entries")
    store.write(kind.__name__.lower(), "sha256:" + "0" * 64, path.read_bytes())
    return _absent_or(recall(store, kind, "sha256:" + "0" * 64))


def _torn_entry(_yard: Yard, path: Path) -> object:
    """A cache entry as a whole; what is not sound must be as if it were not there."""
    place = path.parent / "entries" / "graph" / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)
    return _absent_or(Store(path.parent / "entries").read("graph", f"sha256:{path.stem}"))


def _absent_or(found: object) -> object:
    if found is None:
        message = "as if it were not there"
        raise RecordError(message)
    return found


def _recorded(yard: Yard, path: Path) -> object:
    contract = open_contract(yard.images / "contract.toml")
    folder = path.parent / f"{path.name}.folder"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "torch.npz")
    wanted = next(p.provenance for p in yard.evidence.values() if isinstance(p, Outputs))
    try:
        return recorded.read(contract.model_copy(update={"recorded": folder}), "torch", wanted)
    finally:
        shutil.rmtree(folder)


def guest_says(root: Path) -> None:
    """Write what a guest says when it is greeted, asked to load, to run and to take times."""
    import numpy as np

    port = {"name": "x", "dtype": "float32", "shape": [1, "n"]}
    spent = {"wall_ns": 5, "cpu_ns": 4, "instructions": [7], "others": 0, "peak": 9}
    answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "hello": ({"protocol": worker.PROTOCOL, "python": "3", "numpy": "2", "onnxruntime": "1", "counts": True}, {}),
        "load": ({**spent, "baseline": 3, "inputs": [port], "outputs": [port]}, {}),
        "run": (spent, {"y": np.ones((2, 3), np.float32)}),
        "time": ({}, {"wall_ns": np.ones((1, 2), np.int64), "cpu_ns": np.ones((1, 2), np.int64)}),
    }
    for name, (header, arrays) in answers.items():
        with (root / f"{name}.frame").open("wb") as file:
            worker.write_frame(file, {"ok": True, **header}, arrays)


def _frames(yard: Yard, path: Path) -> object:
    """A guest that says what the file says where a sound one would answer."""
    import numpy as np

    contract = open_contract(yard.images / "contract.toml")
    kinds = ("hello", "load", "run", "time")
    place = next(number for number, kind in enumerate(kinds) if kind in path.name)
    told = path.parent / f"{path.name}.told"
    greeting = (yard.root / "hello.frame").read_bytes()
    told.write_bytes(path.read_bytes() if place == 0 else greeting + path.read_bytes())
    with Guest((*SAYING, str(told)), start_seconds=20, answer_seconds=20) as guest:
        ones = {"x": np.ones(3, np.float32)}
        session = contract.session_of("fp32")
        asked: list[Callable[[], object]] = [
            lambda: guest.counts,
            lambda: guest.load("s", b"", session, count=True),
            lambda: guest.run("s", ones, count=True),
            lambda: guest.time({"s": ones}, 2),
        ]
        return asked[place]()


SAYING: Final = (
    ("cat",)
    if os.name == "posix"
    else (sys.executable, "-c", "import sys,shutil;shutil.copyfileobj(open(sys.argv[1],'rb'),sys.stdout.buffer)")
)


def _onnx_bytes(yard: Yard, path: Path) -> object:
    """What is read of an ONNX file without a native parser, in each run."""
    contract = open_contract(yard.images / "contract.toml")
    stated = contract.variants["int8"].model_copy(update={"path": path})
    contract = contract.model_copy(update={"variants": {**contract.variants, "int8": stated}})
    external_locations(path)
    read_stamp(path)
    artefact_digest(contract, "int8")
    return model_of(contract, "int8")


MODELS: Final = {
    "tiny.safetensors": "torch",
    "tiny.pt": "torch",
    "tiny.ts": "torchscript",
    "tiny.pt2": "torch_export",
    "tiny.ort": "ort",
    "tiny.int8.onnx": "onnx",
}
"""Kind of the variant that each file is of."""


def write_models(bundle: Path) -> None:
    """Write the tiny classifier in every form that a variant can have, beside those that its contract names."""
    module = load_module(open_contract(bundle / "contract.toml"), "torch")
    ones = torch.ones(1, 3, 32, 32)
    torch.save(module.state_dict(), bundle / "tiny.pt")
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(module, ones).save(str(bundle / "tiny.ts"))
    torch.export.save(torch.export.export(module, (ones,)), bundle / "tiny.pt2")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(bundle / "tiny.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(bundle / "build" / "tiny.int8.onnx"), options, providers=["CPUExecutionProvider"])


def _stated(yard: Yard, path: Path) -> Contract:
    """The contract with a file in the place of one of its variants, one sample a time where the file takes no more."""
    contract = open_contract(yard.images / "contract.toml")
    kind = MODELS[path.name]
    name = "int8" if kind in {"onnx", "ort"} else "torch"
    fields = {key: value for key, value in contract.variants[name] if key in {"tier", "factory"}}
    if kind != "torch":
        fields.pop("factory", None)
    stated = TypeAdapter(Variant).validate_python({"kind": kind, "path": path, **fields})
    golden = contract.golden.model_copy(update={"batch": 1})
    return contract.model_copy(update={"variants": {**contract.variants, name: stated}, "golden": golden})


def _model(yard: Yard, path: Path) -> object:
    """A model's answers to the golden set, measured as the gate measures them."""
    contract = _stated(yard, path)
    name = "int8" if MODELS[path.name] in {"onnx", "ort"} else "torch"
    with tempfile.TemporaryDirectory() as store:
        own = Laboratory(
            contract, open_golden, Store(Path(store)), jobs=1, progress=SilentProgress(), assistant=yard.assistant
        )
        return own.obtain(Need(Outputs, name))


def _verdicts(yard: Yard, path: Path) -> object:
    """All verdicts of a variant: what could not be measured is never held."""
    contract = open_contract(yard.images / "contract.toml")
    stated = contract.variants["int8"].model_copy(update={"path": path})
    contract = contract.model_copy(update={"variants": {**contract.variants, "int8": stated}})
    with tempfile.TemporaryDirectory() as store:
        own = Laboratory(
            contract, open_golden, Store(Path(store)), jobs=1, progress=SilentProgress(), assistant=yard.assistant
        )
        try:
            own.obtain(Need(Outputs, "int8"))
            failure = None
        except MeasurementError as error:
            failure = error
        for planned in plan(contract):
            if planned.case.name != "int8":
                continue
            verdict = judge(planned, own)
            if "itself failed" in verdict.judgement.reason:
                raise Unclear(verdict.judgement.reason)
            rests = any(need.kind is Outputs and need.variant == "int8" for need in planned.needs)
            if rests and failure is not None and verdict.judgement.status is Status.HELD:
                message = f"{verdict.identity} is held of answers that nobody has: {failure.reason}"
                raise Unclear(message)
    if failure is not None:
        raise failure
    return contract


# ---- the table -------------------------------------------------------------------------------------------------------

READERS: Final = (
    Reader(
        "contract",
        lambda y: [y.images / "contract.toml", y.tensors / "contract.toml"],
        _contract,
        (mutations.lines, mutations.lines),
        1200,
    ),
    Reader("labels.csv", lambda y: [y.images / "labels.csv"], _labels, (mutations.lines,), 1000),
    Reader("photograph", lambda y: [y.images / "picture.jpg", y.images / "picture.png"], _picture, (), 1500),
    Reader(
        "golden .npz",
        lambda y: [y.tensors / "golden" / "races-0.npz"],
        _tensors,
        (mutations.zipped(), mutations.zipped()),
        1000,
    ),
    Reader("record", lambda y: [y.images / "record.json"], _record, (mutations.json_text, mutations.json_text), 500),
    Reader("merged record", lambda y: [y.root / "cells" / "merged.json"], _matrix, (mutations.json_text,) * 2, 500),
    Reader(
        "release",
        lambda y: [
            y.images / "releases" / "1.0" / "release.json",
            y.images / "releases" / "1.0" / "answers.npz",
            *(y.images / "releases" / "1.0" / "history").glob("*.json"),
        ],
        _release,
        (),
        900,
    ),
    Reader("known flips", lambda y: [y.images / "flips.toml"], _known_flips, (mutations.lines,), 700),
    Reader("cache entry", lambda y: sorted(y.root.glob("*.entry")), _entry, (), 1200),
    Reader("torn cache entry", lambda y: sorted((y.store / "graph").glob("*.evidence")), _torn_entry, (), 400),
    Reader("recorded outputs", lambda y: [y.images / "recorded" / "torch.npz"], _recorded, (mutations.zipped(),), 500),
    Reader("guest frame", lambda y: sorted(y.root.glob("*.frame")), _frames, (mutations.frame, mutations.frame), 1000),
    Reader(
        "ONNX as bytes",
        lambda y: [y.images / "build" / "tiny.int8.onnx"],
        _onnx_bytes,
        (mutations.protobuf, mutations.protobuf),
        1000,
    ),
    Reader(
        "safetensors",
        lambda y: [y.images / "tiny.safetensors"],
        _model,
        (mutations.safetensors, mutations.safetensors),
        1000,
    ),
    Reader("state dict .pt", lambda y: [y.images / "tiny.pt"], _model, (mutations.zipped(),) * 2, 1000),
    Reader("TorchScript", lambda y: [y.images / "tiny.ts"], _model, (mutations.zipped(),) * 2, 300),
    Reader("torch.export .pt2", lambda y: [y.images / "tiny.pt2"], _model, (mutations.zipped(),) * 2, 200),
    Reader(".ort executed", lambda y: [y.images / "tiny.ort"], _model, (), 200),
    Reader("ONNX executed", lambda y: [y.images / "build" / "tiny.int8.onnx"], _model, (mutations.protobuf,) * 2, 200),
    Reader("verdicts", lambda y: [y.images / "build" / "tiny.int8.onnx"], _verdicts, (mutations.protobuf,) * 2, 100),
)
