"""The commands, run as a user runs them: on real bundles, by their exit codes and what they print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli import Exit, main
from eyerace_parity.cli.registry import all_commands, owner_of


def gate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the gate itself in a folder."""
    command = [sys.executable, "-m", "pytest", "--eyerace-parity", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def here(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny image bundle, standing in its folder."""
    monkeypatch.chdir(image_bundle)
    return image_bundle


COMMANDS = [
    pytest.param(name, marks=pytest.mark.needs_extension(owner) if (owner := owner_of(name)) else ())
    for name in all_commands()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` ends with 0 and says what the command does."""
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert all_commands()[command].summary.split()[-1] in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nope"], [], ["export", "--nope"], ["judge"]], ids=" ".join)
def test_wrong_usage_ends_with_four(arguments: list[str]) -> None:
    """A wrong option is the gate's code for it, not argparse's."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == Exit.USAGE


def test_no_contract_is_told_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder there is nothing to export, and the message says what to do."""
    monkeypatch.chdir(tmp_path)
    assert main(["export"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "golden/contract.toml" in said
    assert "eyerace-parity init" in said


def test_export_builds_what_is_missing_only(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is left alone; what is missing is built, and is the same file again."""
    target = here / "build" / "tiny.int8.onnx"
    before = target.read_bytes()
    target.unlink()
    assert main(["export", "--contract", "contract.toml"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "fp32: build/tiny.fp32.onnx is there" in said
    assert target.read_bytes() == before


def test_export_builds_sources_first(here: Path) -> None:
    """Asked for in any order, the source is built before what is made from it."""
    for path in (here / "build").glob("*.onnx"):
        path.unlink()
    assert main(["export", "--contract", "contract.toml", "int8", "fp32"]) == Exit.DONE
    assert {path.name for path in (here / "build").glob("*.onnx")} == {"tiny.fp32.onnx", "tiny.int8.onnx"}


def test_export_survives_what_it_builds_from(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A factory that ends its process ends no command: the signal is told, and what was there is left alone."""
    target, module = here / "build" / "tiny.fp32.onnx", here / "tiny_classifier.py"
    before = target.read_bytes()
    body = "super().__init__(); import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    module.write_text(module.read_text(encoding="utf-8").replace("super().__init__()", body), encoding="utf-8")
    assert main(["export", "--contract", "contract.toml", "--rebuild", "fp32"]) == Exit.NOT_HELD
    said = capsys.readouterr().err
    assert "fp32 cannot be built: the process that measures died of SIGSEGV" in said
    assert "next: look at the checkpoint and the factory" in said
    assert target.read_bytes() == before


def test_export_can_be_watched_by_a_debugger(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process on request, where a breakpoint in a factory is reached."""
    monkeypatch.setattr(
        "eyerace_parity.measure.isolated_worker.IsolatedWorker.make", lambda *_: pytest.fail("made elsewhere")
    )
    assert main(["export", "--contract", "contract.toml", "--rebuild", "--in-process", "fp32"]) == Exit.DONE
    assert (here / "build" / "tiny.fp32.onnx").is_file()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("variant", "word"), [("int9", "no variant 'int9'"), ("torch", "has no recipe")])
def test_export_refuses_what_it_cannot_build(variant: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger and a variant without a recipe are told apart."""
    assert main(["export", "--contract", "contract.toml", variant]) == Exit.USAGE
    assert word in capsys.readouterr().err


def test_record_lets_a_machine_without_torch_judge(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded outputs stand in for torch, until the checkpoint is another one."""
    assert main(["record", "--contract", "contract.toml"]) == Exit.DONE
    assert "24 samples" in capsys.readouterr().out
    clauses = ("--eyerace-parity-recorded", "contract.toml::fp32::max_abs")
    assert gate(here, *clauses).returncode == 0
    (here / "tiny_classifier.py").write_text(
        (here / "tiny_classifier.py").read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8"
    )
    stale = gate(here, *clauses)
    assert stale.returncode == 1
    assert "eyerace-parity record" in stale.stdout


def test_record_refuses_a_contract_without_torch(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to freeze where no variant needs torch."""
    model = here / "build" / "tiny.fp32.onnx"
    assert main(["init", str(model), "-o", "alone.toml"]) == Exit.DONE
    assert main(["record", "--contract", "alone.toml"]) == Exit.USAGE
    assert "no torch variant" in capsys.readouterr().err


def test_report_and_judge_end_as_the_run_does(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A held run is shown with 0; judged by a limit that it does not hold, without an inference, it ends with 1."""
    assert gate(here, "contract.toml", "--eyerace-parity-record", "record.json").returncode == 0
    assert main(["report", "record.json"]) == Exit.DONE
    assert "HELD" in capsys.readouterr().out
    for path in (here / "images").iterdir():
        path.unlink()  # nothing can be inferred any more
    strict = ["--set", "variants.int8.limits.closeness.sqnr_db=200"]
    assert main(["judge", "record.json", "--contract", "contract.toml", *strict, "-o", "again.json"]) == Exit.NOT_HELD
    said = capsys.readouterr().out
    assert "BROKEN" in said
    assert "sqnr_db" in said
    rows = json.loads(Path("again.json").read_text(encoding="utf-8"))["verdicts"]
    assert [row["clause"] for row in rows if row["status"] == "broken"] == ["sqnr_db"]
    assert main(["report", "again.json"]) == Exit.NOT_HELD


@pytest.mark.usefixtures("here")
def test_report_refuses_a_torn_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Half a record is no record."""
    Path("torn.json").write_text('{"schema": 1, "verd', encoding="utf-8")
    assert main(["report", "torn.json"]) == Exit.USAGE
    assert "torn.json" in capsys.readouterr().err


def test_judge_never_writes_over_the_record_it_judges(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As its help says: the run that was measured stays."""
    gate(here, "contract.toml::fp32::file_size", "--eyerace-parity-record", "record.json")
    before = Path("record.json").read_bytes()
    assert main(["judge", "record.json", "--contract", "contract.toml", "-o", "images/../record.json"]) == Exit.USAGE
    assert "over the record that is judged" in capsys.readouterr().err
    assert Path("record.json").read_bytes() == before


def test_init_from_one_file_can_be_judged_at_once(here: Path, tmp_path: Path) -> None:
    """A contract from nothing but an ONNX file holds, on random samples that it brings itself."""
    folder = tmp_path / "fresh start"
    folder.mkdir()
    assert main(["init", str(here / "build" / "tiny.fp32.onnx"), "-o", str(folder / "parity.toml")]) == Exit.DONE
    contract = open_contract(folder / "parity.toml")
    assert [port.shape for port in contract.interface.inputs] == [("batch", 3, 32, 32)]
    assert contract.interface.opset == 17
    done = gate(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HELD" in done.stdout


def test_init_reads_labels_and_torch(here: Path) -> None:
    """With labelled images and a factory the contract has a golden set, a torch variant and a floor to look at."""
    arguments = ["init", "build/tiny.fp32.onnx", "--labels", "labels.csv", "--images", "images", "-o", "new.toml"]
    torch = ["--factory", "tiny_classifier:TinyClassifier", "--weights", "tiny.safetensors"]
    assert main([*arguments, *torch, "--candidate", "build/tiny.int8.onnx"]) == Exit.DONE
    contract = open_contract(here / "new.toml")
    assert set(contract.classes) == {"red", "green", "blue"}
    assert {planned.clause.name for planned in plan(contract)} >= {"max_abs", "f1_drop", "sqnr_db", "file_size"}


def test_init_of_a_model_with_integers(tensor_bundle: Path, tmp_path: Path) -> None:
    """Two inputs of which one is int64: the random samples have their types, and small integers."""
    target = tmp_path / "parity.toml"
    assert main(["init", str(tensor_bundle / "build" / "ranks.fp32.onnx"), "-o", str(target)]) == Exit.DONE
    with np.load(tmp_path / "golden" / "smoke.npz") as samples:
        assert samples["features"].dtype == np.float32
        assert samples["bird"].dtype == np.int64
        assert set(np.unique(samples["bird"])) <= {0, 1}
    assert [port.dtype for port in open_contract(target).interface.inputs] == ["float32", "int64"]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08\x12\x07pytorch"], ids=["empty", "text", "torn"])
def test_init_refuses_what_is_no_model(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no ONNX model leaves no contract behind."""
    (tmp_path / "model.onnx").write_bytes(content)
    target = tmp_path / "parity.toml"
    assert main(["init", str(tmp_path / "model.onnx"), "-o", str(target)]) == Exit.USAGE
    assert "not an ONNX model" in capsys.readouterr().err
    assert not target.exists()


def test_init_overwrites_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract that is there stays, unless told otherwise."""
    before = (here / "contract.toml").read_bytes()
    assert main(["init", "build/tiny.fp32.onnx", "-o", "contract.toml"]) == Exit.USAGE
    assert "--force" in capsys.readouterr().err
    assert (here / "contract.toml").read_bytes() == before


def test_init_names_an_unnamed_axis(tmp_path: Path) -> None:
    """A dynamic axis without a name gets one, because a contract must name it."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 4]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "relu", ports[:1], ports[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "relu.onnx")
    assert main(["init", str(tmp_path / "relu.onnx"), "-o", str(tmp_path / "parity.toml")]) == Exit.DONE
    assert open_contract(tmp_path / "parity.toml").interface.inputs[0].shape == ("batch", 4)


def test_doctor_finds_a_sound_bundle_and_a_missing_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All there: 0. The checkpoint gone: 1, with its name."""
    assert main(["doctor", "--contract", "contract.toml"]) == Exit.DONE
    assert re.search(r"24 samples, sha256:[0-9a-f]{64}\b.*freeze it", capsys.readouterr().out)
    (here / "tiny.safetensors").unlink()
    assert main(["doctor", "--contract", "contract.toml"]) == Exit.NOT_HELD
    said = capsys.readouterr().out
    assert "tiny.safetensors" in said
    assert all(line == line.rstrip() for line in said.splitlines()), "blanks at the end trouble logs"
