"""A release of which one class became three points worse, in whole runs: the class is named, the mean hides it."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.session.conftest import Project

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("orange", "yellow", "pearl", "bull", "split")
EACH = 240
HARMED = 13
"""Of the pearls: what three points of its F1 come to."""

CONTRACT = """
schema = 1
name = "eyes"
classes = ["orange", "yellow", "pearl", "bull", "split"]

[[interface.inputs]]
name = "features"
shape = ["batch", 6]

[[interface.outputs]]
name = "scores"
shape = ["batch", 5]

[golden]
kind = "tensors"
files = ["golden.npz"]
labels = "label"

[variants.int8]
kind = "onnx"
path = "int8.onnx"
[variants.int8.limits.release]
f1_drop = 0.02
f1_drop_per_class = 0.008
"""


@pytest.fixture
def eyes(pytester: pytest.Pytester) -> Project:
    """1,200 samples of five classes, of which the model errs on every twelfth; its sixth feature it does not read."""
    pytester.makeini("[pytest]\n")
    bundle = pytester.path / "golden"
    bundle.mkdir()
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    decided = np.where(np.arange(len(labels)) % 12 == 0, (labels + 1) % len(CLASSES), labels)
    pearls = np.flatnonzero((labels == CLASSES.index("pearl")) & (decided == labels))[:HARMED]
    features = np.zeros((len(labels), 6), np.float32)
    features[:, :5] = 4 * np.eye(len(CLASSES), dtype=np.float32)[decided]
    features[pearls, 5] = 1.0
    np.savez(bundle / "golden.npz", features=features, label=labels)
    (bundle / "contract.toml").write_text(dedent(CONTRACT), encoding="utf-8")
    write_model(bundle / "int8.onnx", harm=0.0)
    return Project(pytester)


def write_model(path: Path, harm: float) -> None:
    """Write a model whose scores are its first five features, less the sixth times ``harm`` for pearl."""
    weights = np.eye(6, 5, dtype=np.float32)
    weights[5, CLASSES.index("pearl")] = -harm
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        "eyes",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_the_damaged_class_is_named_and_the_mean_hides_it(eyes: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted whole, then damaged: overall F1 is held, F1 by class is broken and says which, and the run is red."""
    monkeypatch.delenv("CI", raising=False)
    eyes.run("--eyerace-parity-accept=1.0")
    baseline = "--eyerace-parity-baseline=1.0"
    assert eyes.run(baseline).ret == 0, "nothing has changed"
    write_model(eyes.bundle / "int8.onnx", harm=8.0)
    result = eyes.run(baseline)
    assert result.ret == 1
    rows = {row.clause: row for row in eyes.record().verdicts}
    mean, worst = rows["release_f1_drop"], rows["release_f1_drop_per_class"]
    assert mean.status.value == "held"
    assert worst.status.value == "broken"
    assert isinstance(worst.value, float)
    assert worst.value == pytest.approx(0.03, abs=0.002)
    result.stdout.fnmatch_lines(["*release_f1_drop_per_class*broken*the F1 of pearl drops by 0.03*"])
