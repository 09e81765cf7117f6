"""The planted leak is one: a soak test sees memory grow with every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from eyerace_parity.extensions.selftest.faults.cost import LEAK, leak
from tests.laboratories import bench
from tests.measure.kinds.test_soak import ask, grown, measured

if TYPE_CHECKING:
    from pathlib import Path


def test_each_run_of_a_leaking_file_keeps_some(image_bundle: Path) -> None:
    """128 KiB more in each run, which the runtime does not give back: each part of them holds more than the last."""
    path = image_bundle / "build/tiny.fp32.onnx"
    model = onnx.load(path)
    leak(model)
    path.write_bytes(model.SerializeToString())
    ask(image_bundle, 100)
    found = measured(bench(image_bundle))
    assert grown(found) > 100 * LEAK * 0.9
    assert list(found.resident_bytes) == sorted(set(found.resident_bytes))
