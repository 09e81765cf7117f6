"""What a starting contract says, and the random samples that let it run on its first day."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
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
        return json.dumps(os.path.relpath(path.absolute(), self.root.absolute()).replace(os.sep, "/"))

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
        lines = [
            "[interface]",
            f"opset = {model.opset}",
            f"max_ir_version = {model.ir_version}",
            f"single_file = {str(model.single_file).lower()}",
        ]
        if model.domains:
            lines.append(f"domains = {json.dumps(model.domains)}")
        for kind, ports in (("inputs", model.inputs), ("outputs", model.outputs)):
            for port in ports:
                lines += [
                    "",
                    f"[[interface.{kind}]]",
                    f"name = {json.dumps(port.name)}",
                    f"dtype = {json.dumps(port.dtype)}",
                    f"shape = {json.dumps(port.shape)}",
                ]
        return "\n".join([*lines, ""])

    def _golden(self) -> str:
        if self.labels is None:
            return (
                "# Random samples, made by `eyerace-parity init`: they show agreement, nothing of quality.\n"
                f'[golden]\nkind = "tensors"\nfiles = ["{SMOKE_FILE}"]\n'
            )
        images = self.images or self.labels.parent
        lines = [
            "[golden]",
            'kind = "images"',
            f"labels = {self._place(self.labels)}",
            f"images = {self._place(images)}",
        ]
        lines += ['preprocess = "app"', "", "# CHECK: exactly as the app prepares a photograph.", "[preprocess.app]"]
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
        return (
            "[variants.torch]\n"
            'kind = "torch"\n'
            f"factory = {json.dumps(self.factory)}\n"
            f"path = {self._place(self.weights)}\n"
        )

    def _fp32(self) -> str:
        budget = max(1, round(self.model.path.stat().st_size * 1.1 / 1000))
        lines = ["[variants.fp32]", 'kind = "onnx"', f"path = {self._place(self.model.path)}"]
        if self.factory is not None:
            lines += ['reference = "torch"', "", "[variants.fp32.limits.closeness]", "max_abs = 1e-3"]
        lines += ["", "[variants.fp32.limits.size]", f'file_size = "{budget} kB"  # today\'s size and a tenth', ""]
        return "\n".join(lines)

    def _candidate(self) -> str:
        if self.candidate is None:
            return ""
        lines = ["[variants.int8]", 'kind = "onnx"', f"path = {self._place(self.candidate)}", 'reference = "fp32"']
        lines += ["", "[variants.int8.limits.closeness]", "sqnr_db = 15.0  # CHECK: what the app can bear"]
        if self.labels is not None:
            lines += ["", "[variants.int8.limits.quality]", "f1_drop = 0.02  # CHECK: what the app can bear"]
        lines += ["", "[variants.int8.limits.size]", 'size_ratio = { versus = "fp32", at_most = 0.5 }', ""]
        return "\n".join(lines)


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
