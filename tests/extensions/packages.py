"""Packages of others that bring an extension: their modules, and the metadata that an installer writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def make_package(folder: Path, name: str, files: Mapping[str, str], points: Mapping[str, str]) -> Path:
    """Write a package as ``pip install --target FOLDER`` leaves it behind.

    Args:
        folder: What goes on ``PYTHONPATH``.
        name: Name of the distribution.
        files: Text of each module, by its place in the folder.
        points: Entry points of the group of extensions.
    """
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.parent != folder:
            (path.parent / "__init__.py").touch()
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = "".join(f"{point} = {module}\n" for point, module in points.items())
    (metadata / "entry_points.txt").write_text(f"[eyerace_parity.extensions]\n{lines}", encoding="utf-8")
    return folder


def declaring(name: str, *, api: int = 1, more: str = "") -> str:
    """A module with a declaration and what follows it."""
    return (
        "from eyerace_parity.extending import Extension, hookimpl\n"
        f"EXTENSION = Extension({name!r}, api={api}, needs=())\n{more}\n"
    )


def write_colours(folder: Path, contract: str) -> Path:
    """A bundle whose model hands its input on as scores. Returns the contract's file."""
    folder.mkdir(parents=True, exist_ok=True)
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["scores"])],
        "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "colours.onnx")
    random = np.random.default_rng(1)
    names = ("red", "green", "blue")
    lines = ["r,g,b,label"]
    for number in range(60):
        pixel = np.full(3, 0.1) + random.uniform(0, 0.1, 3)
        pixel[number % 3] += 0.5
        lines.append(",".join(f"{value:.4f}" for value in pixel) + f",{names[number % 3]}")
    (folder / "colours.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "contract.toml"
    path.write_text(contract, encoding="utf-8")
    return path


def run_gate(
    root: Path, packages: Path | None, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own, in a process that finds the packages."""
    own = {**os.environ, "EYERACE_PARITY_CACHE": str(root / "cache"), "COLUMNS": "200", **environment}
    if packages is not None:
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
    return subprocess.run(command, cwd=root, env=own, capture_output=True, text=True, check=False, timeout=240)


def record_of(root: Path) -> dict[str, object]:
    """The record of the last run, as JSON."""
    found: dict[str, object] = json.loads((root / "build/parity/record.json").read_text(encoding="utf-8"))
    return found
