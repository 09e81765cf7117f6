"""The yard: sound files of every kind, what may become of a hostile one, and how a way into the gate is described."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnxruntime
import torch
from PIL import Image

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ParityError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.codec import encode
from eyerace_parity.evidence.source import TrackedSource
from eyerace_parity.extending.loading import active
from eyerace_parity.isolation import worker
from eyerace_parity.judging import judge
from eyerace_parity.measure import recorded
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.files import write_record
from eyerace_parity.release import files as releases
from eyerace_parity.release.save import acceptance, make
from eyerace_parity.runners.torch import load_module
from tests.laboratories import laboratory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile import mutations


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
        isolated: Who measures, as in the gate.
    """

    root: Path
    images: Path
    tensors: Path
    store: Path
    evidence: dict[str, Any]
    isolated: IsolatedWorker


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


def has_matrix() -> bool:
    """Whether the extension that reads merged records is there."""
    return any(each.name == "matrix" for each in active().loaded)


def _write_merged(built_images: Path, folder: Path) -> None:
    from eyerace_parity.extensions.matrix.files import write_merged
    from tests.extensions.matrix.matrices import make_cells

    cells = make_cells(built_images, folder)
    write_merged(folder / "merged.json", cells.merged(*cells.all()))


def make_yard(built_images: Path, built_tensors: Path, root: Path) -> Yard:
    """Judge a bundle, release the run, record what torch answered, and lay everything out."""
    images = Path(shutil.copytree(built_images, root / "bundle"))
    own = laboratory(images)
    obtained = TrackedSource(own)
    ledger = ContractFindings(own.contract, plan(own.contract))
    for planned in ledger.planned:
        ledger.enter(finding(planned, judge(planned, obtained), own))
    record = compose([ledger], root=images, started="2026-01-01T00:00:00+00:00", seconds=1.0, why_unjudged=str)
    write_record(images / "record.json", record)
    store = EvidenceCache(images.parent / "store")
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
    if has_matrix():
        _write_merged(built_images, root / "cells")
    evidence = {key: obtained.obtain(need) for key, need in zip(obtained.keys, obtained.needs, strict=True)}
    tensors = Path(shutil.copytree(built_tensors, root / "tensors"))
    guest_says(root)
    for key, piece in evidence.items():
        (root / f"{type(piece).__name__}-{key[-8:]}.entry").write_bytes(encode(piece))
    write_models(images)
    return Yard(root, images, tensors, store.folder, evidence, IsolatedWorker())


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
