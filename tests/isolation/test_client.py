"""A process that serves operations of the package: what crosses its border, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ArtefactError, MeasurementError, WorkerDied
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.isolation import worker
from eyerace_parity.isolation.client import PackageWorker
from eyerace_parity.measure import isolated_operations, isolated_worker
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from tests.isolation.test_runtime_worker import gone
from tests.laboratories import bench, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are told the POSIX way")


@pytest.fixture
def package() -> Iterator[PackageWorker]:
    """A worker that serves :func:`tests.isolation.operations.various`."""
    one = PackageWorker("tests.isolation.operations:various", 30.0)
    one.greet()
    yield one
    one.dismiss()


@pytest.fixture
def isolated() -> Iterator[IsolatedWorker]:
    """An isolated worker that is ended after the test."""
    one = IsolatedWorker()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("artefact", ArtefactError, "torn"),
        ("measurement", MeasurementError, "slow"),
        ("memory", MemoryError, None),
        ("system", OSError, "No space left"),
        ("ours", RuntimeError, "ZeroDivisionError: by us"),
    ],
)
def test_what_is_raised_there_is_raised_here(
    package: PackageWorker, error: str, kind: type[Exception], said: str | None
) -> None:
    """With its kind, its words and what it says of the file; the worker lives on, and no sample stays noted."""
    with pytest.raises(kind, match=said) as caught:
        package.ask("fail", {"error": error}, step="failing")
    assert type(caught.value) is kind
    assert getattr(caught.value, "transient", None) == {"artefact": False, "measurement": True}.get(error)
    assert package.samples_in_flight() == ()
    assert package.ask("hello", step="greeting")[0]["protocol"] == worker.PROTOCOL


def test_samples_in_flight_outlive_the_process(package: PackageWorker) -> None:
    """They are read from a file, for the process can say nothing any more."""
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        package.ask("die", {"samples": [5], "signal": signal.SIGSEGV}, step="dying")
    assert package.samples_in_flight() == (4,)


def test_progress_begins_the_wait_anew() -> None:
    """Two seconds of work within a second of patience; without anybody who hears of it, that is a hang."""
    for hear, lives in ((lambda _: None, True), (None, False)):
        one = PackageWorker("tests.isolation.operations:various", 1.0)
        try:
            one.greet()
            if lives:
                one.ask("work", {"steps": 8, "seconds": 0.25}, step="working", hear=hear)
            else:
                with pytest.raises(WorkerDied, match="no answer within 1 s"):
                    one.ask("work", {"steps": 8, "seconds": 0.25}, step="working", hear=hear)
        finally:
            one.dismiss()


# ---- workers that it starts end with it ------------------------------------------------------------------------------


def _hanging_child(package: PackageWorker, note: Path, ending: Any) -> int:
    """Let a worker wait for a child that hangs, do something to it, and return the child's process."""
    import threading

    def end() -> None:
        while not (note.exists() and note.read_text()):
            time.sleep(0.02)
        ending()

    threading.Thread(target=end, daemon=True).start()
    with pytest.raises(WorkerDied):
        package.ask("start", {"note": str(note), "seconds": 60}, step="waiting for a child")
    return int(note.read_text())


def test_a_child_that_hangs_ends_with_a_worker_that_is_killed(package: PackageWorker, tmp_path: Path) -> None:
    """It does not see its pipe close, and it has no group of its own in which it could stay behind."""
    assert package._process is not None
    process = package._process.pid
    child = _hanging_child(package, tmp_path / "note", lambda: os.kill(process, signal.SIGKILL))
    assert gone(process)
    assert gone(child)


def test_a_child_that_hangs_ends_with_a_worker_that_is_given_up(package: PackageWorker, tmp_path: Path) -> None:
    """As when the run is interrupted."""
    assert gone(_hanging_child(package, tmp_path / "note", package.close))


def test_a_child_that_hangs_ends_with_a_host_that_is_killed(tmp_path: Path) -> None:
    """Nobody is left to end it but the worker itself."""
    note = tmp_path / "note"
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from eyerace_parity.isolation.client import PackageWorker\n"
        "one = PackageWorker('tests.isolation.operations:various', 60.0)\n"
        "one.greet()\n"
        f"one.ask('start', {{'note': {str(note)!r}, 'seconds': 60}}, step='waiting')\n"
    )
    host = subprocess.Popen((sys.executable, "-c", code))
    try:
        until = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert host.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        host.kill()
        host.wait()
    assert gone(int(note.read_text()))


