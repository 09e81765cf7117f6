"""The tiny bundle as cells of a matrix: judged once a session, and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.extensions.matrix.matrices import Cells, make_cells


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
