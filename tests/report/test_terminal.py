"""The end of a run, drawn from the record alone."""

from __future__ import annotations

import re

import pytest

from eyerace_parity.core.numbers import format_quantity
from eyerace_parity.core.result import Relation, Status
from eyerace_parity.report.terminal import draw, verdict_line
from eyerace_parity.report.view.run import run_view
from eyerace_parity.report.view.words import PLAIN, RICH, account, comparison, signs_for
from tests.record.records import record, unjudged, verdict

FULL = [
    verdict("f1", "fp32"),
    verdict("f1", "int8", Status.BROKEN, value=0.81),
    verdict(
        "p95", "int8", Status.UNPROVEN, check="latency", value=249.0, limit=250, relation=Relation.AT_MOST, unit="ms"
    ),
    verdict("peak", "int8", Status.ERROR, check="memory", value=None, limit=None),
    verdict(
        "file_size", "int8", check="size", value=4_740_000, limit=12_000_000, relation=Relation.AT_MOST, unit="bytes"
    ),
]


def show(*, width: int = 80, colour: bool = False, encoding: str = "utf-8") -> str:
    """Draw the full example."""
    return draw(run_view(record(FULL)), width=width, colour=colour, encoding=encoding)


def test_each_cell_says_number_against_limit_with_a_sign() -> None:
    """Held, broken, unproven and in error differ without any colour."""
    text = show()
    for cell in ("✓ 0.92 ≥ 0.875", "✗ 0.81 < 0.875", "? 249 ≤ 250", "! error", "✓ 4.74 MB ≤ 12 MB"):
        assert cell in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("limit", "value", "cell"), [(0, 0, "inputs   ✓"), (0, 2, "inputs   ✗ 2 ≠ 0"), (17, 17, "inputs   ✓ 17")]
)
def test_none_of_what_must_not_be_is_a_bare_sign(limit: int, value: int, cell: str) -> None:
    """``inputs ✓ 0`` would read as if there were no inputs; a number that tells something stays."""
    status = Status.HELD if value == limit else Status.BROKEN
    row = verdict("inputs", status=status, value=value, limit=limit, relation=Relation.EQUAL, unit="differences")
    lines = draw(run_view(record([row], variants=["int8"])), width=80, colour=False, encoding="utf-8").splitlines()
    assert f"  {cell}" in lines


@pytest.mark.parametrize(
    ("clause", "unit", "lines"),
    [
        ("calibration_shift", "points", ["  calibration_", "    shift"]),
        ("release_f1_drop_per_class", "points", ["  release_f1_drop_", "    per_class"]),
        ("preprocess_p95", "ms", ["  preprocess_p95", "    ms"]),
        ("p95", "ms", ["  p95 ms"]),
    ],
)
def test_a_long_name_breaks_where_its_words_end(clause: str, unit: str, lines: list[str]) -> None:
    """Nobody can search for half a word; a wide terminal breaks nothing."""
    rows = [verdict(clause, name, unit=unit) for name in ("torch", "fp32", "int8")]
    made = record(rows, variants=["torch", "fp32", "int8"])
    narrow = draw(run_view(made), width=80, colour=False, encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(narrow) if line.startswith(lines[0]))
    assert [line.partition("✓")[0].rstrip() for line in narrow[at : at + len(lines)]] == lines
    unbroken = f"  {clause} {unit}" if unit == "ms" else f"  {clause} "
    assert any(
        line.startswith(unbroken)
        for line in draw(run_view(made), width=120, colour=False, encoding="utf-8").splitlines()
    )


def test_a_run_that_judged_nothing_draws_no_empty_table() -> None:
    """Interrupted before its first clause, it has a verdict and no rows."""
    text = draw(run_view(record([], [unjudged("f1")])), width=80, colour=False, encoding="utf-8")
    assert text.startswith("eyes: NOT JUDGED IN FULL")


