"""Many records in one: which of them count, what was expected of each, and what a version changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import RecordError
from eyerace_parity.extensions.matrix.files import read_merged, write_merged
from eyerace_parity.extensions.matrix.section import cell_of
from eyerace_parity.extensions.matrix.terminal import draw_matrix
from eyerace_parity.record.compose import measurement_digest
from tests.extensions.matrix.matrices import VERSIONS, Cells, cell, fail, refuse
from tests.laboratories import change

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALL = Path(__file__).parents[3] / "tools" / "install_runtime.py"
CONV = "NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node"


def expect(cells: Cells, text: str) -> None:
    """State expectations in the contract."""
    change(cells.bundle, "[limits.runtime]", f"[matrix.expect]\n{text}\n[limits.runtime]")


def test_a_whole_matrix_is_held(cells: Cells) -> None:
    """Every declared version has its row, oldest first, and the newest is the one with the highest number."""
    merged = cells.merged(*reversed(cells.all()))
    assert merged.outcome == "held"
    assert [runtime.label for runtime in merged.runtimes] == ["1.21", "1.22", "newest"]
    assert [runtime.version for runtime in merged.runtimes] == ["1.21.1", "1.22.0", "1.99.0"]
    assert merged.newest == "newest"
    assert {(found.variant, found.observed) for found in merged.cells} == {("fp32", "held"), ("int8", "held")}
    assert set(merged.artefacts) == {"fp32", "int8"}


def test_what_a_version_changes_is_told(cells: Cells) -> None:
    """Loads, closeness, bits, flips, F1 and the time beside the peer come from the records alone."""

    def other_bits(document: dict[str, Any]) -> None:
        entry = next(e for e in document["evidence"].values() if e["kind"] == "outputs" and e["variant"] == "int8")
        decisions = entry["digests"][0]["decisions"].split()
        decisions[0] = "2" if decisions[0] != "2" else "1"
        entry["digests"][0] |= {"digest": "sha256:0", "decisions": " ".join(decisions)}

    merged = cells.merged(cells.write("ort1.21", "1.21.1", other_bits), *cells.all(but="1.21"))
    changed, same = cell(merged, "1.21", "int8").changes, cell(merged, "1.22", "int8").changes
    assert changed is not None
    assert same is not None
    assert (changed.equal, changed.flips, changed.samples) == (False, 1, 24)
    assert (same.equal, same.flips, same.loads) == (True, 0, True)
    assert {number.clause for number in same.closeness} == {"sqnr_db", "top1_agreement"}
    assert same.f1 is not None
    assert same.time_ratio is not None
    assert same.time_ratio > 0
    assert same.time_versus == cells.runtime
    if sys.platform == "linux":
        # The contract limits the memory of neither: the process that took times has told it.
        assert same.memory is not None
        assert same.memory > 0


def test_what_is_not_known_is_not_made_up(cells: Cells) -> None:
    """A record without answers is compared with nothing, instead of being equal to it."""

    def forget(document: dict[str, Any]) -> None:
        for entry in document["evidence"].values():
            entry["digests"] = []

    merged = cells.merged(cells.write("ort1.21", "1.21.1", forget), *cells.all(but="1.21"))
    changes = cell(merged, "1.21", "int8").changes
    assert changes is not None
    assert (changes.equal, changes.flips) == (None, None)


def test_a_missing_record_is_red(cells: Cells) -> None:
    """What the contract declares and nobody ran is a row with its reason, and the rest goes on."""
    merged = cells.merged(*cells.all(but="1.21"))
    assert merged.outcome == "broken"
    gone = cell(merged, "1.21", "int8")
    assert (gone.observed, gone.agrees) == ("missing", False)
    assert "there is none, though the matrix declares this version" in gone.reason
    assert "tox run -e ort1.21" in gone.next
    assert cell(merged, "1.22", "int8").agrees


def test_no_record_at_all_is_red(cells: Cells) -> None:
    """A matrix that nobody ran is held by none."""
    assert cells.merged().outcome == "broken"


@pytest.mark.parametrize("content", ["", '{"format": "eyerace-parity record", "schema": 1, "ver', "[]"])
def test_a_torn_record_is_red_for_its_cell_alone(cells: Cells, content: str) -> None:
    """Its file's name says which cell it was to be."""
    files = cells.all()
    files[1].write_text(content, encoding="utf-8")
    merged = cells.merged(*files)
    assert merged.outcome == "broken"
    assert "ort1.22.json" in cell(merged, "1.22", "fp32").reason
    assert [found.runtime for found in merged.cells if not found.agrees] == ["1.22", "1.22"]


