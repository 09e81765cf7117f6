"""Measures a run of the gate with all evidence cached, relative to an empty pytest run.

    python tools/startup_ratio.py              # 9 pairs; the median ratio, compared with version 0.1
    python tools/startup_ratio.py --pairs 15 --cache build/startup-cache

One side judges the EyeRace contract again after no change, without the clauses that are measured every time (times and
memory). The other is a pytest run of one empty test that imports onnxruntime. They run interleaved, each in its own
process, and every pair gives one ratio, because load slows both. The first run fills the cache, which takes minutes and
needs the emulated targets. The ratio depends on what the environment imports in both sides (pytest plugins, the version
of onnxruntime): compare only figures of one environment.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parent))

from figures import ROOT, baseline

if TYPE_CHECKING:
    from collections.abc import Sequence

CHOICE: Final = " and ".join(
    f"not {clause}" for clause in ("p50", "p95", "latency_ratio", "first_run", "cold_start", "memory")
)
EMPTY: Final = "import onnxruntime\n\ndef test_nothing():\n    pass\n"
# pytest's cache plugin writes files between runs, so it is off.
_PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
_PASSED: Final = re.compile(r"\b(\d+) passed")


def run(arguments: Sequence[str], folder: Path) -> tuple[float, int]:
    """Run pytest in a folder.

    Returns:
        Seconds, and the number of passed tests.

    Raises:
        RuntimeError: It did not end with 0.
    """
    # Some containers set PYTHONDONTWRITEBYTECODE; then every run would compile all modules again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(
        [*_PYTEST, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    passed = _PASSED.search(done.stdout)
    if done.returncode or not passed:
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds, int(passed[1])


def measure(pairs: int, cache: Path, folder: Path) -> tuple[list[float], int]:
    """Run both sides interleaved.

    Args:
        pairs: Number of pairs.
        cache: Folder of the evidence.
        folder: An empty folder for the empty test.

    Returns:
        Ratios gate / empty in ascending order, and the number of judged clauses.
    """
    (folder / "test_empty.py").write_text(EMPTY, encoding="utf-8")
    gate = ["--eyerace-parity", "golden/contract.toml", "-k", CHOICE]
    gate += ["--eyerace-parity-cache", str(cache.resolve()), "--eyerace-parity-no-record"]
    _, clauses = run(gate, ROOT)
    ratios = []
    for number in range(pairs):
        # The order alternates, so that a slow drift of the machine cancels.
        sides = [(gate, ROOT), (["test_empty.py"], folder)]
        seconds = [run(*side)[0] for side in (sides if number % 2 else reversed(sides))]
        ours, theirs = seconds if number % 2 else reversed(seconds)
        ratios.append(ours / theirs)
    return sorted(ratios), clauses


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the ratio; ends with 1 if the clauses are not those of version 0.1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=9, help="pairs of runs (9)")
    parser.add_argument("--cache", type=Path, help="folder of evidence to keep for the next time")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        ratios, clauses = measure(options.pairs, options.cache or Path(folder) / "cache", Path(folder))
    before = baseline()["startup"]
    print(
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f}) times an empty run that imports "
        f"onnxruntime, for {clauses} clauses; {before['ratio']:.2f} for {before['clauses']} in version 0.1"
    )
    return int(clauses != before["clauses"])


if __name__ == "__main__":
    raise SystemExit(main())
