"""Disks that are full, caches that are torn, shared or of another version, clocks that go back, memory that ends."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.result import Status
from tests.machinery.runs import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.machinery.runs import Run

TIMED = ("p50", "p90", "p95", "p99")


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of its own with little room, where one may be mounted; else the test says that it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here: only root may, outside a container")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_under_the_cache_costs_only_time(run: Run) -> None:
    """Nothing can be kept: the verdict is the same, and the run says so."""
    with small_disk(run.cache, 8):
        code, said = run.finish()
    assert code == 0, said
    assert "could not be kept for the next run" in said
    assert run.record.contracts[0].outcome == "held"


def test_a_full_disk_under_the_record_is_red(run: Run) -> None:
    """A run without a record is no green one, and there is no half of one."""
    with small_disk(run.record_file.parent, 4):
        code, said = run.finish()
        assert list(run.record_file.parent.iterdir()) == []
    assert code == 1, said
    assert "No space left" in said
    assert "Traceback" not in said


def test_files_that_may_not_grow_are_told(run: Run) -> None:
    """The same by a limit on the size of files, which needs no mount."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    code, said = run.finish(before=limit)
    assert code == 1, said
    assert "Traceback" not in said
    assert not run.record_file.exists()
    assert run.half_written() == []


def test_a_torn_cache_is_measured_again(run: Run) -> None:
    """Entries cut off, emptied, filled with noise, and of another version: none is believed."""
    assert run.finish()[0] == 0
    before = {row.identity: row.value for row in run.record.verdicts if row.clause not in TIMED}
    for number, path in enumerate(sorted(run.cache.glob("*/*.evidence"))):
        content = path.read_bytes()
        torn = (
            content[: len(content) // 2],
            b"",
            os.urandom(len(content)),
            content.replace(b'"schema": 1', b'"schema": 9'),
        )
        path.write_bytes(torn[number % len(torn)])
    code, said = run.finish()
    assert code == 0, said
    after = {row.identity: row.value for row in run.record.verdicts if row.clause not in TIMED}
    same = {name for name in before if before[name] == after[name]}
    # Memory and cold starts are measured anew in any case.
    assert {identity.check for identity in before.keys() - same} <= {"memory", "latency"}


def test_a_cache_that_is_no_folder_costs_only_time(run: Run) -> None:
    """Somebody's file lies there."""
    run.cache.write_text("not a folder", encoding="utf-8")
    code, said = run.finish()
    assert code == 0, said
    assert "could not be kept" in said


def test_two_runs_share_one_cache(run: Run, built: Path, tmp_path: Path) -> None:
    """Side by side from nothing: both are right, and what one measures the other need not."""
    other = run_of(built, tmp_path / "other")
    other.cache = run.cache
    first, second = run.start(), other.start()
    for each, process in ((run, first), (other, second)):
        said = each.said(process)
        assert process.returncode == 0, said
    numbers = [
        {str(row.identity): row.value for row in each.record.verdicts if row.check in {"quality", "closeness", "size"}}
        for each in (run, other)
    ]
    assert numbers[0] == numbers[1]
    assert run.half_written() == []


def test_a_run_that_is_killed_leaves_nothing_that_is_believed(run: Run) -> None:
    """No orphan, no lock that outlives it, and the next run is whole."""
    process = run.start()
    time.sleep(1.5)
    process.kill()
    run.said(process)
    assert run.left_behind() == []
    code, said = run.finish()
    assert code == 0, said
    assert run.record.contracts[0].outcome == "held"


def test_a_clock_that_went_back_changes_nothing(run: Run) -> None:
    """Entries and artefacts are of tomorrow: evidence is known by content, never by time."""
    assert run.finish()[0] == 0
    tomorrow = 4_000_000_000
    for path in (*run.cache.rglob("*"), *(run.folder / "golden").rglob("*")):
        os.utime(path, (tomorrow, tomorrow))
    code, said = run.finish()
    assert code == 0, said
    cached = [entry for entry in run.record.evidence.values() if entry.kind == "outputs"]
    assert cached
    assert all(entry.provenance is not None and entry.provenance.cached for entry in cached)


def test_too_little_memory_is_an_error_and_no_crash(run: Run) -> None:
    """Address space that ends while a model is loaded: a verdict, never held, and a record."""
    limits = "[limits.memory]\npeak_memory = '1 GB'\n\n[variants.torch]\n"
    contract = run.folder / "golden" / "contract.toml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("[variants.torch]\n", limits, 1), encoding="utf-8")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))

    code, said = run.finish("-k", "fp32", before=limit)
    assert code != 0, said
    assert run.left_behind() == []
    if run.record_file.is_file():
        assert all(row.status is not Status.HELD for row in run.record.verdicts if row.clause == "from_bytes")
        assert not [row.reason for row in run.record.verdicts if "itself failed" in row.reason]
