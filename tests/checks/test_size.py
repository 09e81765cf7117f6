"""Size: bytes on disk, bytes to download, and beside another variant."""

from __future__ import annotations

import pytest

from eyerace_parity.checks.size import SizeLimits
from eyerace_parity.core.result import Status
from tests.checks.evidence_factory import contract, files, judge

LIMITS = {"file_size": "12 MB", "download_size": "10 MB", "size_ratio": {"versus": "fp32", "at_most": 0.4}}
READ = contract({"int8": {"size": LIMITS}})


def test_sizes_are_read_with_their_units():
    """MB is 10^6, MiB is 2^20, a bare number is bytes."""
    assert SizeLimits(file_size="12 MB").file_size == 12_000_000
    assert SizeLimits(file_size="12 MiB").file_size == 12 * 2**20
    assert SizeLimits(file_size=12).file_size == 12


@pytest.mark.parametrize(
    ("clause", "size", "deflated", "status"),
    [
        ("file_size", 12_000_000, 11_000_000, Status.HELD),
        ("file_size", 12_000_001, 1, Status.BROKEN),
        ("download_size", 12_000_001, 10_000_000, Status.HELD),
        ("download_size", 1, 10_000_001, Status.BROKEN),
        ("size_ratio", 4_000_000, 1, Status.HELD),
        ("size_ratio", 4_000_001, 1, Status.BROKEN),
    ],
)
def test_exactly_the_limit_is_held(clause, size, deflated, status):
    """One byte more is broken."""
    judgement = judge(READ, "int8", clause, files("int8", size, deflated), files("fp32", 10_000_000))
    assert judgement.status is status


def test_the_numbers_are_whole_and_readable():
    """Bytes are counted, so they are whole; the sentence says megabytes."""
    judgement = judge(READ, "int8", "file_size", files("int8", 16_000_000))
    assert (judgement.value, judgement.limit, judgement.unit) == (16_000_000, 12_000_000, "bytes")
    assert isinstance(judgement.value, int)
    assert "16 MB on disk, allowed are 12 MB" in judgement.reason


def test_an_empty_file_is_never_small_enough():
    """Zero bytes are within every budget, and of no use."""
    empty, full = files("int8", 0), files("fp32", 100)
    for clause in LIMITS:
        assert judge(READ, "int8", clause, empty, full).status is Status.BROKEN
    assert judge(READ, "int8", "size_ratio", files("int8", 5), files("fp32", 0)).status is Status.ERROR