def test_a_child_that_is_ended_takes_nobody_along(package: PackageWorker, tmp_path: Path) -> None:
    """The worker shares its group with it, and answers."""
    note = tmp_path / "note"
    with pytest.raises(WorkerDied, match="the child gave no answer within 1 s"):
        package.ask("start", {"note": str(note), "seconds": 1}, step="waiting for a child")
    assert gone(int(note.read_text()))
    assert package.ask("hello", step="greeting")[0]["ok"]


# ---- the contract crosses once ---------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Headers of all requests."""
    headers: list[dict[str, Any]] = []
    write = worker.write_frame

    def noting(stream: Any, header: Any, arrays: Any) -> None:
        headers.append(dict(header))
        write(stream, header, arrays)

    monkeypatch.setattr(worker, "write_frame", noting)
    return headers


def test_a_contract_crosses_once(image_bundle: Path, isolated: IsolatedWorker, sent: list[dict[str, Any]]) -> None:
    """However many samples are prepared, and whatever is measured and made: requests name it by its digest."""
    context = bench(image_bundle)
    lab = laboratory(image_bundle, isolated=isolated)
    profile = lab.contract.preprocess_of("fp32")
    for index in range(5):
        assert isolated.feeds(lab.context, index, profile)
    lab.obtain(Need(Outputs, "fp32"))
    isolated.make(lab.contract, "fp32", SilentProgress())
    opened = [header for header in sent if header["op"] == "open"]
    assert len(opened) == 1
    others = [header for header in sent if header["op"] in {"measure", "feeds", "make"}]
    assert {header["contract"] for header in others} == {opened[0]["digest"]}
    assert len(others) >= 7
    assert max(len(repr(header)) for header in others) < len(repr(opened[0]))
    # Another process has to be sent it, too; a contract that says the same is the same.
    isolated.close()
    isolated.feeds(context, 0, profile)
    isolated.feeds(bench(image_bundle, jobs=2), 0, profile)
    assert len([header for header in sent if header["op"] == "open"]) == 2
    assert len({header["digest"] for header in sent if header["op"] == "open"}) == 1


def test_a_contract_that_was_let_go_crosses_again(
    image_bundle: Path, isolated: IsolatedWorker, sent: list[dict[str, Any]]
) -> None:
    """A worker holds a few; none that it has let go is asked for."""
    contracts = [
        open_contract(image_bundle / "contract.toml").model_copy(update={"name": f"c{number}"})
        for number in range(isolated_operations.CONTRACTS + 1)
    ]
    contexts = [bench(image_bundle) for _ in contracts]
    for context, contract in zip(contexts, contracts, strict=True):
        context.contract = contract
    profile = contracts[0].preprocess_of("fp32")
    for context in (*contexts, contexts[0]):
        assert isolated.feeds(context, 0, profile)
    assert len([header for header in sent if header["op"] == "open"]) == len(contracts) + 1


# ---- a graph ---------------------------------------------------------------------------------------------------------


def test_a_graph_is_read_in_the_isolated_worker(image_bundle: Path, isolated: IsolatedWorker, monkeypatch: Any) -> None:
    """With the same facts as in this process, which parses nothing."""
    here = laboratory(image_bundle, store=image_bundle.parent / "here").obtain(Need(Graph, "int8"))
    monkeypatch.setattr("onnx.load_model_from_string", lambda *_: pytest.fail("parsed in this process"))
    there = laboratory(image_bundle, isolated=isolated).obtain(Need(Graph, "int8"))
    assert there == here
    assert not there.failure


@pytest.mark.parametrize(("how", "fact"), [("crashing", True), ("killed", False), ("hanging", False)])
def test_only_a_death_of_its_own_is_kept_of_a_graph(
    image_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    fact: bool,  # noqa: FBT001
) -> None:
    """A file that kills its reader is told so; a reader that the system ended, or that hung, is no word about it."""
    need = Need(Graph, "fp32")
    isolated = IsolatedWorker(silence_seconds=30 if how != "hanging" else 4)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(isolated_worker, "OPERATIONS", f"tests.isolation.operations:{how}")
            lab = laboratory(image_bundle, isolated=isolated)
            if fact:
                assert "died of SIGSEGV" in lab.obtain(need).failure
            else:
                with pytest.raises(WorkerDied, match="SIGKILL" if how == "killed" else "no answer within") as caught:
                    lab.obtain(need)
                assert caught.value.transient
                assert ("with more memory" in caught.value.next_step) is (how == "killed")
        isolated.close()
        assert bool(laboratory(image_bundle, isolated=isolated).obtain(need).failure) is fact
    finally:
        isolated.close()
