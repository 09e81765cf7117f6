"""Queries one ONNX Runtime. Runs in its environment: only numpy, onnxruntime and the standard library are available.

``facts`` prints what the runtime has registered: every operator schema, and every kernel of the CPU provider. ``load``
reads names of model files from standard input and tries to create a session from each. It prints one line of JSON a
file, immediately: if a model kills the process, its line is missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

PROVIDER = "CPUExecutionProvider"


def facts() -> dict[str, object]:
    """Schemas by operator and version, and kernels with their versions and element types."""
    schemas: dict[str, dict[int, dict[str, object]]] = {}
    for schema in native.get_all_operator_schema():
        name = f"{schema.domain or 'ai.onnx'}::{schema.name}"
        sides = {"in": schema.inputs, "out": schema.outputs}
        schemas.setdefault(name, {})[schema.since_version] = {
            side: [
                {
                    "type": port.typeStr,
                    "name": port.name,
                    "variadic": "Variadic" in str(port.option),
                    "alike": port.isHomogeneous,
                    "allowed": sorted(port.types),
                }
                for port in ports
            ]
            for side, ports in sides.items()
        }
    kernels = [
        {
            "operator": f"{kernel.domain or 'ai.onnx'}::{kernel.op_name}",
            "versions": list(kernel.version_range),
            "types": {name: sorted(types) for name, types in kernel.type_constraints.items()},
        }
        for kernel in native.get_all_opkernel_def()
        if kernel.provider == PROVIDER
    ]
    return {"version": onnxruntime.__version__, "schemas": schemas, "kernels": kernels}


def load() -> None:
    """Create a session from the bytes of each named file, as an app does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        try:
            onnxruntime.InferenceSession(path.read_bytes(), options, providers=[PROVIDER])
            refusal = ""
        except Exception as error:  # noqa: BLE001 - any exception of the runtime is a refusal
            refusal = " ".join(str(error).split()) or type(error).__name__
        print(json.dumps([path.name, refusal[:400]]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["facts"]:
        json.dump(facts(), sys.stdout)
    else:
        load()
