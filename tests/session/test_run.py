"""A whole run: items, selection, exit codes, the record, and the end of the terminal."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS

if TYPE_CHECKING:
    from tests.session.conftest import Project

BROKEN = ("--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")


def test_what_holds_ends_with_exit_0(project: Project) -> None:
    """Every clause held, every clause in the record, the verdict in one line."""
    result = project.run()
    assert result.ret == 0
    record = project.record()
    (contract,) = record.contracts
    assert contract.outcome == "held"
    assert contract.planned == len(record.verdicts) == result.parseoutcomes()["passed"]
    assert not record.unjudged
    assert not record.interrupted
    result.stdout.fnmatch_lines(
        [
            "eyerace-parity: golden/contract.toml (tiny-colours, sha256:*): torch, fp32, int8; * clauses",
            "tiny-colours: HELD; all * clauses judged: * held",
            "record: build/parity/record.json",
        ]
    )


def test_the_record_says_where_every_number_came_from(project: Project) -> None:
    """Each verdict leads to its evidence, and each piece of evidence to what it was measured on."""
    project.run("-k", "f1 or file_size or valid")
    record = project.record()
    for row in record.verdicts:
        assert row.evidence, row.identity
        for key in row.evidence:
            entry = record.evidence[key]
            assert entry.kind == "golden" or (entry.provenance is not None and entry.provenance.artefact)
    summary = record.contracts[0].summary
    judged = {key: entry for key, entry in record.evidence.items() if key not in summary}
    assert {entry.kind for entry in judged.values() if entry.document} == {"files", "graph"}
    assert all(KINDS.named(record.evidence[key].kind).runs is Runs.DERIVED for key in summary)
    assert record.environment.packages["onnxruntime"]


def test_unlabelled_tensors_are_judged_too(unlabelled_project: Project) -> None:
    """Two inputs, one int64, two outputs, no labels: nothing that needs labels is planned."""
    assert unlabelled_project.run().ret == 0
    checks = {row.check for row in unlabelled_project.record().verdicts}
    assert "closeness" in checks
    assert "quality" not in checks


def test_a_broken_clause_ends_with_exit_1_and_says_why(project: Project) -> None:
    """The failure begins with the verdict, its next step follows, and the summary repeats both."""
    result = project.run("-k", "sqnr_db", *BROKEN)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "✗ int8 sqnr_db is broken (* < 90 dB): *",
            "  next: *",
            "tiny-colours: BROKEN; 1 of * clauses judged: 1 broken; unjudged: * clauses*",
            "  ✗ int8 sqnr_db broken: *",
            "  next: *",
        ]
    )
    (row,) = project.record().verdicts
    assert (row.status, row.limit, row.unit) == ("broken", 90, "dB")
    assert row.reason
    assert row.next


def test_a_failure_stands_on_the_line_of_its_limit(project: Project) -> None:
    """Annotations land on the contract's line, the variant's own before the shared one."""
    project.pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.when == "call":
                print("AT", report.nodeid.rpartition("::")[2], report.location[0], report.location[1] + 1)
        """
    )
    result = project.run("-s", "golden/contract.toml::int8", "-k", "sqnr_db or fresh")
    lines = project.contract.read_text(encoding="utf-8").splitlines()
    limit = next(number for number, line in enumerate(lines, 1) if line.startswith("sqnr_db"))
    variant = next(number for number, line in enumerate(lines, 1) if line.startswith("[variants.int8]"))
    result.stdout.fnmatch_lines_random(
        [f"*AT sqnr_db golden/contract.toml {limit}", f"*AT fresh golden/contract.toml {variant}"]
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "int8 and f1 and not f1_drop"), {"int8 f1"}),
        (("-k", "size and fp32"), {"fp32 file_size"}),
        (("-m", "parity", "-k", "top1_agreement"), {"fp32 top1_agreement", "int8 top1_agreement"}),
        (("golden/contract.toml::fp32", "-k", "quality"), {"fp32 f1", "fp32 f1_drop"}),
    ],
    ids=["clause", "family", "marker", "variant"],
)
def test_selection_works_as_for_any_test(project: Project, arguments: tuple[str, ...], expected: set[str]) -> None:
    """``-k`` knows variants, clauses and families, ``-m`` the marker; what is left out makes the contract unjudged."""
    result = project.run(*arguments)
    assert result.ret == 0
    assert set(project.statuses()) == expected
    (contract,) = project.record().contracts
    assert contract.outcome == "unjudged"
    assert {row.why for row in project.record().unjudged} == {"deselected"}
    result.stdout.fnmatch_lines(["tiny-colours: NOT JUDGED IN FULL; *"])


