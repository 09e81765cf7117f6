"""Times beside another runtime: two real guests in turns, and a clear word where there is no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import PeerTiming
from eyerace_parity.measure.kinds import peer_timing
from tests.laboratories import laboratory

NEED = Need(PeerTiming, "int8")


def test_both_runtimes_are_timed_in_turns(image_bundle: Path) -> None:
    """As many runs of each, with the version that each one told."""
    found = laboratory(image_bundle, peer_python=Path(sys.executable)).obtain(NEED)
    assert found.runtime == found.peer_runtime
    assert found.provenance.runtime == f"onnxruntime {found.runtime}"
    assert len(found.runs.cpu_ms) == len(found.peer_runs.cpu_ms) == peer_timing.RUNS
    assert min(found.runs.wall_ms) > 0
    if sys.platform == "linux":
        assert found.peak_bytes is not None
        assert found.peer_peak_bytes is not None
        assert min(found.peak_bytes, found.peer_peak_bytes) > 0


def test_times_are_never_kept(image_bundle: Path) -> None:
    """Times of yesterday say nothing about today."""
    first, second = (laboratory(image_bundle, peer_python=Path(sys.executable)).obtain(NEED) for _ in range(2))
    assert not second.provenance.cached
    assert first.runs != second.runs


def test_without_a_peer_there_is_no_ratio(image_bundle: Path) -> None:
    """It is an error that names the option, not a silent pass."""
    with pytest.raises(MeasurementError) as refused:
        laboratory(image_bundle).obtain(NEED)
    assert "--eyerace-parity-peer" in refused.value.next_step


def test_a_peer_may_be_the_folder_of_an_environment(tmp_path: Path) -> None:
    """Wherever that keeps its Python; the link itself is taken, for its place makes the environment."""
    inside = tmp_path / "env" / "bin"
    inside.mkdir(parents=True)
    (inside / "python").symlink_to(sys.executable)
    assert peer_timing.python_of(tmp_path / "env") == inside / "python"
    with pytest.raises(MeasurementError, match="no Python at nowhere"):
        peer_timing.python_of(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for a broken Python is a shell script")
def test_a_peer_that_is_no_python_is_an_error(image_bundle: Path, tmp_path: Path) -> None:
    """What does not speak the protocol is told as such."""
    stranger = tmp_path / "python"
    stranger.write_text("#!/bin/sh\necho hello\n", encoding="utf-8")
    stranger.chmod(0o755)
    with pytest.raises(MeasurementError, match="the peer that timed int8"):
        laboratory(image_bundle, peer_python=stranger).obtain(NEED)
