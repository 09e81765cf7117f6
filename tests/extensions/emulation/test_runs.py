"""Whole runs of the gate on targets: what is collected, started, judged, shown and kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import eyerace_parity.session.subject
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.rejudge import judge_again
from tests.equipment import NEW, OLD, X86, Local, misbehaving

if TYPE_CHECKING:
    from tests.session.conftest import Project

TARGETS = f'\n[targets]\nrun = ["{OLD}", "{X86}"]\nimages = 8\n\n[variants.int8.limits.arm64]\nf1 = 0.9\n'
SOURCE = Path(__file__).parents[3] / "parity"


@pytest.fixture
def arm(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose int8 is executed on two targets, which are processes of this machine."""
    project.contract.write_text(project.contract.read_text(encoding="utf-8") + TARGETS, encoding="utf-8")
    monkeypatch.setenv("EYERACE_PARITY_ARM64_HOME", str(project.root / "nothing-installed"))
    monkeypatch.setenv("EYERACE_PARITY_CACHE", str(project.root / "cache"))
    equip(monkeypatch, Local())
    return project


def equip(monkeypatch: pytest.MonkeyPatch, equipment: Local) -> None:
    """Let the targets of all contracts be these."""
    monkeypatch.setattr(eyerace_parity.session.subject, "equipment_of", lambda *_: equipment)


def test_every_target_has_its_items_rows_and_table(arm: Project) -> None:
    """Held on all targets: in the items' ids, in the record, and in a table of their own."""
    result = arm.run("-v", "-k", "arm64")
    assert result.ret == 0
    clauses = ("executes", "parity", "flips", "f1")
    for target in (OLD, X86):
        for clause in clauses:
            result.stdout.fnmatch_lines([f"golden/contract.toml::int8::{clause}[[]{target}] PASSED*"])
    found = {(row.check, row.clause, row.target): row.status.value for row in arm.record().verdicts}
    assert found == {("arm64", clause, target): "held" for clause in clauses for target in (OLD, X86)}
    executions = [entry for entry in arm.record().evidence.values() if entry.kind == "execution"]
    assert sorted(entry.target for entry in executions) == [OLD, "host", X86]
    result.stdout.fnmatch_lines(["*int8 on *executes *parity *flips *f1*", f"{OLD} *✓ 8 *", f"{X86} *✓ 8 *"])
    result.stdout.fnmatch_lines([f"eyerace-parity: executed on {OLD}, {X86}: int8, 8 samples a target"])


