"""Feeds fourteen thousand mutated files to the readers: ``pytest benchmarks/test_hostile.py``.

Each file must be read or end in a clear error.

The number of an input is its random seed, so a failure names what reproduces it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.bundles import make_image_bundle, make_tensor_bundle
from tests.hostile import mutations
from tests.hostile.readers import READERS
from tests.hostile.yard import Reader, Unclear, Yard, ending, make_yard

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
INPUTS = 10_000
SLOWEST = 20.0
"""Seconds after which reading one file of a few kilobytes counts as a hang."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Valid files of every kind."""
    root = tmp_path_factory.mktemp("yard")
    made = make_yard(
        make_image_bundle(root / "built-images", build=True),
        make_tensor_bundle(root / "built-tensors", build=True),
        root,
    )
    yield made
    made.isolated.close()


def protected_files(yard: Yard, own: Path) -> dict[Path, tuple[int, int]]:
    """Size and modification time of the files that no input may change: all that it could name, except its own folder.

    These are the valid files and the project, with all subfolders; and the entries of this run's parent folders, the
    home folder and ``/etc``.
    """
    temporary = Path(tempfile.gettempdir())
    above = [*(folder for folder in own.parents if temporary in folder.parents), Path.home(), Path("/etc")]
    found = [path for folder in above if folder.is_dir() for path in folder.iterdir() if path != own]
    found += [path for path in yard.root.rglob("*") if yard.store not in path.parents]
    found += [path for path in ROOT.rglob("*") if not {".git", "__pycache__", "build"} & {*path.parts}]
    files = {}
    for path in found:
        with contextlib.suppress(OSError):
            if path.is_file():
                state = path.stat()
                files[path] = (state.st_size, state.st_mtime_ns)
    return files


def test_there_are_ten_thousand() -> None:
    """All readers together get at least ten thousand inputs."""
    assert sum(reader.inputs for reader in READERS) >= INPUTS


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_no_input_ends_otherwise(reader: Reader, yard: Yard, tmp_path: Path) -> None:
    """Each input is read or refused; ``-s`` prints the counts."""
    seeds = reader.seeds(yard)
    endings: Counter[str] = Counter()
    unclear: list[str] = []
    slowest = 0.0
    before = protected_files(yard, tmp_path)
    for number in range(reader.inputs):
        # One generator an input: the failing input can be repeated without the others.
        random = Random(f"{reader.name}/{number}")
        seed = random.choice(seeds)
        path = tmp_path / seed.name
        path.write_bytes(mutations.hostile(seed.read_bytes(), random, reader.mutations))
        start = time.perf_counter()
        try:
            endings[ending(reader, yard, path)] += 1
        except Unclear as error:
            unclear.append(f"input {number}: {error}")
        slowest = max(slowest, time.perf_counter() - start)
    print(f"\n{reader.name}: {endings['refused']} refused, {endings['read']} read, slowest {slowest:.2f} s")
    assert not unclear, "\n".join(unclear[:10])
    assert slowest < SLOWEST
    after = protected_files(yard, tmp_path)
    assert [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)] == []
