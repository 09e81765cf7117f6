"""Everything of the gate that reads a file, as the user reaches it, each with a sound file to start from.

A reader ends in one of two ways: it returns, or it raises a :class:`~eyerace_parity.core.errors.ParityError` whose
message is for the user. Every other ending is a defect.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli import main
from eyerace_parity.core.errors import ContractError, RecordError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.flips import KnownFlips
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure import recorded
from eyerace_parity.measure.cache import EvidenceCache, get
from eyerace_parity.measure.context import MeasurementContext, artefact_digest
from eyerace_parity.measure.kinds import known_flips
from eyerace_parity.recipes.lineage import read_stamp
from eyerace_parity.release import files as releases
from eyerace_parity.runners.artefact_files import external_locations
from eyerace_parity.runners.onnxruntime import model_of
from tests.hostile import models, mutations
from tests.hostile.yard import ESCAPES, Reader, Unclear, has_matrix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile.yard import Yard

# ---- the ways in ----------------------------------------------------------------------------------------------------


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
    bench = MeasurementContext(contract, open_golden, EvidenceCache(yard.store), 1, SilentProgress())
    found = known_flips.measure(bench, need, known_flips.provenance(bench, need))
    if found.failure:
        raise ContractError(found.failure)
    return found


def _entry(yard: Yard, path: Path) -> object:
    """A cache entry whose head fits its body: whoever can write into the folder can do so."""
    kind = next(type(piece) for piece in yard.evidence.values() if path.name.startswith(type(piece).__name__ + "-"))
    store = EvidenceCache(path.parent / "entries")
    store.write(KINDS.of(kind).word, "sha256:" + "0" * 64, path.read_bytes())
    return _absent_or(get(store, kind, "sha256:" + "0" * 64))


def _torn_entry(_yard: Yard, path: Path) -> object:
    """A cache entry as a whole; what is not sound must be as if it were not there."""
    place = path.parent / "entries" / "graph" / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)
    return _absent_or(EvidenceCache(path.parent / "entries").read("graph", f"sha256:{path.stem}"))


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


def _frames(yard: Yard, path: Path) -> object:
    """A guest that says what the file says where a sound one would answer."""
    import numpy as np

    contract = open_contract(yard.images / "contract.toml")
    kinds = ("hello", "load", "run", "time")
    place = next(number for number, kind in enumerate(kinds) if kind in path.name)
    told = path.parent / f"{path.name}.told"
    greeting = (yard.root / "hello.frame").read_bytes()
    told.write_bytes(path.read_bytes() if place == 0 else greeting + path.read_bytes())
    with RuntimeWorker((*SAYING, str(told)), start_seconds=20, answer_seconds=20) as guest:
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


# ---- the table -------------------------------------------------------------------------------------------------------

_MERGED: Final = (
    (Reader("merged record", lambda y: [y.root / "cells" / "merged.json"], _matrix, (mutations.json_text,) * 2, 500),)
    if has_matrix()
    else ()
)

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
    *_MERGED,
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
        models.answers,
        (mutations.safetensors, mutations.safetensors),
        1000,
    ),
    Reader("state dict .pt", lambda y: [y.images / "tiny.pt"], models.answers, (mutations.zipped(),) * 2, 1000),
    Reader("TorchScript", lambda y: [y.images / "tiny.ts"], models.answers, (mutations.zipped(),) * 2, 300),
    Reader("torch.export .pt2", lambda y: [y.images / "tiny.pt2"], models.answers, (mutations.zipped(),) * 2, 200),
    Reader(".ort executed", lambda y: [y.images / "tiny.ort"], models.answers, (), 200),
    Reader(
        "ONNX executed",
        lambda y: [y.images / "build" / "tiny.int8.onnx"],
        models.answers,
        (mutations.protobuf,) * 2,
        200,
    ),
    Reader(
        "verdicts", lambda y: [y.images / "build" / "tiny.int8.onnx"], models.verdicts, (mutations.protobuf,) * 2, 100
    ),
)