def test_a_version_that_cannot_be_installed_says_so_in_its_cell(cells: Cells, tmp_path: Path) -> None:
    """What pip said stands where the record would have been; the other versions are merged all the same."""
    place = cells.folder / "ort1.22.json"
    nowhere = ["--no-index", "--find-links", str(tmp_path), "onnxruntime==1.99.*"]
    done = subprocess.run([sys.executable, INSTALL, place, *nowhere], capture_output=True, text=True, check=False)
    assert done.returncode
    merged = cells.merged(*cells.all(but="1.22"), place)
    found = cell(merged, "1.22", "int8")
    assert "could not be made for Python" in found.reason
    assert "onnxruntime==1.99.*" in found.reason
    assert "has a wheel for" in found.next
    assert (found.observed, merged.outcome) == ("missing", "broken")
    assert [cell.runtime for cell in merged.cells if not cell.agrees] == ["1.22", "1.22"]


def test_a_version_that_can_be_installed_leaves_no_word(tmp_path: Path) -> None:
    """And what stood there stands."""
    place = tmp_path / "ort1.22.json"
    done = subprocess.run([sys.executable, INSTALL, place, "--no-index", "--dry-run", "pip"], check=False)
    assert (done.returncode, place.exists()) == (0, False)


def test_what_is_no_record_is_a_row_under_its_own_name(cells: Cells) -> None:
    """A file that is none of the matrix is told by name, and one that is not there has no record."""
    (cells.folder / "notes.json").write_text("{}", encoding="utf-8")
    merged = cells.merged(*cells.all(), cells.folder / "notes.json", cells.folder / "nowhere.json")
    assert [runtime.label for runtime in merged.runtimes if runtime.fault] == ["notes.json", "nowhere.json"]
    assert [bool(runtime.record) for runtime in merged.runtimes if runtime.fault] == [True, False]
    assert "leave it out" in cell(merged, "notes.json", "int8").next
    assert merged.outcome == "broken"


def _named(name: str) -> Callable[[dict[str, Any]], None]:
    def rename(document: dict[str, Any]) -> None:
        document["contracts"][0]["name"] = name
        for row in document["verdicts"]:
            row["contract"] = name

    return rename


def _entry(key: str, value: str) -> Callable[[dict[str, Any]], None]:
    def set_it(document: dict[str, Any]) -> None:
        document["contracts"][0][key] = value

    return set_it


def _source(key: str, value: str) -> Callable[[dict[str, Any]], None]:
    def set_it(document: dict[str, Any]) -> None:
        for entry in document["evidence"].values():
            if entry["provenance"] is not None and entry["variant"] == "int8":
                entry["provenance"][key] = value

    return set_it


def _interrupted(document: dict[str, Any]) -> None:
    document["interrupted"] = "interrupted"


@pytest.mark.parametrize(
    ("foreign", "words"),
    [
        (_named("other"), "it is of the contract other, not of tiny-colours"),
        (_entry("substance", "sha256:0"), "its paths, interface, preprocessing, session or targets differ"),
        (_entry("digest", "sha256:0"), "another state of the contract"),
        (_source("golden", "sha256:0"), "another golden set"),
        (_source("artefact", "sha256:0"), "its artefact int8 is another file"),
        (_interrupted, "its run ended early"),
    ],
)
def test_a_foreign_record_is_refused_by_what_differs(
    cells: Cells, foreign: Callable[[dict[str, Any]], None], words: str
) -> None:
    """It leaves a red cell that says in what it differs; the other records are merged all the same."""
    merged = cells.merged(cells.write("ort1.22", "1.22.0", foreign), *cells.all(but="1.22"))
    assert merged.outcome == "broken"
    assert words in cell(merged, "1.22", "int8").reason
    assert cell(merged, "1.21", "int8").agrees


