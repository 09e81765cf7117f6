"""Sound files of every kind, made once a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.yard import make_yard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hostile.yard import Yard


@pytest.fixture(scope="session")
def yard(_built_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The yard; nobody writes into it."""
    made = make_yard(_built_bundles["images"], _built_bundles["tensors"], tmp_path_factory.mktemp("yard"))
    yield made
    made.isolated.close()
