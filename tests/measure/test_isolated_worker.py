"""The isolated worker: the same evidence as without one, and whatever takes it down is told and survived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.overrides import parse_override
from eyerace_parity.contract.wire import from_wire, to_wire
from eyerace_parity.core.errors import (
    ArtefactError,
    GoldenError,
    InputChanged,
    MeasurementError,
    RecipeError,
    WorkerDied,
)
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import Execution, Outputs, Repeats
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.codec import encode
from eyerace_parity.evidence.costs import Preflight, Timing
from eyerace_parity.evidence.diagnostics import PreparationTrials, Weights
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.recipes.build import content_of
from tests.laboratories import bench, laboratory
from tests.machinery.runs import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.measure.laboratory import Laboratory


@pytest.fixture
def isolated() -> Iterator[IsolatedWorker]:
    """One that is ended after the test."""
    one = IsolatedWorker()
    yield one
    one.close()


def damage(bundle: Path, body: str) -> None:
    """Let the torch variant's module do something before it answers; ``number`` counts its answers from 1."""
    path = bundle / "tiny_classifier.py"
    text = path.read_text(encoding="utf-8").replace("super().__init__()", "super().__init__()\n        self.number = 0")
    text = text.replace("features = self", f"self.number += 1\n        {body}\n        features = self")
    path.write_text("import os, signal, time, traceback\n" + text, encoding="utf-8")


def needs(bundle: str) -> list[Need[Any]]:
    """Everything that an isolated worker measures."""
    found: list[Need[Any]] = [Need(kind, name) for kind in (Outputs, Repeats) for name in ("torch", "fp32", "int8")]
    found.append(Need(Weights, "int8", versus="fp32"))
    return [*found, Need(PreparationTrials, "fp32", versus="torch")] if bundle == "image_bundle" else found


@pytest.mark.parametrize("bundle", ["image_bundle", "tensor_bundle"])
def test_the_evidence_is_the_same(bundle: str, request: pytest.FixtureRequest, isolated: IsolatedWorker) -> None:
    """Byte for byte, whoever measured it."""
    folder: Path = request.getfixturevalue(bundle)
    here = laboratory(folder, store=folder.parent / "here")
    there = laboratory(folder, store=folder.parent / "there", isolated=isolated, jobs=2)
    for need in needs(bundle):
        assert encode(there.obtain(need)) == encode(here.obtain(need)), need


@pytest.mark.parametrize("bundle", ["image_bundle", "tensor_bundle"])
def test_a_contract_arrives_as_it_left(bundle: str, request: pytest.FixtureRequest) -> None:
    """All but its limits, of which the stopping rules cross; the artefact of a release among its variants."""
    stated = (
        "session.intra_op_threads=3",
        "session.optimisation=basic",
        "golden.max_bytes=123456",
        "statistics.seed=9",
    )
    overrides = [parse_override(text, "a test") for text in stated]
    contract = open_contract(request.getfixturevalue(bundle) / "contract.toml", overrides).as_cell()
    former = contract.variants["int8"].model_copy(update={"path": Path("releases/first.onnx").absolute()})
    contract = contract.model_copy(update={"variants": {**contract.variants, "int8@first": former}})
    found = from_wire(json.loads(json.dumps(to_wire(contract))))

    def bare(contract: Contract) -> Contract:
        variants = {name: variant.model_copy(update={"limits": {}}) for name, variant in contract.variants.items()}
        return contract.model_copy(update={"variants": variants})

    assert bare(found) == bare(contract)
    assert (found.file, found.digest, found.cell) == (contract.file, contract.digest, True)


