"""A record for a pull request's comment and a CI service's notes: what is not held first, and text stays text."""

from __future__ import annotations

import pytest

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.result import Status
from eyerace_parity.core.text import code, markdown
from eyerace_parity.report import github
from eyerace_parity.report.markdown import render
from eyerace_parity.report.view.run import run_view
from tests.record.records import record, unjudged, verdict

NASTY = "<script>alert(1)</script> | `x` **b** [a](http://b) @everyone #1\r\n::error::x\x1b[31m"


def test_what_is_not_held_stands_open_and_the_rest_is_folded() -> None:
    """A reviewer sees the broken clause with reason and next step before anything else."""
    text = render(run_view(record([verdict("f1"), verdict("f1_drop", status=Status.BROKEN, value=0.81)])))
    head, _, folded = text.partition("<details>")
    assert "❌ broken" in head
    assert "f1\\_drop is not as it should be" in head
    assert "**next:** mend it" in head
    assert "`f1`" not in head
    assert "`f1`" in folded


def test_a_held_record_has_no_list_of_failures() -> None:
    """Nothing is drawn where there is nothing to tell."""
    text = render(run_view(record([verdict("f1")])))
    assert text.startswith("### ✅ eyes: HELD")
    assert "why, and what next" not in text


def test_text_of_files_stays_text() -> None:
    """Neither markup nor mentions nor workflow commands get through from a reason or a name."""
    row = verdict("f1", "int8`|", Status.BROKEN, reason=NASTY, next=NASTY)
    text = render(run_view(record([row])))
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "[a](" not in text
    assert "@everyone" not in text
    lines = [line for line in text.splitlines() if "broken" in line and line.startswith("|")]
    assert len(lines) == 2  # one row in each table, however many lines the reason had
    assert all(line.replace("\\|", "").count("|") == 6 for line in lines)


@pytest.mark.parametrize(("text", "written"), [("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b", "`a\\|b`"), ("", "")])
def test_code_survives_its_own_quotes(text: str, written: str) -> None:
    """A name in code ends where it should, whatever it holds."""
    assert code(text) == written


def test_markdown_keeps_one_line() -> None:
    """A reason with line breaks does not end a table's row."""
    assert markdown("a\n  b\tc") == "a b c"


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    """A code host refuses a comment that is too long, so a part is better than none."""
    text = render(run_view(record([verdict(f"clause_{i}", status=Status.BROKEN) for i in range(800)])), most=20_000)
    assert len(text.encode()) <= 20_000
    assert "does not fit here" in text
    assert text.count("<details>") == text.count("</details>")


def test_unjudged_clauses_are_no_success() -> None:
    """A run that judged a part wears no green sign."""
    assert render(run_view(record([verdict("f1")], [unjudged("p95")]))).startswith("### ❔")


def test_notes_lead_to_the_contracts_line() -> None:
    """One workflow command a clause that is not held, with file and line."""
    rows = [verdict("f1"), verdict("p95", status=Status.BROKEN, line=17), verdict("p99", status=Status.ERROR)]
    found = list(github.notes(run_view(record(rows))))
    assert len(found) == 2
    assert found[0].startswith("::error file=golden/contract.toml,line=17,title=eyes%3A int8 p95::int8 p95 is broken")
    assert "%0Anext: mend it" in found[0]
    assert "line=" not in found[1].partition("::int8")[0]


def test_notes_cannot_be_forged() -> None:
    """A reason that looks like a command stays within its own."""
    (note,) = github.notes(run_view(record([verdict("f1", status=Status.BROKEN, reason=NASTY)])))
    assert "\n" not in note
    assert "\r" not in note


def test_no_more_notes_than_are_shown() -> None:
    """The last one counts the others."""
    found = list(github.notes(run_view(record([verdict(f"c{i}", status=Status.BROKEN) for i in range(25)]))))
    assert len(found) == github.MOST
    assert "16 more clauses" in found[-1]


def test_the_summary_is_added_to_the_jobs_own(tmp_path) -> None:
    """What an earlier step wrote stays; where none is kept, none is written."""
    file = tmp_path / "summary.md"
    file.write_text("before\n", encoding="utf-8")
    assert github.write_summary(run_view(record([verdict("f1")])), {"GITHUB_STEP_SUMMARY": str(file)}) == file
    assert file.read_text(encoding="utf-8").startswith("before\n### ✅")
    assert github.write_summary(run_view(record([verdict("f1")])), {}) is None
    with pytest.raises(RecordError, match="summary cannot be written"):
        github.write_summary(run_view(record([verdict("f1")])), {"GITHUB_STEP_SUMMARY": str(tmp_path)})


def test_only_github_is_spoken_to() -> None:
    """Elsewhere the commands would be noise."""
    assert github.listened_to({"GITHUB_ACTIONS": "true"})
    assert not github.listened_to({})


def test_likely_causes_stand_between_reason_and_next_step() -> None:
    """In the table and in the note, as text: a class may bear any name."""
    row = verdict("f1", status=Status.BROKEN, causes=("<b> and `c` are exchanged",))
    text = render(run_view(record([row])))
    assert "<br>**likely cause:** &lt;b&gt; and" in text
    assert text.index("likely cause") < text.index("**next:**")
    note = next(iter(github.notes(run_view(record([row])))))
    assert "%0Alikely cause: <b> and `c` are exchanged%0Anext: mend it" in note
