"""A small pytest plugin that shuffles the items, for :mod:`eyerace_parity.extensions.selftest.conditions`."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

SEED: Final = "EYERACE_PARITY_SELFTEST_SEED"
"""Environment variable with the seed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle the collected items."""
    random.Random(os.environ.get(SEED, "0")).shuffle(items)  # noqa: S311 - an order, not a secret
