"""What a starting contract says, and the random samples that let it run on its first day."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

SMOKE_SAMPLES = 16
SMOKE_FILE = "golden/smoke.npz"


@dataclass(frozen=True, slots=True)
class ReadPort:
    """An input or output as the file declares it; a text in ``shape`` names a dynamic axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class ReadModel:
    """What an ONNX file says of itself."""

    path: Path
    inputs: tuple[ReadPort, ...]
    outputs: tuple[ReadPort, ...]
    opset: int
    ir_version: int
    domains: tuple[str, ...]
    single_file: bool


def read_model(path: Path) -> ReadModel:
    """Read an ONNX file without its weights.

    Raises:
        ContractError: It is no ONNX model, or a port is not a tensor of a known rank.
    """
    import onnx  # noqa: PLC0415 - half a second, and only this command needs it
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise ContractError(f"{display_path(path)} is not an ONNX model: {error}") from None
    if not model.graph.output:
        raise ContractError(f"{display_path(path)} is not an ONNX model: it has no outputs")
    weights = {tensor.name for tensor in model.graph.initializer}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return ReadModel(
        path=path,
        inputs=tuple(_port(value) for value in model.graph.input if value.name not in weights),
        outputs=tuple(_port(value) for value in model.graph.output),
        opset=opsets.get("", opsets.get("ai.onnx", 0)),
        ir_version=model.ir_version,
        domains=tuple(sorted(opsets.keys() - {"", "ai.onnx"})),
        single_file=not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer),
    )


def _port(value: Any) -> ReadPort:
    from onnx import helper  # noqa: PLC0415

    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise ContractError(f"{value.name!r} is not a tensor of a known rank; write the contract by hand")
    tensor = value.type.tensor_type
    shape: list[int | str] = []
    for axis, dimension in enumerate(tensor.shape.dim):
        name = dimension.dim_param or ("batch" if axis == 0 else f"axis_{axis}")
        shape.append(dimension.dim_value if dimension.HasField("dim_value") else name)
    return ReadPort(value.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, tuple(shape))


