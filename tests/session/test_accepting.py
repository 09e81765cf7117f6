"""A candidate against the accepted release, and releases that are accepted, in whole runs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.cli import main
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.release import files

if TYPE_CHECKING:
    from eyerace_parity.release.files import Stored
    from tests.session.conftest import Project

ANCHOR = "[variants.int8.limits.size]"
LIMITS = """[variants.int8.limits.release]
f1_drop = 0.2
f1_drop_per_class = 0.4
flips = 2
harmful_flips = 1
max_abs = 0.5
sqnr_db = 20
size_growth = 0.02
"""
CLAUSES = {
    f"int8 release_{name}"
    for name in ("f1_drop", "f1_drop_per_class", "flips", "harmful_flips", "max_abs", "sqnr_db", "size_growth")
}
ACCEPT = "--eyerace-parity-accept=first"
BASELINE = "--eyerace-parity-baseline=first"


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases are accepted on one's own machine; these tests also run where CI is set."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def demanding(project: Project) -> Project:
    """A project whose int8 is held against a release."""
    project.edit(ANCHOR, f"{LIMITS}\n{ANCHOR}")
    return project


def stored(project: Project, name: str = "first") -> Stored:
    """A release of the bundle."""
    return files.read(project.bundle / "releases" / name)


def statuses(project: Project) -> dict[str, str]:
    """Statuses of the clauses that compare with a release."""
    return {name: status for name, status in project.statuses().items() if name in CLAUSES}


def damage(project: Project, factor: float = -1.0) -> None:
    """Make the int8 artefact decide otherwise: scale the weights of its last layer, and stamp nothing anew."""
    path = project.bundle / "build" / "tiny.int8.onnx"
    model = onnx.load(path)
    scales = [each for each in model.graph.initializer if each.name.endswith("_scale") and "head" in each.name]
    assert scales, [each.name for each in model.graph.initializer]
    for each in scales:
        changed = numpy_helper.to_array(each) * factor
        each.CopyFrom(numpy_helper.from_array(changed.astype("float32"), each.name))
    onnx.save(model, path)


def test_without_a_release_nothing_is_held(demanding: Project) -> None:
    """Every clause that compares is unproven and says what settles it; the run is red, and nothing crashes."""
    result = demanding.run("-k", "release")
    assert result.ret == 1
    assert set(statuses(demanding).values()) == {"unproven"}
    assert set(statuses(demanding)) == CLAUSES
    result.stdout.fnmatch_lines(["*eyerace-parity release save NAME*--eyerace-parity-baseline*"])


def test_an_unchanged_candidate_holds_against_its_own_release(demanding: Project) -> None:
    """Accepted in one run, compared with in the next: no drop, no flip, no growth."""
    first = demanding.run(ACCEPT)
    assert first.ret == 1, "the run that accepts compared with nothing: it must not look held"
    assert set(statuses(demanding).values()) == {"unproven"}
    first.stdout.fnmatch_lines(["eyerace-parity: accepted as release first: golden/releases/first (sha256:*"])
    second = demanding.run(BASELINE)
    assert set(statuses(demanding).values()) == {"held"}
    assert second.ret == 0
    second.stdout.fnmatch_lines(["eyerace-parity: compared with release first (sha256:*) in golden/releases/first"])
    told = [entry for entry in demanding.record().evidence.values() if entry.baseline]
    assert {entry.kind for entry in told} == {"outputs", "files", "flipledger"}
    assert {e.provenance.settings["release"] for e in told if e.provenance and e.kind != "flipledger"} == {"first"}


def test_a_damaged_candidate_is_told_what_became_worse(demanding: Project) -> None:
    """F1, every class, flips and closeness are broken; the flips are listed with their photographs' capture."""
    demanding.run(ACCEPT)
    damage(demanding)
    result = demanding.run(BASELINE)
    assert result.ret == 1
    found = statuses(demanding)
    assert found.pop("int8 release_size_growth") == "held"
    assert set(found.values()) == {"broken"}
    (ledger,) = [e.document for e in demanding.record().evidence.values() if e.kind == "flipledger" and e.baseline]
    assert isinstance(ledger, FlipLedger)
    assert ledger.total == ledger.harmed + ledger.mended + ledger.moved == len(ledger.rows)
    row = ledger.rows[0]
    assert row.kind == "harmed"
    assert row.label == row.other != row.decision
    assert row.margin > 0
    assert set(row.capture) == {"blot", "focus"}