def test_each_of_several_tables_says_whose_it_is() -> None:
    """The verdict's line stands below its table: above it a reader would not know which contract follows."""
    one = record([verdict("f1")])
    other = one.contracts[0].model_copy(update={"name": "ranks"})
    rows = (*one.verdicts, verdict("f1", contract="ranks"))
    both = one.model_copy(update={"contracts": (*one.contracts, other), "verdicts": rows})
    lines = draw(run_view(both), width=80, colour=False, encoding="utf-8").splitlines()
    heads = [number for number, line in enumerate(lines) if line.startswith("clause ")]
    assert [lines[number - 1] for number in heads] == ["eyes", "ranks"]
    assert "eyes" not in draw(run_view(one), width=80, colour=False, encoding="utf-8").split("clause")[0]


def test_the_verdict_stands_in_one_line_with_why_and_what_next() -> None:
    """After the table: the contract's verdict, then each fault once, worst first."""
    text = show(width=200)
    line = "eyes: BROKEN; all 5 clauses judged: 1 broken, 1 in error, 1 unproven, 2 held"
    assert line in text.splitlines()
    faults = text[text.index(line) :]
    positions = [faults.index(words) for words in ("✗ int8 f1 broken", "! int8 peak in error", "? int8 p95 unproven")]
    assert positions == sorted(positions)
    assert faults.count("next: mend it") == 3


