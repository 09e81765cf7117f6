"""Ten thousand hostile files, and none with another ending than a clear error: ``pytest benchmarks/test_hostile.py``.

Each input has a number that draws it, so a failure names what it takes to see it again.
"""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.bundles import make_image_bundle, make_tensor_bundle
from tests.hostile import mutations
from tests.hostile.readers import READERS, Reader, Unclear, Yard, ending, make_yard

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = 10_000
SLOWEST = 20.0
"""Seconds after which reading one file of a few kilobytes counts as a hang."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """Sound files of every kind."""
    root = tmp_path_factory.mktemp("yard")
    return make_yard(
        make_image_bundle(root / "built-images", build=True),
        make_tensor_bundle(root / "built-tensors", build=True),
        root,
    )


def test_there_are_ten_thousand() -> None:
    """Counted over all readers."""
    assert sum(reader.inputs for reader in READERS) >= INPUTS


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_no_input_ends_otherwise(reader: Reader, yard: Yard, tmp_path: Path) -> None:
    """Read or refused; the counts are printed with ``-s``."""
    seeds = reader.seeds(yard)
    endings: Counter[str] = Counter()
    unclear: list[str] = []
    slowest = 0.0
    for number in range(reader.inputs):
        random = Random(f"{reader.name}/{number}")
        seed = random.choice(seeds)
        path = tmp_path / seed.name
        path.write_bytes(mutations.hostile(seed.read_bytes(), random, reader.mutations))
        begin = time.perf_counter()
        try:
            endings[ending(reader, yard, path)] += 1
        except Unclear as error:
            unclear.append(f"input {number}: {error}")
        slowest = max(slowest, time.perf_counter() - begin)
    print(f"\n{reader.name}: {endings['refused']} refused, {endings['read']} read, slowest {slowest:.2f} s")
    assert not unclear, "\n".join(unclear[:10])
    assert slowest < SLOWEST