def test_a_recorded_comparison_can_be_judged_again(demanding: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """With the release gone, the record and the store still answer; under a looser limit the flips are held."""
    demanding.run(ACCEPT)
    damage(demanding)
    demanding.run(BASELINE)
    shutil.rmtree(demanding.bundle / "releases")
    record = demanding.root / "build/parity/record.json"
    again = demanding.root / "again.json"
    main(
        ["judge", str(record), "-o", str(again), "--contract", str(demanding.contract),
         "--set", "variants.int8.limits.release.flips=24"]
    )  # fmt: skip
    capsys.readouterr()
    rows = {row.clause: row.status.value for row in demanding.record("again.json").verdicts if row.check == "release"}
    assert rows.pop("release_flips") == "held"
    assert rows.pop("release_size_growth") == "held"
    assert set(rows.values()) == {"broken"}


def test_a_contract_names_its_baseline(demanding: Project) -> None:
    """Before it is there the clauses say how to accept one; afterwards no option is needed."""
    demanding.edit("[interface]\n", '[release]\nbaseline = "first"\n\n[interface]\n')
    result = demanding.run("-k", "release")
    assert set(statuses(demanding).values()) == {"unproven"}
    result.stdout.fnmatch_lines(["*with release first, which is not there yet", "*--eyerace-parity-accept first*"])
    demanding.run(ACCEPT)
    assert demanding.run().ret == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("std = [0.25, 0.25, 0.25]", "std = [0.5, 0.25, 0.25]", "the preprocessing profile of int8"),
        ('classes = ["red", "green", "blue"]', 'classes = ["red", "blue", "green"]', "the classes"),
    ],
)
def test_what_cannot_be_compared_is_refused(demanding: Project, before: str, after: str, told: str) -> None:
    """Another profile or other classes: the comparison is an error that says what differs; sizes still compare."""
    demanding.run(ACCEPT)
    demanding.edit(before, after)
    result = demanding.run(BASELINE, "-k", "release")
    found = statuses(demanding)
    assert found.pop("int8 release_size_growth") == "held"
    assert set(found.values()) == {"error"}
    assert told in result.stdout.str()


def test_another_golden_set_is_refused(demanding: Project) -> None:
    """One label changed is another golden set."""
    demanding.run(ACCEPT)
    table = demanding.bundle / "labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("red-0.jpg,red", "red-0.jpg,blue"), encoding="utf-8")
    result = demanding.run(BASELINE, "-k", "release_f1_drop")
    assert statuses(demanding)["int8 release_f1_drop"] == "error"
    result.stdout.fnmatch_lines(["*cannot be compared with, because of another state of the golden set (sha256:*"])