def test_without_files_the_first_record_speaks_for_the_artefacts(cells: Cells) -> None:
    """On a machine that has no artefacts, two records of different ones are still told apart."""
    for file in (cells.bundle / "build").glob("*.onnx"):
        file.unlink()
    merged = cells.merged(*cells.all(but="1.22"), cells.write("ort1.22", "1.22.0", _source("artefact", "sha256:0")))
    assert "another file" in cell(merged, "1.22", "int8").reason
    assert cell(merged, "newest", "int8").agrees


def test_an_older_runtime_under_another_name_does_not_count(cells: Cells) -> None:
    """A record is what its evidence says, whatever its file is called."""
    merged = cells.merged(cells.write("ort1.22", "1.21.1"), cells.write("ortnewest", "1.99.0"))
    assert cell(merged, "1.21", "int8").agrees
    assert cell(merged, "1.22", "int8").observed == "missing"


def test_a_failure_that_is_expected_agrees(cells: Cells) -> None:
    """With its reason, and only with it; the reason is kept for the reader."""
    expect(cells, '"1.21" = { int8 = { fails = "ConvInteger" } }')
    merged = cells.merged(
        cells.write("ort1.21", "1.21.1", fail("int8", CONV, "from_bytes", "f1")), *cells.all(but="1.21")
    )
    found = cell(merged, "1.21", "int8")
    assert (found.observed, found.expected, found.agrees) == ("broken", "fails", True)
    assert "ConvInteger" in found.reason
    assert merged.outcome == "held"


def test_an_unexpected_success_is_red(cells: Cells) -> None:
    """What was expected to fail and is held makes the whole as red as what broke."""
    expect(cells, '"1.21" = { int8 = { fails = "ConvInteger" } }')
    merged = cells.merged(*cells.all())
    assert merged.outcome == "broken"
    assert "held, though the contract expects it to fail with 'ConvInteger'" in cell(merged, "1.21", "int8").reason


@pytest.mark.parametrize(
    ("words", "broken", "told"),
    [
        (
            '"ConvInteger"',
            ("another opset", "from_bytes"),
            "it fails for another reason than 'ConvInteger': from_bytes",
        ),
        ('["ConvInteger", "f1"]', (CONV, "from_bytes"), "nothing of it tells 'f1'"),
    ],
)
def test_a_failure_for_another_reason_is_red(cells: Cells, words: str, broken: tuple[str, str], told: str) -> None:
    """Any failure must not pass for the expected one."""
    expect(cells, f'"1.21" = {{ int8 = {{ fails = {words} }} }}')
    merged = cells.merged(cells.write("ort1.21", "1.21.1", fail("int8", *broken)), *cells.all(but="1.21"))
    assert merged.outcome == "broken"
    assert told in cell(merged, "1.21", "int8").reason


@pytest.mark.parametrize(("oldest", "whole"), [("1.22", "held"), ("1.21", "broken")])
def test_below_the_oldest_runtime_nothing_is_expected(cells: Cells, oldest: str, whole: str) -> None:
    """From the contract's oldest runtime on, a variant must be held; below, what became of it is only shown."""
    change(cells.bundle, 'min_onnxruntime = "1.16"', f'min_onnxruntime = "{oldest}"')
    merged = cells.merged(cells.write("ort1.21", "1.21.1", fail("int8", "too old", "f1")), *cells.all(but="1.21"))
    assert cell(merged, "1.21", "int8").observed == "broken"
    assert merged.outcome == whole


def test_prediction_and_observation_must_agree(cells: Cells) -> None:
    """A file that should load and does not is red even where its failure was expected."""
    expect(cells, '"1.21" = { int8 = { fails = "ConvInteger" } }')
    merged = cells.merged(cells.write("ort1.21", "1.21.1", refuse("int8", CONV)), *cells.all(but="1.21"))
    found = cell(merged, "1.21", "int8")
    assert (found.predicted, found.agrees) == ("loads", False)
    assert "against what the file let expect" in found.reason


def test_another_machine_joins_the_table(cells: Cells) -> None:
    """Records of one version are told apart by what differs, and none of them hides another."""

    def elsewhere(document: dict[str, Any]) -> None:
        document["environment"] |= {"python": "3.12.9", "architecture": "aarch64"}

    merged = cells.merged(*cells.all(), cells.write("phone", "1.22.0", elsewhere))
    labels = [runtime.label for runtime in merged.runtimes]
    assert "1.22 · Python 3.12.9" in labels
    assert len(labels) == 4
    assert merged.outcome == "held"


