"""The lane: one guest a target, all that is expected done together, and each death kept to its own verdicts."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.core.errors import MeasurementError, WorkerDied
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Execution, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.isolation.runtime_worker import RuntimeWorker
from eyerace_parity.measure.sample_selection import margins
from tests.equipment import NEW, OLD, X86, Local, alive, misbehaving, on_two_targets
from tests.laboratories import change, laboratory
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.measure.laboratory import Laboratory

IMAGES = 6


@pytest.fixture
def bundle(image_bundle: Path) -> Path:
    """The labelled bundle, executed on two targets."""
    return on_two_targets(image_bundle, images=IMAGES)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of all guests that were started."""
    names: list[str] = []
    original = RuntimeWorker.start

    def start(self: RuntimeWorker) -> Any:
        names.append(self.name)
        return original(self)

    monkeypatch.setattr(RuntimeWorker, "start", start)
    return names


def on(target: str, variant: str = "int8") -> Need[Execution]:
    """The need for an execution."""
    return Need(Execution, variant, target)


def expecting(bundle: Path, *needs: Need[Any], equipment: Local | None = None, **more: Any) -> Laboratory:
    """A laboratory that has been told what will be asked for."""
    found = laboratory(bundle, equipment=equipment or Local(), jobs=2, **more)
    found.expect(needs)
    return found