def test_one_target_can_be_chosen_and_starts_one_guest(arm: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-k armv8.0`` asks nothing of the others."""
    script = arm.root / "starts.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(SOURCE)!r})\nfrom eyerace_parity.isolation import worker\n"
        f"open({str(arm.root / 'starts')!r}, 'a').write(sys.argv[1] + ' ')\nworker.main()\n",
        encoding="utf-8",
    )
    equip(monkeypatch, Local(commands={target: (sys.executable, str(script), target) for target in (OLD, X86)}))
    assert arm.run("-k", "armv8.0").ret == 0
    assert (arm.root / "starts").read_text(encoding="utf-8").split() == [OLD]
    assert {row.target for row in arm.record().verdicts} == {OLD}
    assert arm.run("golden/contract.toml::int8::parity[x86/avx2]").ret == 0
    assert (arm.root / "starts").read_text(encoding="utf-8").split() == [OLD, X86]


def test_before_a_release_all_samples_are_run(arm: Project) -> None:
    """The option is told in the header, and the verdict says that nothing was chosen."""
    result = arm.run("-k", "executes", "--eyerace-parity-arm64=all")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["eyerace-parity: executed on *: int8, all samples"])
    assert {row.value for row in arm.record().verdicts} == {24}
    assert arm.record().verdicts[0].details == ("all 24 samples of the golden set were run",)


def test_a_death_turns_its_target_red_and_no_other(
    arm: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The signal stands in words in the failure, and the run ends with 1."""
    dies = misbehaving(tmp_path, "dying", "os.kill(os.getpid(), signal.SIGILL)")
    equip(monkeypatch, Local(commands={OLD: dies}))
    result = arm.run("-k", "arm64")
    assert result.ret == 1
    assert {(row.target, row.status.value) for row in arm.record().verdicts} == {(OLD, "broken"), (X86, "held")}
    result.stdout.fnmatch_lines([f"*int8 executes, parity, flips, f1 [[]{OLD}] broken:*"])
    assert all("SIGILL" in row.reason for row in arm.record().verdicts if row.target == OLD)


def test_wrong_numbers_on_one_target_are_seen(arm: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Decisions that turn: parity, flips and F1 of that target, and of that alone."""
    wrong = misbehaving(tmp_path, "wrong", "return {name: -value for name, value in right(session, feeds).items()}")
    equip(monkeypatch, Local(commands={X86: wrong}))
    assert arm.run("-k", "arm64").ret == 1
    broken = {(row.clause, row.target) for row in arm.record().verdicts if row.status.value == "broken"}
    assert broken == {(clause, X86) for clause in ("parity", "flips", "f1")}


def test_offline_without_the_userland_is_an_error_with_its_remedy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never skipped in silence: the header says what is missing, each clause what would fix it."""
    text = project.contract.read_text(encoding="utf-8") + TARGETS.replace(f', "{X86}"', "")
    project.contract.write_text(text, encoding="utf-8")
    monkeypatch.setenv("EYERACE_PARITY_ARM64_HOME", str(project.root / "nothing-installed"))
    result = project.run("-k", "arm64", "--eyerace-parity-offline")
    assert result.ret == 1
    assert {row.status.value for row in project.record().verdicts} == {"error"}
    assert all("eyerace-parity arm64 install" in row.next for row in project.record().verdicts)
    result.stdout.fnmatch_lines(["eyerace-parity: executed on *missing, and not fetched because the run is offline*"])


def test_a_misspelt_target_is_told_with_its_line(arm: Project) -> None:
    """Before anything is measured, as every other mistake in a contract."""
    arm.edit(f'run = ["{OLD}"', 'run = ["arm64/armv8"')
    result = arm.run()
    assert result.ret == 4
    line = arm.contract.read_text(encoding="utf-8").splitlines().index(f'run = ["arm64/armv8", "{X86}"]') + 1
    result.stderr.fnmatch_lines([f"ERROR: eyerace-parity: golden/contract.toml:{line}: *did you mean 'arm64/armv8.*'*"])


def test_a_finished_run_is_judged_again_without_a_guest(arm: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a tighter limit the kept executions answer."""
    assert arm.run("-k", "arm64").ret == 0
    equip(monkeypatch, Local(lacking=(OLD, X86)))
    arm.edit("f1 = 0.9\n", "f1 = 1.0\n")
    again = judge_again(arm.record(), open_contract(arm.contract), EvidenceCache(arm.root / "cache"))
    before = {row.identity: row for row in arm.record().verdicts}
    for row in again.verdicts:
        if row.check == "arm64" and row.clause != "f1":
            told = before[row.identity]
            assert (row.status, row.value, row.reason) == (told.status, told.value, told.reason)
            assert row.evidence == told.evidence


def test_two_workers_share_the_targets(arm: Project) -> None:
    """Under xdist the same verdicts, and every target is executed once."""
    pytest.importorskip("xdist")
    arm.pytester.makeconftest(
        f"""
        import sys
        sys.path.insert(0, {str(SOURCE.parent)!r})
        import eyerace_parity.session.subject
        from tests.equipment import Local
        eyerace_parity.session.subject.equipment_of = lambda *_: Local()
        """
    )
    assert arm.run("-k", "arm64").ret == 0
    alone = arm.record()
    assert arm.run_apart("-n", "2", "-k", "arm64", "--eyerace-parity-cache", str(arm.root / "fresh")).ret == 0
    together = arm.record()
    assert together.verdicts == alone.verdicts
    executions = [key for key, entry in together.evidence.items() if entry.kind == "execution"]
    assert len(executions) == len(list((arm.root / "fresh" / "execution").iterdir())) == 3


def test_only_named_targets_are_looked_up(arm: Project) -> None:
    """A contract of other targets plans for those."""
    arm.edit(f'"{OLD}", "{X86}"', f'"{NEW}"')
    assert arm.run("-k", "executes").ret == 0
    assert [row.target for row in arm.record().verdicts] == [NEW]
