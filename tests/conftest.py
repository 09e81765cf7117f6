"""What all tests share: the tiny bundles, built once a session and copied for each test that wants to break one."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np  # noqa: F401 - pytester drops modules first imported inside it; these must not load twice
import onnx  # noqa: F401
import onnxruntime  # noqa: F401
import pytest
import torch
import vl_convert  # noqa: F401
from hypothesis import HealthCheck, settings

from eyerace_parity.extending.hooks import MEASURING
from eyerace_parity.extending.loading import active
from tests.bundles import make_image_bundle, make_tensor_bundle
from tests.extensions.matrix.matrices import Cells, make_cells

pytest_plugins = ["pytester"]

# What extensions bring must not load twice either.
for hook in MEASURING:
    active().additions(hook)

# Speed is never asserted in a test: a busy machine must not turn a law red.
settings.register_profile("parity", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parity")


def pytest_configure() -> None:
    """Let Ctrl-C mean what it means: a run started in the background inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own settings and cache out of the tests."""
    for name in list(os.environ):
        if name.startswith("EYERACE_PARITY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EYERACE_PARITY_CACHE", str(tmp_path_factory.getbasetemp() / "parity-cache"))
    # One thread: the tiny models are over before a second one has started.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _built_bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both tiny bundles with their artefacts built, never handed out themselves."""
    root = tmp_path_factory.mktemp("built")
    return {
        "images": make_image_bundle(root / "images", build=True),
        "tensors": make_tensor_bundle(root / "tensors", build=True),
    }


@pytest.fixture
def image_bundle(_built_bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny labelled image bundle, artefacts built: torch, fp32 and static int8."""
    return Path(shutil.copytree(_built_bundles["images"], tmp_path / "bundle"))


@pytest.fixture
def tensor_bundle(_built_bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny unlabelled tensor bundle, artefacts built: two inputs, one int64, two outputs."""
    return Path(shutil.copytree(_built_bundles["tensors"], tmp_path / "bundle"))


@pytest.fixture(scope="session")
def _judged_cells(_built_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """The tiny bundle judged as one cell of a matrix, never handed out itself."""
    return make_cells(_built_bundles["images"], tmp_path_factory.mktemp("cells"))


@pytest.fixture
def cells(_judged_cells: Cells, tmp_path: Path) -> Cells:
    """A copy of the bundle, its record, and an empty folder for what records a test makes of it."""
    bundle = Path(shutil.copytree(_judged_cells.bundle, tmp_path / "cells"))
    (tmp_path / "records").mkdir()
    return Cells(bundle, _judged_cells.record, _judged_cells.runtime, tmp_path / "records")