def test_times_are_taken_in_turns_with_the_released_artefact(demanding: Project) -> None:
    """Unproven while the old artefact is gone; with it beside the release both are measured in one run."""
    demanding.edit("size_growth = 0.02\n", "size_growth = 0.02\nlatency_growth = 1000.0\n")
    demanding.run(ACCEPT)
    artefact = demanding.bundle / "build" / "tiny.int8.onnx"
    kept = demanding.bundle / "releases/first/artefacts/int8/tiny.int8.onnx"
    original = artefact.read_bytes()
    damage(demanding, 0.999)
    result = demanding.run(BASELINE, "-k", "latency_growth")
    assert demanding.statuses()["int8 release_latency_growth"] == "unproven"
    result.stdout.fnmatch_lines(["*put it at *releases/first/artefacts/int8/tiny.int8.onnx*"])
    kept.parent.mkdir(parents=True)
    kept.write_bytes(original)
    assert demanding.run(BASELINE, "-k", "latency_growth").ret == 0
    (timing,) = [e.document for e in demanding.record().evidence.values() if e.kind == "timing" and e.baseline]
    assert isinstance(timing, Timing)
    assert timing.versus == "int8@first"
    assert timing.versus_runs
    assert len(timing.versus_runs.cpu_ms) == len(timing.runs.cpu_ms)


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_an_unknown_release_ends_with_exit_4(demanding: Project) -> None:
    """A misspelt name is told before anything is measured, with the one that may be meant."""
    demanding.run(ACCEPT)
    result = demanding.run("--eyerace-parity-baseline=frist")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no release 'frist'*did you mean 'first'*"])


def test_a_release_that_nothing_is_compared_with_is_refused(project: Project) -> None:
    """A contract without such limits would be green without having compared."""
    result = project.run(ACCEPT)
    assert result.ret == 0
    result = project.run(BASELINE)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*no contract of this run demands anything of a release*", "*limits.release*"])


def test_a_torn_release_ends_with_exit_4(demanding: Project) -> None:
    """Answers that are not those that the release speaks of are no baseline."""
    demanding.run(ACCEPT)
    place = demanding.bundle / "releases/first/release.json"
    content = json.loads(place.read_text(encoding="utf-8"))
    content["digest_of_answers"] = "sha256:" + "0" * 64
    place.write_text(json.dumps(content), encoding="utf-8")
    result = demanding.run(BASELINE)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*answers.npz is not the one that release.json speaks of*"])