def test_a_target_answers_as_the_host_does(bundle: Path) -> None:
    """The same worker under another name: bit for bit, on the samples that were chosen."""
    lab = expecting(bundle)
    there, here = lab.obtain(on(OLD)), lab.obtain(on(HOST))
    assert there.samples == here.samples
    assert len(there.samples) == IMAGES
    np.testing.assert_array_equal(there.arrays["scores"], here.arrays["scores"])
    whole = lab.obtain(Need(Outputs, "int8")).arrays["scores"]
    np.testing.assert_array_equal(there.arrays["scores"], whole[list(there.samples)])
    margin = margins(whole)
    assert margin is not None
    assert there.near == tuple(sorted(int(i) for i in np.argsort(margin, kind="stable")[: IMAGES // 2]))


def test_the_first_need_brings_all_that_is_expected(bundle: Path, started: list[str]) -> None:
    """One guest a target for two variants, and nothing is started for the other needs afterwards."""
    needs = [on(target, variant) for target in (OLD, X86, HOST) for variant in ("fp32", "int8")]
    lab = expecting(bundle, *needs, Need(Outputs, "fp32"))
    lab.obtain(needs[0])
    before = Counter(started)
    for need in needs:
        assert lab.obtain(need).failure == ""
    assert Counter(started) == before
    targets = {f"the guest on {OLD}": 1, f"the guest on {X86}": 1, "the worker on the host": 1}
    assert {name: count for name, count in before.items() if name in targets} == targets


def test_what_is_not_expected_is_not_executed(bundle: Path, started: list[str]) -> None:
    """A run of one target's clauses starts one guest."""
    expecting(bundle, on(OLD)).obtain(on(OLD))
    assert f"the guest on {X86}" not in started


def test_an_unchanged_rerun_starts_no_guest(bundle: Path, started: list[str]) -> None:
    """Executions are kept by content, those that failed too."""
    write_linear(bundle / "build" / "tiny.int8.onnx", bias=float("nan"))
    expecting(bundle, on(OLD)).obtain(on(OLD))
    started.clear()
    kept = expecting(bundle, on(OLD)).obtain(on(OLD))
    assert kept.provenance.cached
    assert started == []


def test_another_choice_or_target_is_another_execution(bundle: Path) -> None:
    """What is kept says of which samples it speaks, and what executed it."""
    lab = expecting(bundle)
    keys = {lab.key(on(OLD)), lab.key(on(X86)), lab.key(on(HOST)), lab.key(on(OLD, "fp32"))}
    assert len(keys) == 4
    keys.add(expecting(bundle, all_samples=True).key(on(OLD)))
    other = Local(commands={OLD: (sys.executable, "elsewhere.py")})
    keys.add(expecting(bundle, equipment=other).key(on(OLD)))
    change(bundle, f"images = {IMAGES}", "images = 7")
    keys.add(expecting(bundle).key(on(OLD)))
    assert len(keys) == 7


def test_all_samples_are_run_where_that_is_asked_for(bundle: Path) -> None:
    """Before a release nothing is chosen."""
    assert len(expecting(bundle, all_samples=True).obtain(on(OLD)).samples) == 24


def test_a_model_that_does_not_load_is_a_finding(bundle: Path) -> None:
    """Its guest lives on and executes the next variant."""
    torn = bundle / "build" / "tiny.fp32.onnx"
    torn.write_bytes(torn.read_bytes()[:200])
    lab = expecting(bundle, on(OLD, "fp32"), on(OLD))
    refused = lab.obtain(on(OLD, "fp32"))
    assert refused.failure.startswith("the runtime refuses the file: ")
    assert refused.signal is None
    assert lab.obtain(on(OLD)).failure == ""
    # The host cannot run it either, so nothing is known of margins: the samples are drawn alone.
    assert (refused.near, len(refused.drawn)) == ((), IMAGES)


def test_a_missing_file_is_no_finding(bundle: Path) -> None:
    """Nothing can be said of a file that is not there."""
    (bundle / "build" / "tiny.int8.onnx").unlink()
    with pytest.raises(MeasurementError, match="does not exist"):
        expecting(bundle, on(OLD)).obtain(on(OLD))


def test_a_death_costs_its_own_file_on_its_own_target(bundle: Path, tmp_path: Path) -> None:
    """The next variant gets a new guest, other targets never hear of it, and the death is told with signal and step."""
    command = misbehaving(
        tmp_path,
        "dying",
        """
        if runs == 2: os.kill(os.getpid(), signal.SIGILL)
        return right(session, feeds)
        """,
    )
    needs = [on(target, variant) for target in (OLD, X86) for variant in ("fp32", "int8")]
    change(bundle, f"images = {IMAGES}", "images = 2")  # two runs a variant: the second variant dies of the third
    lab = expecting(bundle, *needs, equipment=Local(commands={OLD: command}))
    found = {(need.target, need.variant): lab.obtain(need) for need in needs}
    dead = [place for place, execution in found.items() if execution.failure]
    assert len(dead) == 1
    assert dead[0][0] == OLD
    assert found[dead[0]].signal == signal.SIGILL
    assert "SIGILL (an instruction " in found[dead[0]].failure
    assert f"running {dead[0][1]}" in found[dead[0]].failure
    assert found[dead[0]].arrays == {}


def test_a_guest_that_is_killed_from_outside_says_nothing_of_the_file(bundle: Path, tmp_path: Path) -> None:
    """A system out of memory, or somebody's kill: an error, and it is tried again the next time."""
    kill = misbehaving(tmp_path, "killed", "os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(WorkerDied, match="SIGKILL"):
        expecting(bundle, on(OLD), equipment=Local(commands={OLD: kill})).obtain(on(OLD))


def test_a_hang_is_ended_at_the_contracts_timeout(bundle: Path, tmp_path: Path) -> None:
    """An error with the step, and no process is left behind."""
    change(bundle, "[targets]\n", "[targets]\nseconds = 1.0\n")
    pids = tmp_path / "pids"
    hang = misbehaving(tmp_path, "hanging", f"open({str(pids)!r}, 'a').write(str(os.getpid())); time.sleep(600)")
    with pytest.raises(WorkerDied, match=r"no answer within 1 s while running int8"):
        expecting(bundle, on(OLD), equipment=Local(commands={OLD: hang})).obtain(on(OLD))
    assert not alive(int(pids.read_text(encoding="utf-8")))


def test_foreign_frames_are_an_error_for_all_of_the_target(bundle: Path, started: list[str]) -> None:
    """A command that starts something else is tried once, not once a variant."""
    foreign = (sys.executable, "-c", "print('hello there, this is no worker at all')")
    needs = [on(OLD, "fp32"), on(OLD), on(X86)]
    lab = expecting(bundle, *needs, equipment=Local(commands={OLD: foreign}))
    for need in needs[:2]:
        with pytest.raises(MeasurementError, match="does not speak the worker's protocol"):
            lab.obtain(need)
    assert lab.obtain(on(X86)).failure == ""
    assert started.count(f"the guest on {OLD}") == 1


def test_a_runtime_that_dies_of_its_import_is_a_finding(bundle: Path) -> None:
    """An instruction that the processor lacks would kill the app, too, whatever the file."""
    dies = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    lab = expecting(bundle, on(OLD), equipment=Local(commands={OLD: dies}))
    assert lab.obtain(on(OLD)).failure.startswith("onnxruntime itself cannot be imported there: ")


def test_another_runtime_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Two versions of the runtime are not two processors."""
    other = tmp_path / "other.py"
    other.write_text(
        "import onnxruntime\nonnxruntime.__version__ = '1.0.0'\n"
        "from eyerace_parity.isolation import worker\nworker.main()\n",
        encoding="utf-8",
    )
    equipment = Local(commands={OLD: (sys.executable, str(other))})
    with pytest.raises(MeasurementError, match=r"runs onnxruntime 1\.0\.0, this run has"):
        expecting(bundle, on(OLD), equipment=equipment).obtain(on(OLD))


def test_a_target_that_is_not_there_costs_no_other(bundle: Path) -> None:
    """What cannot be ordered says so itself; the rest is executed without it."""
    equipment = Local(lacking=(OLD,))
    lab = expecting(bundle, on(OLD), on(X86), equipment=equipment)
    assert lab.obtain(on(X86)).failure == ""
    with pytest.raises(MeasurementError, match="is not installed") as caught:
        lab.obtain(on(OLD))
    assert "arm64 install" in caught.value.next_step


def test_without_equipment_only_the_host_executes(bundle: Path) -> None:
    """A laboratory of a command has none."""
    lab = laboratory(bundle)
    assert lab.obtain(on(HOST)).failure == ""
    with pytest.raises(MeasurementError, match="nothing here can measure on"):
        lab.obtain(on(OLD))


def test_an_answer_that_is_none_of_the_interfaces_is_a_finding(bundle: Path, tmp_path: Path) -> None:
    """Outputs of another name, on the target alone."""
    renaming = misbehaving(tmp_path, "renaming", "return {'logits': right(session, feeds)['scores']}")
    lab = expecting(bundle, on(OLD), equipment=Local(commands={OLD: renaming}))
    assert "it lacks scores and adds logits" in lab.obtain(on(OLD)).failure


def test_a_run_that_the_runtime_refuses_is_a_finding(bundle: Path, tmp_path: Path) -> None:
    """It loads, but an operator fails: the guest lives, so the file is at fault."""
    failing = misbehaving(tmp_path, "failing", "raise worker.Refused('Non-zero status code returned by Conv')")
    lab = expecting(bundle, on(OLD), equipment=Local(commands={OLD: failing}))
    assert lab.obtain(on(OLD)).failure.startswith("the runtime loads the file but fails to run it: Non-zero")


def test_two_runs_share_the_work(bundle: Path, started: list[str]) -> None:
    """Two laboratories over one store, as xdist's workers have: every target is executed once, by one of them."""
    needs = [on(target) for target in (OLD, NEW, X86, HOST)]
    labs = [expecting(bundle, *needs) for _ in range(2)]
    found: list[list[Execution]] = [[], []]

    def work(number: int) -> None:
        for need in needs:
            found[number].append(labs[number].obtain(need))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in found] == [4, 4]
    assert all(count == 1 for name, count in Counter(started).items() if "on " in name)


def test_progress_counts_every_inference(bundle: Path) -> None:
    """One bar over all targets and variants, whose steps add up whatever dies on the way."""

    class Bars:
        def __init__(self) -> None:
            self.told: list[tuple[str, int | None, int]] = []

        def task(self, label: str, total: int | None) -> Any:
            bars = self

            class Task:
                done = 0

                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    bars.told.append((label, total, self.done))

                def advance(self, n: int = 1) -> None:
                    self.done += n

            return Task()

    bars = Bars()
    lab = expecting(bundle, on(OLD), on(X86), on(X86, "fp32"))
    lab.context.progress = bars
    lab.obtain(on(OLD))
    label, total, done = bars.told[-1]
    assert OLD in label
    assert X86 in label
    assert total == done == 3 * IMAGES