@dataclass(frozen=True, slots=True)
class StarterBundle:
    """What the user named, and the contract that follows from it."""

    root: Path
    model: ReadModel
    candidate: Path | None
    factory: str | None
    weights: Path | None
    labels: Path | None
    images: Path | None

    def contract(self) -> str:
        """The contract's text, with a comment at each number that the user must look at."""
        parts = [self._head(), self._interface(), self._golden(), self._torch(), self._fp32(), self._candidate()]
        return "\n".join(part for part in parts if part)

    def _place(self, path: Path) -> str:
        return os.path.relpath(path.absolute(), self.root.absolute()).replace(os.sep, "/")

    def _classes(self) -> list[str]:
        if self.labels is None:
            return []
        try:
            with self.labels.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ContractError(f"{display_path(self.labels)} is no table of labels: {error}") from None
        if not rows or "label" not in rows[0] or "file" not in rows[0]:
            raise ContractError(f"{display_path(self.labels)}: columns 'file' and 'label' are needed")
        return list(dict.fromkeys(row["label"] for row in rows))

    def _head(self) -> str:
        name = "".join(c if c.isalnum() or c in "._-" else "-" for c in self.model.path.stem) or "model"
        classes = self._classes()
        lines = [
            "# What must hold before this model ships. Judge it:  pytest --eyerace-parity",
            "# Everything that can be demanded:  eyerace-parity clauses",
            "schema = 1",
            f"name = {json.dumps(name)}",
        ]
        if classes:
            lines += [
                "# CHECK: in the order of the model's scores. This is the order in which the labels appear.",
                f"classes = {json.dumps(classes, ensure_ascii=False)}",
            ]
        return "\n".join([*lines, ""])

    def _interface(self) -> str:
        model = self.model
        domains = {"domains": model.domains} if model.domains else {}
        limits = {"opset": model.opset, "max_ir_version": model.ir_version, "single_file": model.single_file}
        sides = (("inputs", model.inputs), ("outputs", model.outputs))
        ports = [_table(f"[interface.{side}]", **asdict(port)) for side, found in sides for port in found]
        return "\n".join([_table("interface", **limits, **domains), *ports])

    def _golden(self) -> str:
        if self.labels is None:
            return (
                "# Random samples, made by `eyerace-parity init`: they show agreement, nothing of quality.\n"
                f'[golden]\nkind = "tensors"\nfiles = ["{SMOKE_FILE}"]\n'
            )
        images = self.images or self.labels.parent
        places = {"labels": self._place(self.labels), "images": self._place(images)}
        lines = [_table("golden", kind="images", **places, preprocess="app")]
        lines += ["# CHECK: exactly as the app prepares a photograph.", "[preprocess.app]"]
        shape = self.model.inputs[0].shape
        match shape:
            case (_, 1 | 3 as channels, int(height), int(width)):
                layout = "CHW"
            case (_, int(height), int(width), 1 | 3 as channels):
                layout = "HWC"
            case _:
                raise ContractError(f"{self.model.inputs[0].name!r} {list(shape)} is no image: leave --labels out")
        lines += [f"resize = {{ width = {width}, height = {height} }}", f'layout = "{layout}"']
        if channels == 1:
            lines += ['color = "L"']
        else:
            lines += ["mean = [0.485, 0.456, 0.406]", "std = [0.229, 0.224, 0.225]"]
        return "\n".join([*lines, ""])

    def _torch(self) -> str:
        if self.factory is None or self.weights is None:
            return ""
        return _table("variants.torch", kind="torch", factory=self.factory, path=self._place(self.weights))

    def _fp32(self) -> str:
        budget = max(1, round(self.model.path.stat().st_size * 1.1 / 1000))
        reference = {} if self.factory is None else {"reference": "torch"}
        tables = [_table("variants.fp32", kind="onnx", path=self._place(self.model.path), **reference)]
        if self.factory is not None:
            tables.append("[variants.fp32.limits.closeness]\nmax_abs = 1e-3\n")
        tables.append(f'[variants.fp32.limits.size]\nfile_size = "{budget} kB"  # today\'s size and a tenth\n')
        return "\n".join(tables)

    def _candidate(self) -> str:
        if self.candidate is None:
            return ""
        limits = "[variants.int8.limits."
        tables = [
            _table("variants.int8", kind="onnx", path=self._place(self.candidate), reference="fp32"),
            f"{limits}closeness]\nsqnr_db = 15.0  # CHECK: what the app can bear\n",
            *([] if self.labels is None else [f"{limits}quality]\nf1_drop = 0.02  # CHECK: what the app can bear\n"]),
            f'{limits}size]\nsize_ratio = {{ versus = "fp32", at_most = 0.5 }}\n',
        ]
        return "\n".join(tables)


def _table(heading: str, /, **values: Any) -> str:
    """A table of TOML; JSON spells texts, numbers, truth values and lists alike."""
    return "\n".join([f"[{heading}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


def write_smoke_set(bundle: StarterBundle) -> Path:
    """Write seeded random samples that fit the model's inputs; dynamic axes other than the first get eight elements."""
    import numpy as np  # noqa: PLC0415

    from eyerace_parity.evidence.npz import pack  # noqa: PLC0415

    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for port in bundle.model.inputs:
        if not port.shape:
            raise ContractError(f"{port.name!r} is a scalar: a golden set of samples cannot feed it")
        shape = (SMOKE_SAMPLES, *(8 if isinstance(axis, str) else axis for axis in port.shape[1:]))
        kind = np.dtype(port.dtype).kind
        values = random.normal(size=shape) if kind == "f" else random.integers(0, 2, shape)
        arrays[port.name] = values.astype(port.dtype)
    target = bundle.root / SMOKE_FILE
    write_atomically(target, pack({f"{name}.npy": array for name, array in arrays.items()}, compress=True))
    return target