def test_nothing_is_accepted_in_continuous_integration(demanding: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks there."""
    monkeypatch.setenv("CI", "true")
    result = demanding.run(ACCEPT)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*not accepted in continuous integration*"])
    assert not (demanding.bundle / "releases").exists()


def test_nothing_is_accepted_under_xdist(demanding: Project) -> None:
    """No single process sees the whole run."""
    result = demanding.run_apart(ACCEPT, "-n2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*not accepted from a run that xdist distributes*"])
    assert not (demanding.bundle / "releases").exists()


def test_workers_compare_with_the_release_too(demanding: Project) -> None:
    """Comparing, as against accepting, is distributed like everything else."""
    demanding.run(ACCEPT)
    assert demanding.run_apart(BASELINE, "-n2").ret == 0
    assert set(statuses(demanding).values()) == {"held"}


def test_a_part_of_a_run_is_not_accepted(demanding: Project) -> None:
    """With clauses left out, there is no release, and the run is red although all that ran is held."""
    result = demanding.run(ACCEPT, "-k", "file_size")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["eyerace-parity: nothing was accepted of tiny-colours: the run left * clauses *"])
    assert not (demanding.bundle / "releases").exists()


# ---- accepting -------------------------------------------------------------------------------------------------------


def test_accepting_the_worse_tells_the_difference_and_stays_red(demanding: Project) -> None:
    """The clauses stay broken in the run that accepts; the history keeps both; the next run is held."""
    demanding.edit("f1 = 0.9\nf1_drop = 0.2\n", "f1 = 0.0\n")
    demanding.edit("sqnr_db = 20.0\ntop1_agreement = 0.95\n", "top1_agreement = 0.0\n")
    demanding.run(ACCEPT)
    before = stored(demanding).release
    damage(demanding)
    result = demanding.run(BASELINE, ACCEPT, "--eyerace-parity-set", "variants.int8.limits.integrity={}")
    assert result.ret == 1
    assert statuses(demanding)["int8 release_f1_drop"] == "broken"
    result.stdout.fnmatch_lines(
        [
            "  changed since release first (sha256:*):",
            "    fp32: the same artefact*0 flips",
            "    int8: another artefact*",
        ]
    )
    after = stored(demanding).release
    assert after.follows == before.digest
    history = files.history(demanding.bundle / "releases" / "first")
    assert [line.digest for line in history] == [before.digest, after.digest]
    # So few photographs, all decided wrongly in both, prove little of a class.
    demanding.run(BASELINE, "--eyerace-parity-set", "variants.int8.limits.release.f1_drop_per_class=0.9")
    assert set(statuses(demanding).values()) == {"held"}


def test_accepting_the_same_again_changes_no_byte(demanding: Project) -> None:
    """Committed files carry no time of day and no name of a machine: equal findings are equal bytes."""
    demanding.run(ACCEPT)
    folder = demanding.bundle / "releases"
    first = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in first} >= {"release.json", "answers.npz", ".gitignore"}
    demanding.run(ACCEPT, BASELINE)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


# ---- flips that are known --------------------------------------------------------------------------------------------


def accept_flips(project: Project, expires: str, *ids: str) -> int:
    """Accept flips of the last run by the command."""
    record = str(project.root / "build/parity/record.json")
    return main(
        ["flips", "accept", "--record", record, "--contract", str(project.contract), "--reason", "old camera",
         "--expires", expires, *ids]
    )  # fmt: skip


def test_known_flips_are_accepted_until_their_last_day(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """All accepted is held; one not accepted is red; a vanished one is told; after the last day all are red."""
    project.edit(ANCHOR, f"[variants.int8.limits.flips]\ndecision_flips = 0\nharmful_flips = 0\n\n{ANCHOR}")
    damage(project)
    only = ("-k", "decision_flips or harmful_flips")
    assert project.run(*only).ret == 1
    assert accept_flips(project, "2999-12-31") == 0
    capsys.readouterr()
    assert project.run(*only).ret == 0

    file = project.bundle / "flips.toml"
    whole = file.read_text(encoding="utf-8")
    head, first, *rest = whole.split("\n[[flip]]\n")
    name = first.split('"')[1]
    file.write_text("\n[[flip]]\n".join([head, *rest]), encoding="utf-8")
    result = project.run(*only)
    assert result.ret == 1
    assert project.record().verdicts[0].value == 1
    result.stdout.fnmatch_lines([f"*{name}: *→*"])

    gone = first.replace(name, "gone.jpg")
    file.write_text("\n[[flip]]\n".join([head, first, gone, *rest]), encoding="utf-8")
    result = project.run(*only)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*accepted, but no flip of int8 against fp32 any more: gone.jpg; take it out*"])
    where = ["--record", str(project.root / "build/parity/record.json"), "--contract", str(project.contract)]
    capsys.readouterr()
    assert main(["flips", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert f"{name}: " in listed
    assert "; accepted until 2999-12-31: old camera" in listed
    assert "no flip of int8 against fp32 any more: gone.jpg" in listed
    assert any("gone.jpg" in line and "no flip any more" in line for line in project.record().verdicts[0].details)

    file.write_text(whole.replace("2999-12-31", "2001-01-01"), encoding="utf-8")
    result = project.run(*only)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*accepted until 2001-01-01, which has passed (old camera)*"])


def test_a_file_of_flips_that_says_nonsense_accepts_nothing(project: Project) -> None:
    """A missing reason is an error of the clauses that read it, with its place."""
    project.edit(ANCHOR, f"[variants.int8.limits.flips]\ndecision_flips = 99\n\n{ANCHOR}")
    (project.bundle / "flips.toml").write_text(
        '[[flip]]\nid = "red-0.jpg"\nvariant = "int8"\nagainst = "fp32"\nexpires = 2999-01-01\n', encoding="utf-8"
    )
    result = project.run("-k", "decision_flips")
    assert result.ret == 1
    assert project.statuses() == {"int8 decision_flips": "error"}
    result.stdout.fnmatch_lines(["*golden/flips.toml: flip.0.reason: Field required*"])