def test_a_death_is_told_with_its_samples_and_survived(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """The signal, what was measured, which samples were under way; the next variant is measured as ever."""
    damage(image_bundle, "if self.number == 5: os.kill(os.getpid(), signal.SIGSEGV)")
    lab = laboratory(image_bundle, isolated=isolated)
    with pytest.raises(WorkerDied) as told:
        lab.obtain(Need(Outputs, "torch"))
    assert told.value.signal == signal.SIGSEGV
    assert "SIGSEGV" in told.value.reason
    assert "measuring outputs/torch/host" in told.value.reason
    names = bench(image_bundle).golden().ids
    assert any(name in told.value.reason.partition("under way: ")[2] for name in names)
    assert "take these samples out" in told.value.next_step
    assert lab.obtain(Need(Outputs, "int8")).expected == len(names)


def test_a_kill_from_outside_accuses_no_sample(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """A system that is short of memory kills what is large; what it worked on is told, and not blamed."""
    damage(image_bundle, "if self.number == 3: os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(WorkerDied, match=r"SIGKILL .*under way: ") as told:
        laboratory(image_bundle, isolated=isolated).obtain(Need(Outputs, "torch"))
    assert "more memory" in told.value.next_step


def test_a_photograph_that_kills_its_decoder_is_named(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """Native code that dies of one photograph; nothing of it happens in this process, whatever is measured."""
    names = bench(image_bundle).golden().ids
    path = image_bundle / "tiny_classifier.py"
    path.write_text(
        path.read_text(encoding="utf-8")
        + f"""
import os
import signal

from eyerace_parity.golden import images

decode = images.ImageGolden._decoded


def dying(golden, index, content, profile):
    if golden.ids[index] == {names[7]!r}:
        os.kill(os.getpid(), signal.SIGBUS)
    return decode(golden, index, content, profile)


images.ImageGolden._decoded = dying
""",
        encoding="utf-8",
    )
    lab = laboratory(image_bundle, isolated=isolated)
    with pytest.raises(WorkerDied) as told:
        lab.obtain(Need(Outputs, "torch"))
    assert told.value.signal == signal.SIGBUS
    assert told.value.reason.endswith(f"under way: {names[7]}")


def test_one_that_falls_silent_is_ended(image_bundle: Path) -> None:
    """A hang in native code costs the wait, not the run."""
    damage(image_bundle, "time.sleep(600)")
    isolated = IsolatedWorker(silence_seconds=4)
    try:
        with pytest.raises(WorkerDied, match="no answer within 4 s while measuring outputs/torch/host"):
            laboratory(image_bundle, isolated=isolated).obtain(Need(Outputs, "torch"))
    finally:
        isolated.close()


def test_progress_counts_as_a_sign_of_life(image_bundle: Path) -> None:
    """Long work that tells of its steps is not taken for a hang."""
    damage(image_bundle, "time.sleep(0.4)")
    (image_bundle / "contract.toml").write_text(
        (image_bundle / "contract.toml").read_text(encoding="utf-8").replace("[golden]\n", "[golden]\nbatch = 1\n"),
        encoding="utf-8",
    )
    isolated = IsolatedWorker()
    try:
        heard = Heard()
        lab = laboratory(image_bundle, isolated=isolated)
        isolated.make(lab.contract, "fp32", SilentProgress())  # torch is imported, however busy the machine is
        assert isolated._worker is not None
        isolated._worker._answer_seconds = 5.0
        lab.context.progress = heard
        assert lab.obtain(Need(Outputs, "torch")).expected == heard.steps  # about ten seconds of work
        assert heard.labels == ["torch: golden set"]
    finally:
        isolated.close()


class Heard:
    """A progress that counts."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.steps = 0

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Heard]:  # noqa: ARG002 - the agreed shape
        """Open a task."""
        self.labels.append(label)
        yield self

    def advance(self, n: int = 1) -> None:
        """Count steps."""
        self.steps += n


def test_errors_keep_their_kind(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """A torn photograph and a torn checkpoint are what they are without an isolated worker."""

    def raised(lab: Laboratory, variant: str) -> MeasurementError:
        with pytest.raises(MeasurementError) as told:
            lab.obtain(Need(Outputs, variant))
        return told.value

    weights = image_bundle / "tiny.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    here, there = (raised(laboratory(image_bundle, isolated=one), "torch") for one in (None, isolated))
    assert type(there) is type(here) is ArtefactError
    assert str(there) == str(here)

    weights.write_bytes(whole)
    photograph = next(path for path in sorted((image_bundle / "images").rglob("*")) if path.is_file())
    photograph.write_bytes(photograph.read_bytes()[:200])
    isolated.close()  # the one that had opened the set would say that it changed
    here, there = (raised(laboratory(image_bundle, isolated=one), "fp32") for one in (None, isolated))
    assert type(there) is type(here) is GoldenError
    assert str(there) == str(here)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("MemoryError()", "there was not enough memory to measure outputs/torch/host"),
        ("OSError(28, 'No space left on device')", "refused to let outputs/torch/host be measured: No space left on"),
    ],
)
def test_what_the_machine_refuses_is_told_as_without_one(
    image_bundle: Path, isolated: IsolatedWorker, raised: str, told: str
) -> None:
    """A machine that is full there is no fault of the model, and none of the program."""
    path = image_bundle / "tiny_classifier.py"
    lines = (
        "from eyerace_parity.measure.kinds import outputs",
        "def rows_of(*_):",
        f"    raise {raised}",
        "outputs.rows_of = rows_of",
    )
    path.write_text(path.read_text(encoding="utf-8") + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(MeasurementError, match=told) as caught:
        laboratory(image_bundle, isolated=isolated).obtain(Need(Outputs, "torch"))
    assert caught.value.next_step


def test_a_fault_of_ours_is_told_with_its_traceback(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """It must not pass for a fault of the model."""
    source = laboratory(image_bundle).obtain(Need(Outputs, "fp32")).provenance
    with pytest.raises(RuntimeError, match="AttributeError"):
        isolated.measure(bench(image_bundle), Need(Execution, "fp32"), source)  # nothing that it can measure


def test_a_golden_set_that_changes_meanwhile_is_refused(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """Numbers of two sets must not meet in one record."""
    lab = laboratory(image_bundle, isolated=isolated)
    len(lab.context.golden())
    labels = image_bundle / "labels.csv"
    lines = labels.read_text(encoding="utf-8").splitlines()
    dropped = lines.pop().split(",")[0]
    labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (image_bundle / "images" / dropped).unlink()
    with pytest.raises(InputChanged, match="has changed since the run began"):
        lab.obtain(Need(Outputs, "int8"))


def test_samples_are_prepared_and_timed_there_too(
    image_bundle: Path, isolated: IsolatedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one photograph is decoded in this process, preparation timed or not."""
    monkeypatch.setattr("eyerace_parity.golden.images.open_image", lambda *_: pytest.fail("decoded in this process"))
    lab = laboratory(image_bundle, isolated=isolated)
    assert not lab.obtain(Need(Preflight, "int8")).failure
    timing = lab.obtain(Need(Timing, "int8"))
    assert timing.preprocess is not None
    assert all(ms > 0 for ms in timing.preprocess.wall_ms)


def test_a_checkpoint_is_not_opened_here_before_it_survived_there(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """Times of a torch variant are taken in this process: only once an isolated worker has run all of it."""
    damage(image_bundle, "os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        laboratory(image_bundle, isolated=isolated).obtain(Need(Timing, "torch"))


def test_what_a_factory_prints_is_handed_on(
    image_bundle: Path, isolated: IsolatedWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a test that fails shows what it printed; control characters stay behind."""
    damage(image_bundle, "print('blots \\x1b[31mseen')")
    laboratory(image_bundle, isolated=isolated).obtain(Need(Outputs, "torch"))
    isolated.close()
    assert "blots ?[31mseen" in capsys.readouterr().err


WHILE_IT_IS_MADE = "if any(frame.name == 'content_of' for frame in traceback.extract_stack()): "
"""The module is traced, not only run."""


def test_a_file_is_the_same_whoever_made_it(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """An export and a quantisation, byte for byte, and both are heard of."""
    contract = open_contract(image_bundle / "contract.toml")
    for name in ("fp32", "int8"):
        heard = Heard()
        assert isolated.make(contract, name, heard) == content_of(contract, name, SilentProgress())
        assert heard.labels


def test_a_death_while_a_file_is_made_costs_its_clauses_and_no_run(image_bundle: Path, tmp_path: Path) -> None:
    """What cannot be built says by which signal; what is there is judged, and no half of a file is left."""
    damage(image_bundle, WHILE_IT_IS_MADE + "os.kill(os.getpid(), signal.SIGSEGV)")
    (image_bundle / "build" / "tiny.fp32.onnx").unlink()
    run = run_of(image_bundle, tmp_path)
    code, said = run.finish("-k", "torch and f1 or fp32 and max_abs or int8 and valid")
    assert code == 1, said
    verdicts = {(row.variant, row.clause): row for row in run.record.verdicts}
    lost = verdicts["fp32", "max_abs"]
    assert lost.status is Status.ERROR
    assert "fp32 cannot be built: the process that measures died of SIGSEGV" in lost.reason
    assert "while building fp32" in lost.reason
    assert verdicts["int8", "valid"].status is Status.HELD
    assert verdicts["torch", "f1"].status is Status.HELD
    assert run.half_written() == []
    assert run.left_behind() == []


def test_what_a_recipe_cannot_do_is_said_as_ever(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """The same error with the same next step, wherever the file was to be made."""
    damage(image_bundle, WHILE_IT_IS_MADE + "raise ValueError('no such thing')")
    contract = open_contract(image_bundle / "contract.toml")
    errors = []
    for make in (content_of, isolated.make):
        with pytest.raises((RecipeError, MeasurementError)) as told:
            make(contract, "fp32", SilentProgress())
        errors.append((type(told.value), told.value.reason, told.value.next_step))
    assert errors[0] == errors[1]
    assert "no such thing" in errors[0][1]


def test_ended_twice_and_used_again(image_bundle: Path, isolated: IsolatedWorker) -> None:
    """Closing does no harm, and whoever asks again gets another."""
    assert laboratory(image_bundle, isolated=isolated).obtain(Need(Repeats, "fp32")).first
    isolated.close()
    isolated.close()
    lab = laboratory(image_bundle, store=image_bundle.parent / "other", isolated=isolated)
    assert np.all(np.isfinite(lab.obtain(Need(Repeats, "fp32")).first["scores"]))


def test_it_does_not_outlive_a_gate_that_is_killed(image_bundle: Path, tmp_path: Path) -> None:
    """Busy as it may be, it leaves when nobody is there to hear its answer."""
    begun = tmp_path / "begun"
    damage(image_bundle, f"open({str(begun)!r}, 'w').close(); time.sleep(600)")
    home = tmp_path / "run"
    home.mkdir()
    run = run_of(image_bundle, home)
    process = run.start("-k", "torch")
    try:
        for _ in range(600):
            if begun.exists() or process.poll() is not None:
                break
            subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"], check=True)
        assert begun.exists()
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert run.left_behind() == []
