"""The merged table: a mark for every cell, a reason for every mark that needs one, on any terminal."""

from __future__ import annotations

import pytest

from eyerace_parity.extensions.matrix.terminal import draw_matrix, verdict_line
from tests.extensions.matrix.matrices import Cells, fail
from tests.laboratories import change

CONV = "NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node"


def drawn(cells: Cells, *files: object, width: int = 200, encoding: str = "utf-8") -> str:
    """A merge as it is drawn without colour."""
    return draw_matrix(cells.merged(*files), width=width, colour=False, encoding=encoding)  # type: ignore[arg-type]


def test_each_cell_has_a_mark(cells: Cells) -> None:
    """A row a runtime with its exact version, a column a variant, and the apps that have it on board."""
    text = drawn(cells, *cells.all())
    row = next(line for line in text.splitlines() if line.startswith("1.22.0 "))
    assert row.count("✓ held") == 2
    assert "flutter_onnxruntime ≥ 1.5.1" in row
    assert any(line.startswith("newest (1.99.0) ") for line in text.splitlines())
    assert "HELD on 3 runtimes; 6 of 6 cells are as expected" in text


def test_what_a_runtime_changes_is_drawn_beside_the_newest(cells: Cells) -> None:
    """Bits, flips, memory and time of each variant; a time beside another peer than the newest names it."""
    text = drawn(cells, *cells.all())
    assert text.count("bits, flips and time beside onnxruntime 1.99.0, of 24 samples") == 2
    row = next(line for line in text.splitlines() if line.startswith("1.22 "))
    assert "equal   0" in row
    assert f"of {cells.runtime}" in row


@pytest.mark.parametrize(("width", "tables"), [(200, 3), (80, 6)])
def test_a_narrow_terminal_gets_more_tables_and_no_folded_words(cells: Cells, width: int, tables: int) -> None:
    """Columns that do not fit beside one another stand below one another, each with the names of the rows."""
    text = drawn(cells, *cells.all(), width=width)
    assert text.count("onnxruntime ") - text.count("beside onnxruntime ") >= tables
    for title in ("top1_agreement", "memory", "flips", "bundled by"):
        assert title in text


def test_a_reason_is_told_once(cells: Cells) -> None:
    """Two versions that fail alike share a paragraph, with what to do; what was expected is told as such."""
    change(
        cells.bundle, "[limits.runtime]", '[matrix.expect]\n"1.21" = { int8 = { fails = "Conv" } }\n[limits.runtime]'
    )
    files = [cells.write(f"ort{v}", f"{v}.0", fail("int8", CONV, "from_bytes")) for v in ("1.21", "1.22")]
    text = drawn(cells, *files)
    assert "✓ fails as expected" in text
    assert "✗ broken" in text
    assert "✗ no record" in text
    assert "✗ int8 on 1.22 is broken: from_bytes: NOT_IMPLEMENTED" in text
    assert "✓ int8 on 1.21 is broken, as expected: NOT_IMPLEMENTED" in text
    assert "✗ fp32, int8 on newest has no record: there is none" in text
    assert "NOT HELD on 3 runtimes; 3 of 6 cells are as expected" in text


def test_versions_without_a_record_share_a_reason(cells: Cells) -> None:
    """With one command for all of them; a record that is there and does not count has another mark."""
    text = drawn(cells)
    assert "✗ fp32, int8 on 1.21 to newest has no record" in text
    assert "tox run -e ort1.21,ort1.22,ortnewest`" in text
    files = cells.all()
    for file in files:
        file.write_text("{", encoding="utf-8")
    text = drawn(cells, *files)
    assert text.count("✗ refused") == 6


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_fits_any_terminal(cells: Cells, width: int) -> None:
    """No line is wider than it is told to be, and none ends with blanks."""
    lines = drawn(cells, *cells.all(but="1.21"), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any(line != line.rstrip() for line in lines)


def test_a_plain_stream_gets_plain_signs(cells: Cells) -> None:
    """A stream that takes no Unicode gets none."""
    text = drawn(cells, *cells.all(but="1.21"), encoding="ascii")
    assert text.isascii()
    assert "x no record" in text


def test_what_was_not_asked_for_is_named(cells: Cells) -> None:
    """A part never reads as the whole."""
    merged = cells.merged(*cells.all(but="1.21"), versions=("1.22", "newest"))
    assert "HELD on 2 of 3 declared versions" in verdict_line(merged)
    assert "not asked for: 1.21" in verdict_line(merged)
