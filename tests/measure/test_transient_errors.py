"""What is true of one run only is never cached: a timeout, a lack of memory or disk, a killed process."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.core.errors import InputChanged, MeasurementError, WorkerDied, is_transient
from eyerace_parity.evidence.answers import Repeats
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.evidence.costs import Preflight
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure.cache import EvidenceCache, get, put
from eyerace_parity.measure.kinds import footprint, repeats
from tests.equipment import misbehaving
from tests.laboratories import laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_timeout_is_not_kept(image_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One slow minute: red in that run, and measured afresh in the next."""
    need = Need(Preflight, "fp32")
    hanging = misbehaving(tmp_path, "hanging", "time.sleep(60)")
    with monkeypatch.context() as patch:
        patch.setattr(footprint, "local_command", lambda: hanging)
        patch.setattr(footprint, "RuntimeWorker", _impatient)
        with pytest.raises(WorkerDied, match="no answer within"):
            laboratory(image_bundle).obtain(need)
    assert not laboratory(image_bundle).obtain(need).failure


def _impatient(*given: Any, **named: Any) -> RuntimeWorker:
    return RuntimeWorker(*given, answer_seconds=1.0, **named)


@pytest.mark.parametrize(
    "answer",
    [
        "raise worker.Refused('Failed to allocate memory for requested buffer of size 64')",
        "raise MemoryError()",
        "raise OSError(28, 'No space left on device')",
        "os._exit(3)",
        "os.kill(os.getpid(), signal.SIGXCPU)",
    ],
    ids=["allocation", "memory", "disk", "left", "limit"],
)
def test_what_a_worker_is_short_of_is_not_kept(
    image_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """An allocation that is refused, a disk that is full, a process that is ended: the next run measures afresh."""
    need = Need(Preflight, "fp32")
    short = misbehaving(tmp_path, "short", answer)
    with monkeypatch.context() as patch:
        patch.setattr(footprint, "local_command", lambda: short)
        with pytest.raises(MeasurementError) as told:
            laboratory(image_bundle).obtain(need)
        assert told.value.transient
    assert not laboratory(image_bundle).obtain(need).failure


def test_a_batch_that_found_no_memory_is_not_kept(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``batch_invariant`` would be red ever after."""
    need = Need(Repeats, "fp32")
    answer = repeats._answer

    def short(bench: Any, variant: str, runner: Any, samples: Any) -> Any:
        if len(samples) > 1:
            raise MeasurementError("fp32: Failed to allocate memory for requested buffer of size 8")
        return answer(bench, variant, runner, samples)

    with monkeypatch.context() as patch:
        patch.setattr(repeats, "_answer", short)
        with pytest.raises(MeasurementError, match="allocate"):
            laboratory(image_bundle).obtain(need)
    assert not laboratory(image_bundle).obtain(need).batch_refused


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (MemoryError(), True),
        (OSError(28, "No space left on device"), True),
        (OSError(2, "No such file or directory"), False),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("a graph without nodes"), False),
        (WorkerDied("it hung"), True),
        (WorkerDied("it was killed", signal=9), True),
        (WorkerDied("it crashed", signal=11), False),
        (WorkerDied("it gave up: terminate called after std::bad_alloc", signal=6), True),
        (InputChanged("it changed"), True),
        (MeasurementError("the opset is too new"), False),
    ],
    ids=str,
)
def test_an_error_says_whether_it_speaks_of_the_file(error: Exception, transient: bool) -> None:  # noqa: FBT001
    """By its class, its number or, where a library has no class for it, its words."""
    assert is_transient(error) is transient


@pytest.fixture
def limited() -> Iterator[None]:
    """A limit on this process that hurts nobody."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 46, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("limited")
def test_no_failure_is_kept_under_a_limit(tmp_path: Path) -> None:
    """Native code that finds no memory words it in any way; what succeeded is right all the same."""
    store, source = EvidenceCache(tmp_path), Provenance(variant="fp32")
    put(store, "failed", Preflight(provenance=source, failure="the file is torn"))
    put(store, "lived", Preflight(provenance=source))
    assert get(store, Preflight, "failed") is None
    assert get(store, Preflight, "lived") is not None


def test_a_failure_of_the_file_is_kept(image_bundle: Path) -> None:
    """What a file is it will be tomorrow."""
    shutil.copy(image_bundle / "tiny.safetensors", image_bundle / "build" / "tiny.fp32.onnx")
    assert laboratory(image_bundle).obtain(Need(Preflight, "fp32")).failure
    again = laboratory(image_bundle).obtain(Need(Preflight, "fp32"))
    assert again.failure
    assert again.provenance.cached
