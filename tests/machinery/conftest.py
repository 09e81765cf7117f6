"""A tiny bundle, built once, and a run on a copy of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.bundles import make_image_bundle
from tests.machinery.runs import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.machinery.runs import Run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with its artefacts."""
    return make_image_bundle(tmp_path_factory.mktemp("machinery") / "bundle", build=True)


@pytest.fixture(scope="session")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle without them."""
    return make_image_bundle(tmp_path_factory.mktemp("machinery") / "unbuilt")


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Run:
    """A run on the built bundle."""
    if sys.platform != "linux":
        pytest.skip("processes are looked for in /proc")
    return run_of(built, tmp_path)
