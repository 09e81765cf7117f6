"""Evidence describes the bytes that were used: what changes while it is measured is never kept, and no verdict."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.core.files import file_marks
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import PreparationTrials
from eyerace_parity.evidence.flips import KnownFlips
from eyerace_parity.golden.images import ImageGolden
from eyerace_parity.measure import recorded
from eyerace_parity.measure.kinds import execution, known_flips, outputs, preparation_trials
from eyerace_parity.measure.seals import Seal
from tests.laboratories import bench, change, laboratory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def replaced(path: Path, content: bytes) -> None:
    """Put other bytes in a file's place, as an export does."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def meanwhile(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, happening: Callable[[], None]) -> None:
    """Let something happen once, at the moment at which a function is first called."""
    original, waiting = getattr(module, name), [happening]

    def called(*given: Any, **named: Any) -> Any:
        if waiting:
            waiting.pop()()
        return original(*given, **named)

    monkeypatch.setattr(module, name, called)


# ---- a seal ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "file"
    path.write_bytes(b"first")
    return path


def sealed(path: Path, *, rehash: bool = False) -> Seal:
    """A seal of one file."""
    return Seal(lambda: [path], lambda: file_digest(path), rehash=rehash)


def test_a_seal_holds_while_nothing_is_written(file: Path) -> None:
    """However often it is asked."""
    seal = sealed(file)
    for _ in range(2):
        seal.require()
        seal.prove()


@pytest.mark.parametrize("put_back", [False, True])
def test_other_bytes_break_a_seal(file: Path, put_back: bool) -> None:  # noqa: FBT001
    """Also when the first bytes are back: they were not what was measured."""
    seal = sealed(file)
    first = file.read_bytes()
    replaced(file, b"other")
    if put_back:
        replaced(file, first)
    with pytest.raises(InputChanged, match="file changed while it was measured") as told:
        seal.prove()
    assert "run again" in told.value.next_step
    assert told.value.transient