@pytest.mark.parametrize("width", [40, 60, 80, 132])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Readable in any window."""
    assert all(len(line) <= width for line in show(width=width).splitlines())


def test_no_line_ends_in_blanks() -> None:
    """Logs and diffs stay clean."""
    assert not re.search(r" +$", show(), re.MULTILINE)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "no-such-encoding", "utf-8", "utf-16"])
def test_any_stream_can_take_the_text(encoding: str) -> None:
    """A poor encoding gets plain signs with the same meaning, in columns as straight."""
    rows = [verdict("f1", "int8", Status.BROKEN, reason="the chain torch → fp32 ≠ “expected” — 3 µs, 漢")]
    text = draw(run_view(record(rows)), width=80, colour=False, encoding=encoding)
    if encoding.startswith("utf"):
        assert "✗" in text
    else:
        text.encode("ascii")
        assert "x 0.92 < 0.875" in text
        assert 'the chain torch -> fp32 != "expected" - 3 us' in text


def test_colour_is_added_never_needed() -> None:
    """With the escapes taken out the text is the same."""
    coloured = show(colour=True)
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == show().splitlines()


def test_brackets_and_markup_in_a_reason_stay_text() -> None:
    """What a file is called decides nothing about colours."""
    rows = [verdict("f1", "int8", Status.BROKEN, reason="input [red]x[/red] is :smile:")]
    assert "input [red]x[/red] is :smile:" in draw(run_view(record(rows)), width=120, colour=False, encoding="utf-8")


def test_many_variants_take_several_tables() -> None:
    """Cells stay readable when there are more variants than columns."""
    names = [f"variant{number}" for number in range(9)]
    text = draw(
        run_view(record([verdict("f1", name) for name in names], variants=names)),
        width=80,
        colour=False,
        encoding="utf-8",
    )
    assert text.count("clause ") >= 2
    assert text.count("✓") == 9


def test_a_partial_run_is_not_called_held() -> None:
    """The line counts what was not judged, and rows without a verdict are left out of the table."""
    partial = record([verdict("f1")], [unjudged("f1", "fp32"), unjudged("drop")])
    text = draw(run_view(partial), width=200, colour=False, encoding="utf-8")
    assert "eyes: NOT JUDGED IN FULL; 1 of 3 clauses judged: 1 held; unjudged: 2 clauses were deselected" in text
    assert "drop" not in text.split("eyes:")[0]
    assert "HELD;" not in verdict_line(run_view(partial).contracts[0])


def test_one_reason_is_told_once_for_all_its_clauses() -> None:
    """A missing file must not fill the screen."""
    rows = [
        verdict(f"c{number}", status=Status.ERROR, reason="the file is gone", next="bring it") for number in range(9)
    ]
    text = draw(run_view(record(rows)), width=200, colour=False, encoding="utf-8")
    assert text.count("the file is gone") == 1
    assert "c0, c1, c2, c3, c4, c5 and 3 more in error" in text


def test_a_target_has_a_row_of_its_own() -> None:
    """What was executed elsewhere is not mixed with what was executed here."""
    rows = [verdict("f1"), verdict("f1", status=Status.BROKEN, value=0.5, target="arm64/armv8.0")]
    text = draw(run_view(record(rows)), width=120, colour=False, encoding="utf-8")
    assert "f1 [arm64/armv8.0]" in text


@pytest.mark.parametrize(
    ("value", "limit", "relation", "status", "expected"),
    [
        (0.92, 0.875, Relation.AT_LEAST, Status.HELD, "0.92 ≥ 0.875"),
        (0.81, 0.875, Relation.AT_LEAST, Status.BROKEN, "0.81 < 0.875"),
        (0.87499999, 0.875, Relation.AT_LEAST, Status.BROKEN, "0.87499999 < 0.875"),
        (17, 17, Relation.EQUAL, Status.HELD, "17"),
        (18, 17, Relation.EQUAL, Status.BROKEN, "18 ≠ 17"),
        (None, 17, Relation.AT_MOST, Status.ERROR, "≤ 17"),
        ("∞", 1.0, Relation.AT_MOST, Status.BROKEN, "∞ > 1"),
    ],
)
def test_what_a_comparison_says_is_true(
    value: float | str | None, limit: float, relation: Relation, status: Status, expected: str
) -> None:
    """A broken clause reads as it broke, with as many digits as it takes to see it."""
    assert comparison(verdict("c", status=status, value=value, limit=limit, relation=relation), RICH) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (999, "bytes", "999 B"),
        (12_000_000, "bytes", "12 MB"),
        (0.000123456, "", "0.0001235"),
        (float("nan"), "", "nan"),
    ],
)
def test_quantities_are_written_for_people(value: float, unit: str, expected: str) -> None:
    """Bytes in the unit that fits, numbers with four digits."""
    assert format_quantity(value, unit) == expected


def test_an_account_begins_with_the_verdict() -> None:
    """First line the verdict, then what to do, then the details."""
    row = verdict("f1", status=Status.BROKEN, value=0.81, details=("worst: red-3.jpg", "two\nlines"))
    lines = account(row, RICH).splitlines()
    assert lines[0] == "✗ int8 f1 is broken (0.81 < 0.875): f1 is not as it should be"
    assert lines[1:] == ["  next: mend it", "  worst: red-3.jpg", "  two", "  lines"]
    account(row, PLAIN).encode("ascii")


def test_signs_follow_the_encoding() -> None:
    """Only a stream that can take all signs gets them."""
    assert signs_for("utf-8") is RICH
    assert signs_for("cp1252") is PLAIN
    assert signs_for(None) is PLAIN


def test_likely_causes_are_told_once() -> None:
    """Several clauses of a variant break for one cause: it is read once, and told in full by each failing item."""
    causes = ("its scores are those of fp32 × 2", "another")  # noqa: RUF001 - a factor
    rows = [
        verdict("f1", status=Status.BROKEN, causes=causes),
        verdict("max_abs", status=Status.BROKEN, causes=causes),
        verdict("cosine", status=Status.BROKEN, causes=("something else",)),
    ]
    text = draw(run_view(record(rows)), width=80, colour=False, encoding="utf-8")
    assert text.count("likely cause: its scores are those of fp32") == 1
    assert text.count("likely cause: another") == 1
    assert text.count("likely cause: as above") == 1
    assert text.count("likely cause: something else") == 1
    told = account(rows[0], PLAIN).splitlines()
    assert told[1:3] == ["  likely cause: its scores are those of fp32 x 2", "  likely cause: another"]
    assert told[3] == "  next: mend it"