def test_nothing_selected_is_exit_5_and_an_unjudged_contract(project: Project) -> None:
    """An empty selection holds nothing."""
    assert project.run("-k", "no_such_clause").ret == 5
    assert project.record().contracts[0].outcome == "unjudged"


def test_stopping_at_the_first_failure_leaves_the_rest_unjudged(project: Project) -> None:
    """``-x``: the record says that the run ended early and what it did not reach."""
    assert project.run("-x", "golden/contract.toml::int8", *BROKEN).ret == 1
    record = project.record()
    assert record.contracts[0].outcome == "broken"
    assert "stopping after 1 failures" in record.interrupted
    assert {row.why for row in record.unjudged if row.variant == "int8"} == {"not reached"}
    assert {row.why for row in record.unjudged if row.variant == "torch"} == {"deselected"}


def test_an_interrupted_run_leaves_a_usable_record(project: Project) -> None:
    """Ctrl-C: exit 2, what was judged is kept, the rest is not called held."""
    project.pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if item.name == "varied":
                raise KeyboardInterrupt
        """
    )
    result = project.run_apart("golden/contract.toml::torch")
    assert result.ret == 2
    record = project.record()
    assert record.interrupted
    assert record.contracts[0].outcome == "unjudged"
    assert any(row.clause == "finite" for row in record.verdicts)
    assert {row.why for row in record.unjudged if row.variant == "torch"} == {"not reached"}
    result.stdout.fnmatch_lines(["The run ended early: *"])


def test_a_skipped_clause_is_not_held(project: Project) -> None:
    """Somebody else's skip or error takes a clause out of the judgement, and the contract says so."""
    project.pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "f1":
                    item.add_marker(pytest.mark.skip)
        """
    )
    project.run("-k", "f1 and not f1_drop or file_size")
    record = project.record()
    assert record.contracts[0].outcome == "unjudged"
    assert {row.why for row in record.unjudged if row.clause == "f1"} == {"left without a verdict"}


def test_last_failed_runs_the_broken_clause_again(project: Project) -> None:
    """``--lf`` knows the items by their ids."""
    project.run("golden/contract.toml::int8", *BROKEN)
    result = project.run("--lf", *BROKEN)
    result.assert_outcomes(failed=1)
    assert project.statuses() == {"int8 sqnr_db": "broken"}


def test_collecting_alone_measures_and_writes_nothing(project: Project) -> None:
    """``--collect-only`` shows the tree and leaves no trace."""
    (project.bundle / "build" / "tiny.int8.onnx").unlink()
    result = project.run("--collect-only")
    result.stdout.fnmatch_lines(
        ["<ContractFile golden/contract.toml>", "*<VariantCollector int8>", "*<ClauseItem f1>", "*tests collected*"]
    )
    assert not (project.root / "build").exists()
    assert not (project.bundle / "build" / "tiny.int8.onnx").exists()


def test_junit_carries_the_numbers(project: Project) -> None:
    """Flat properties: whose clause it is, value, relation, limit, unit and status."""
    project.run("-k", "int8 and sqnr_db", "--junit-xml=junit.xml", *BROKEN)
    case = next(ET.parse(project.root / "junit.xml").iter("testcase"))  # noqa: S314 - our own file
    told = {item.get("name"): item.get("value") for item in case.iter("property")}
    assert told["eyerace_parity.status"] == "broken"
    assert told["eyerace_parity.variant"] == "int8"
    assert told["eyerace_parity.clause"] == "sqnr_db"
    assert told["eyerace_parity.relation"] == "≥"
    assert told["eyerace_parity.limit"] == "90.0"
    assert told["eyerace_parity.unit"] == "dB"
    assert float(told["eyerace_parity.value"] or "nan") < 90


def test_the_record_goes_where_it_is_told(project: Project) -> None:
    """``--eyerace-parity-record``, and none at all with ``--eyerace-parity-no-record``."""
    project.run("-k", "file_size", "--eyerace-parity-record", "out/gate.json")
    assert len(project.record("out/gate.json").verdicts) == 2
    assert not (project.root / "build").exists()
    project.run("-k", "file_size", "--eyerace-parity-no-record")
    assert not (project.root / "build").exists()


def test_a_record_that_cannot_be_written_fails_the_run(project: Project) -> None:
    """A green run without its record would be a lie to whoever reads it."""
    (project.root / "occupied").write_text("a file", encoding="utf-8")
    result = project.run("-k", "file_size", "--eyerace-parity-record", "occupied/record.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["eyerace-parity: the record cannot be written to occupied/record.json: *"])


def test_values_and_their_origins_are_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header and the record say which values are not the defaults and who set them."""
    monkeypatch.setenv("EYERACE_PARITY_JOBS", "1")
    result = project.run(
        "-k", "int8 and f1 and not f1_drop", "--eyerace-parity-set", "variants.int8.limits.quality.f1=0.5"
    )
    result.stdout.fnmatch_lines(["eyerace-parity: *jobs = 1 (environment EYERACE_PARITY_JOBS)*"])
    record = project.record()
    assert ("jobs", "1", "environment EYERACE_PARITY_JOBS") in {(s.key, s.value, s.origin) for s in record.settings}
    (override,) = record.contracts[0].overrides
    assert (override.key, override.value) == ("variants.int8.limits.quality.f1", 0.5)
    assert "--eyerace-parity-set" in override.origin
    assert [row.limit for row in record.verdicts] == [0.5]