def test_bytes_are_hashed_again_whatever_the_marks_say(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a measurement unchanged size, times and inode stand for nothing."""
    monkeypatch.setattr("eyerace_parity.measure.seals.file_marks", lambda _: (5, 0, 0, 0))
    seal = sealed(file)
    file.write_bytes(b"other")
    seal.require()  # they stand for the digest before one
    with pytest.raises(InputChanged):
        seal.prove()


def test_rehash_trusts_no_marks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--eyerace-parity-rehash``: neither before a measurement."""
    monkeypatch.setattr("eyerace_parity.measure.seals.file_marks", lambda _: (5, 0, 0, 0))
    seal = sealed(file, rehash=True)
    file.write_bytes(b"other")
    with pytest.raises(InputChanged):
        seal.require()


def test_a_touched_file_is_the_same_before_it_is_measured(file: Path) -> None:
    """New times alone are no other file; afterwards they are taken for what they may hide."""
    seal = sealed(file)
    os.utime(file, (1, 1))
    seal.require()
    seal.prove()
    os.utime(file, (2, 2))
    with pytest.raises(InputChanged):
        seal.prove()


def test_a_file_that_goes_breaks_its_seal(file: Path) -> None:
    """It cannot even be hashed."""

    def digest() -> str:
        if not file.exists():
            raise MeasurementError("it is gone")
        return "there"

    seal = Seal(lambda: [file], digest)
    file.unlink()
    for asked in (seal.require, seal.prove):
        with pytest.raises(InputChanged):
            asked()


def test_evidence_that_is_not_kept_needs_no_second_hash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size, times and inode tell a change of a file that is old enough; ``rehash`` hashes all the same."""
    hashed: list[Path] = []

    def digest() -> str:
        hashed.append(file)
        return file_digest(file)

    def hashes_again(*, rehash: bool = False) -> bool:
        seal = Seal(lambda: [file], digest, rehash=rehash)
        before = len(hashed)
        seal.prove(quick=True)
        return len(hashed) > before

    assert hashes_again()  # written a moment ago: another write may have left the same times
    later = time.time_ns() + 3_600 * 10**9
    monkeypatch.setattr("eyerace_parity.measure.seals.time.time_ns", lambda: later)
    assert not hashes_again()
    assert hashes_again(rehash=True)
    seal = Seal(lambda: [file], digest)
    file.write_bytes(b"other content")
    with pytest.raises(InputChanged):
        seal.prove(quick=True)


def test_a_second_write_within_a_tick_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other bytes of the same size, with the same times: only hashing tells."""
    marks = file_marks(file)
    monkeypatch.setattr("eyerace_parity.measure.seals.file_marks", lambda _: marks)
    seal = Seal(lambda: [file], lambda: file_digest(file))
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(InputChanged):
        seal.prove(quick=True)


# ---- each kind of input ----------------------------------------------------------------------------------------------


def race(monkeypatch: pytest.MonkeyPatch, bundle: Path, need: Need[Outputs], path: Path, other: bytes) -> None:
    """Replace a file while answers are taken, leave it, put it back: nothing is ever believed of the wrong bytes."""
    truth = laboratory(bundle, store=bundle.parent / "truth").obtain(need)
    first = path.read_bytes()
    with monkeypatch.context() as patch:
        # When a runner is opened digests are taken, and nothing is loaded yet.
        meanwhile(patch, outputs, "open_runner", lambda: replaced(path, other))
        with pytest.raises(InputChanged, match=path.name):
            laboratory(bundle).obtain(need)
    assert not list((bundle.parent / "store" / "outputs").glob("*"))
    with contextlib.suppress(MeasurementError):
        assert not laboratory(bundle).obtain(need).provenance.cached
    replaced(path, first)
    again = laboratory(bundle).obtain(need)
    assert not again.provenance.cached
    for name, array in truth.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_an_artefact(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An int8 file that an export writes under the run."""
    other = (image_bundle / "build" / "tiny.fp32.onnx").read_bytes()
    race(monkeypatch, image_bundle, Need(Outputs, "int8"), image_bundle / "build" / "tiny.int8.onnx", other)


def test_an_artefact_that_is_put_back_before_anybody_looks(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are the first again when the measurement ends; what was loaded was not."""
    path = image_bundle / "build" / "tiny.int8.onnx"
    first = path.read_bytes()
    with monkeypatch.context() as patch:
        meanwhile(patch, outputs, "open_runner", lambda: replaced(path, (path.parent / "tiny.fp32.onnx").read_bytes()))
        meanwhile(patch, outputs, "Outputs", lambda: replaced(path, first))
        with pytest.raises(InputChanged, match=r"tiny\.int8\.onnx changed"):
            laboratory(image_bundle).obtain(Need(Outputs, "int8"))
    assert not laboratory(image_bundle).obtain(Need(Outputs, "int8")).provenance.cached


def test_external_data(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights beside the model, which the runtime reads by itself."""
    path = image_bundle / "build" / "tiny.fp32.onnx"
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    change(image_bundle, "[interface]\n", "[interface]\nsingle_file = false\n")
    weights = path.with_name("weights.bin")
    other = bytes(len(weights.read_bytes()))
    race(monkeypatch, image_bundle, Need(Outputs, "fp32"), weights, other)


def test_a_checkpoint(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trainer writes."""
    path = image_bundle / "tiny.safetensors"
    content = path.read_bytes()
    race(monkeypatch, image_bundle, Need(Outputs, "torch"), path, content[:-64] + bytes(64))


def test_factory_code(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor saves the module that makes the network."""
    path = image_bundle / "tiny_classifier.py"
    race(monkeypatch, image_bundle, Need(Outputs, "torch"), path, path.read_bytes() + b"\n# another\n")


def test_a_photograph(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashed as it is read: the one that was decoded is the one that the set's digest speaks of."""
    ours, other = sorted((image_bundle / "images").iterdir())[:2]
    race(monkeypatch, image_bundle, Need(Outputs, "fp32"), ours, other.read_bytes() + bytes(1))


def test_a_photograph_whose_preparation_is_timed(image_bundle: Path) -> None:
    """It is hashed when its time has been taken."""
    golden = bench(image_bundle).golden()
    assert isinstance(golden, ImageGolden)
    ours, other = sorted((image_bundle / "images").iterdir())[:2]
    replaced(ours, other.read_bytes())
    golden.unchecked(0, None)
    with pytest.raises(InputChanged, match=ours.name):
        golden.check(0)


def test_recorded_tensors(tensor_bundle: Path) -> None:
    """An ``.npz`` is hashed as it is loaded, and its labels and headers are of the bytes that were hashed."""
    golden = bench(tensor_bundle).golden()
    path = min((tensor_bundle / "golden").glob("*.npz"))
    with np.load(path) as arrays:
        np.savez(path, **{name: array[::-1] for name, array in arrays.items()})
    with pytest.raises(InputChanged, match=path.name):
        golden.feeds(0, None)


def test_recorded_outputs_are_part_of_the_key(image_bundle: Path) -> None:
    """Of evidence that compares with them, and of the answers that they stand in for."""
    place = recorded.write(bench(image_bundle).contract, laboratory(image_bundle).obtain(Need(Outputs, "torch")))
    need, keys = Need(PreparationTrials, "fp32", versus="torch"), set()
    for _ in range(2):
        lab = laboratory(image_bundle, use_recorded=True)
        answers = Need(Outputs, "torch")
        lab.obtain(answers)
        keys |= {lab.key(need), lab.key(answers)}
        whole = laboratory(image_bundle).obtain(Need(Outputs, "torch"))
        recorded.write(
            bench(image_bundle).contract,
            Outputs(whole.provenance, {name: array + 1 for name, array in whole.arrays.items()}, whole.expected),
        )
    assert len(keys) == 4
    assert place.is_file()


def test_recorded_outputs(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are recorded again while something is compared with them."""
    place = recorded.write(bench(image_bundle).contract, laboratory(image_bundle).obtain(Need(Outputs, "torch")))
    meanwhile(monkeypatch, preparation_trials, "_chosen", lambda: replaced(place, place.read_bytes() + b"\n"))
    with pytest.raises(InputChanged, match="torch"):
        laboratory(image_bundle, use_recorded=True).obtain(Need(PreparationTrials, "fp32", versus="torch"))


def test_accepted_flips(image_bundle: Path) -> None:
    """The file is read once more to be judged by: it must be the one that is named."""
    place = bench(image_bundle)
    source = known_flips.provenance(place, Need(KnownFlips))
    place.contract.path(place.contract.flips.accepted).write_text("# another\n", encoding="utf-8")
    with pytest.raises(InputChanged):
        known_flips.measure(place, Need(KnownFlips), source)


def test_no_verdict_is_given_on_a_file_that_has_gone(image_bundle: Path) -> None:
    """Evidence of this run and of the cache is true of the file that was; whoever asks now asks about another."""
    needs = [Need(kind, "int8") for kind in (Files, Outputs)]
    for need in needs:
        laboratory(image_bundle).obtain(need)
    lab = laboratory(image_bundle)
    lab.obtain(needs[0])
    replaced(image_bundle / "build" / "tiny.int8.onnx", (image_bundle / "build" / "tiny.fp32.onnx").read_bytes())
    for need in needs:
        with pytest.raises(InputChanged, match=r"tiny\.int8\.onnx"):
            lab.obtain(need)


def test_what_fails_because_a_file_changed_says_so(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file does not load; that is not the fault of either."""
    path = image_bundle / "build" / "tiny.int8.onnx"
    meanwhile(monkeypatch, outputs, "open_runner", lambda: replaced(path, path.read_bytes()[:100]))
    with pytest.raises(InputChanged, match=r"tiny\.int8\.onnx changed"):
        laboratory(image_bundle).obtain(Need(Outputs, "int8"))


def test_an_execution_on_a_target(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane keeps by itself, and asks the same."""
    from eyerace_parity.evidence.answers import Execution

    path = image_bundle / "build" / "tiny.int8.onnx"
    meanwhile(monkeypatch, execution, "prepare", lambda: replaced(path, (path.parent / "tiny.fp32.onnx").read_bytes()))
    with pytest.raises(InputChanged, match=r"tiny\.int8\.onnx"):
        laboratory(image_bundle).obtain(Need(Execution, "int8"))
    assert not list((image_bundle.parent / "store" / "execution").glob("*"))
