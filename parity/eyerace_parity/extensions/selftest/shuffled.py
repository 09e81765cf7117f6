"""A pytest plugin of a few lines: items in an order drawn by lot, for the conditions."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

SEED: Final = "EYERACE_PARITY_SELFTEST_SEED"
"""Environment variable that holds the seed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle what was collected."""
    random.Random(os.environ.get(SEED, "0")).shuffle(items)  # noqa: S311 - an order, no secret