def test_a_fault_of_a_check_is_an_error_of_that_clause_alone(project: Project) -> None:
    """A bug of ours costs one verdict, names itself, and every other clause is judged."""
    project.pytester.makeconftest(
        """
        import dataclasses

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "file_size" and item.parent.name == "int8":
                    def judge(case, findings):
                        raise ZeroDivisionError("our own mistake")
                    clause = dataclasses.replace(item.planned.clause, judge=judge)
                    item.planned = dataclasses.replace(item.planned, clause=clause)
        """
    )
    result = project.run("-k", "file_size")
    assert result.ret == 1
    assert project.statuses() == {"fp32 file_size": "held", "int8 file_size": "error"}
    row = next(row for row in project.record().verdicts if row.variant == "int8")
    assert row.reason == "the check 'file_size' itself failed: ZeroDivisionError: our own mistake"


def test_the_record_is_plain_json(project: Project) -> None:
    """Whoever has no library of ours reads ``verdicts`` with what every language has."""
    project.run("-k", "file_size")
    content = json.loads((project.root / "build/parity/record.json").read_text(encoding="utf-8"))
    row = content["verdicts"][0]
    assert {"variant", "check", "clause", "target", "status", "value", "limit", "unit", "reason", "next"} <= set(row)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_end_is_readable_in_any_encoding(project: Project, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in a poor encoding gets plain signs, no line is wider than the terminal, and nothing is escaped."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("COLUMNS", "80")
    result = project.run_apart("-q", "-k", "int8 and (f1 or sqnr_db)", *BROKEN)
    start = next(number for number, line in enumerate(result.outlines) if "= parity =" in line)
    table = result.outlines[start : result.outlines.index("record: build/parity/record.json")]
    assert all(len(line) <= 80 for line in table)
    text = "\n".join(table)
    assert ("✓ 1 ≥ 0.9" if encoding == "utf-8" else "+ 1 >= 0.9") in text
    assert "\\u" not in text
