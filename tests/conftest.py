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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what speaks of an extension that is not there; see ``tools/without_extension.py``."""
    there = {each.name for each in active().loaded}

    def lacks(item: pytest.Item) -> bool:
        return any(name not in there for mark in item.iter_markers("needs_extension") for name in mark.args)

    lacking = [item for item in items if lacks(item)]
    if lacking:
        config.hook.pytest_deselected(items=lacking)
        items[:] = [item for item in items if item not in lacking]


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