def test_an_undeclared_version_joins_the_table(cells: Cells) -> None:
    """It is a row of its own, expected to be held like any other."""
    merged = cells.merged(*cells.all(), cells.write("ort1.25", "1.25.1", fail("fp32", "it is worse", "f1")))
    assert cell(merged, "1.25.1", "fp32").observed == "broken"
    assert merged.outcome == "broken"


def test_one_place_is_taken_once(cells: Cells) -> None:
    """The same runtime, Python and machine twice: which of both is to be believed?"""
    merged = cells.merged(*cells.all(), cells.write("again", "1.22.0"))
    assert merged.outcome == "broken"
    assert "same runtime, Python and machine" in cell(merged, "1.22 · 2", "int8").reason


def test_a_part_that_was_asked_for_is_judged_as_a_part(cells: Cells) -> None:
    """Other versions need no record then, and the merged record says which were not asked for."""
    merged = cells.merged(*cells.all(but="1.21"), versions=("1.22", "newest"))
    assert merged.outcome == "held"
    assert (merged.versions, merged.asked) == (("1.21", "1.22", "newest"), ("1.22", "newest"))
    with pytest.raises(RecordError, match=r"declares no version 1\.5"):
        cells.merged(versions=("1.5",))


def test_a_run_that_left_clauses_out_is_red(cells: Cells) -> None:
    """Whatever was expected: clauses without a verdict are named."""

    def leave_out(document: dict[str, Any]) -> None:
        left = next(row for row in document["verdicts"] if (row["variant"], row["clause"]) == ("int8", "f1"))
        document["verdicts"].remove(left)
        columns = ("contract", "variant", "check", "clause", "target")
        document["unjudged"] = [{key: left[key] for key in columns} | {"why": "deselected"}]
        document["contracts"][0]["outcome"] = "unjudged"

    merged = cells.merged(cells.write("ort1.21", "1.21.1", leave_out), *cells.all(but="1.21"))
    assert (cell(merged, "1.21", "int8").agrees, cell(merged, "1.21", "int8").reason) == (False, "not judged: f1")


def test_a_merged_record_is_read_as_it_was_written(cells: Cells) -> None:
    """Nothing is lost on the way, and one that does not add up is refused."""
    merged = cells.merged(*cells.all())
    path = cells.folder / "merged" / "matrix.json"
    write_merged(path, merged)
    assert read_merged(path) == merged
    path.write_text(path.read_text(encoding="utf-8").replace('"outcome": "held"', '"outcome": "broken"'), "utf-8")
    with pytest.raises(RecordError, match="do not spell 'broken'"):
        read_merged(path)


def test_what_was_measured_on_a_target_is_told_by_runtime(cells: Cells) -> None:
    """Beside its mark, a target's cell has the numbers of its clauses; of the host other things are told."""
    change(cells.bundle, "[limits.runtime]", "[limits.arm64]\nparity = 0.1\n[limits.runtime]")
    change(cells.bundle, "[matrix]", '[matrix]\ntargets = ["arm64/armv8.0"]')
    contract, clauses = cell_of(cells.contract), {"executes", "flips", "parity"}

    def execute(document: dict[str, Any]) -> None:
        document["contracts"][0]["substance"] = measurement_digest(contract)
        planned = [each.identity for each in plan(contract) if each.identity.target != "host"]
        assert {identity.clause for identity in planned} == clauses
        document["contracts"][0]["planned"] += len(planned)
        row = next(row for row in document["verdicts"] if row["value"] is not None) | {"value": 0.03, "unit": ""}
        columns = ("contract", "variant", "check", "clause", "target")
        document["verdicts"] += [row | {key: getattr(identity, key) for key in columns} for identity in planned]

    merged = cells.merged(*(cells.write(f"ort{name}", version, execute) for name, version in VERSIONS.items()))
    assert merged.outcome == "held"
    (found,) = (each for each in merged.cells if (each.runtime, each.target) == ("1.22", "arm64/armv8.0"))
    assert {(number.clause, number.value) for number in found.numbers} == {(clause, 0.03) for clause in clauses}
    assert found.changes is None
    assert cell(merged, "1.22", "int8").numbers == ()
    text = draw_matrix(merged, width=80, colour=False, encoding="utf-8")
    assert "int8 on arm64/armv8.0\nonnxruntime   executes   parity   flips" in text
