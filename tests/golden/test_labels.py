"""A table of labels is read whole, or refused line by line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.core.errors import GoldenError
from eyerace_parity.core.files import read_bytes
from eyerace_parity.golden import labels
from eyerace_parity.golden.labels import read_table

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("orange", "pearl")
GOOD = "file,label,bird\nsub/a.jpg,orange,B2\nb.jpg,pearl,B1\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the table stands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "labels.csv"


def test_rows_come_in_the_order_of_their_files(table):
    """With the line they stand on, and the further cells."""
    table.write_text(f"\ufeff{GOOD}".replace("\n", "\r\n"), encoding="utf-8", newline="")
    read = read_table(table, CLASSES, "bird")
    assert [(row.file, row.label, row.cluster, row.line) for row in read.rows] == [
        ("b.jpg", "pearl", "B1", 3),
        ("sub/a.jpg", "orange", "B2", 2),
    ]
    assert read.header == ("bird",)
    assert read.columns[read.header[0]] == ("B1", "B2")


def test_quotes_and_blank_lines_are_csv_too(table):
    """A comma in a name, and a gap between two blocks."""
    table.write_text('label,file\n\npearl,"a, b.jpg"\n\n', encoding="utf-8")
    (row,) = read_table(table, CLASSES, None).rows
    assert (row.file, row.line, row.cluster) == ("a, b.jpg", 3, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "labels.csv is empty"),
        ("\n\n", "labels.csv is empty"),
        ("file,label,bird\n", "labels.csv has a header and no rows: the golden set is empty"),
        (
            "file,lable,bird\n",
            "labels.csv:1: there is no column 'label'; did you mean 'lable'?; found: file, lable, bird",
        ),
        ("file,label\na.jpg,pearl\n", "labels.csv:1: there is no column 'bird'"),
        ("file,label,bird,label\n", "labels.csv:1: the column 'label' occurs twice"),
        ("file,label,bird\na.jpg,pearl\n", "labels.csv:2: 2 cells, but the header has 3"),
        ("file,label,bird\na.jpg,pearl,B,x\n", "labels.csv:2: 4 cells, but the header has 3"),
        (
            "file,label,bird\na.jpg,paerl,B\n",
            (
                "labels.csv:2: a.jpg is labelled 'paerl', which is no class of the contract; did you mean 'pearl'? "
                "classes: orange, pearl"
            ),
        ),
        ("file,label,bird\na.jpg,,B\n", "is labelled '', which is no class"),
        ("file,label,bird\na.jpg, pearl,B\n", "is labelled ' pearl', which is no class of the contract; did you mean"),
        ("file,label,bird\n,pearl,B\n", "labels.csv:2: the name of the image is missing"),
        ("file,label,bird\na.jpg,pearl, \n", "labels.csv:2: a.jpg has no 'bird'"),
        ("file,label,bird\na.jpg,pearl,B\na.jpg,pearl,B\n", "labels.csv:3: 'a.jpg' is named already on line 2"),
        ("file,label,bird\na.jpg,pearl,B\nA.jpg,pearl,B\n", "'A.jpg' differs only in case from 'a.jpg' on line 2"),
        ("file,label,bird\n../a.jpg,pearl,B\n", "labels.csv:2: '../a.jpg' leads out of the folder of images"),
        ("file,label,bird\n/etc/a.jpg,pearl,B\n", "'/etc/a.jpg' leads out of the folder of images"),
        ("file,label,bird\nb/../../a.jpg,pearl,B\n", "leads out of the folder of images"),
        ("file,label,bird\nC:a.jpg,pearl,B\n", "'C:a.jpg' is not a plain path with forward slashes"),
        ("file,label,bird\nb\\a.jpg,pearl,B\n", "is not a plain path with forward slashes"),
        ("file,label,bird\nb//a.jpg,pearl,B\n", "is not a plain path with forward slashes"),
        ('file,label,bird\n"a.jpg,pearl,B\n', "labels.csv:2: not CSV: unexpected end of data"),
        ("file,label,bird\n" + "x" * 200_000 + ",pearl,B\n", "labels.csv:2: not CSV: field larger than field limit"),
    ],
)
def test_what_cannot_be_is_refused_on_its_line(table, content, message):
    """With what was found, and what was probably meant."""
    table.write_text(content, encoding="utf-8")
    with pytest.raises(GoldenError) as caught:
        read_table(table, CLASSES, "bird")
    assert message in caught.value.reason
    assert caught.value.next_step


def test_all_wrong_lines_are_named_together(table):
    """Nobody corrects a table one line a run."""
    table.write_text("file,label\na.jpg,x\nb.jpg,pearl\nc.jpg,y\n", encoding="utf-8")
    with pytest.raises(GoldenError) as caught:
        read_table(table, CLASSES, None)
    assert [line.split(": ")[0] for line in caught.value.reason.splitlines()] == ["labels.csv:2", "labels.csv:4"]


def test_a_file_that_is_no_table_is_refused(table):
    """Missing, a folder, or binary."""
    with pytest.raises(GoldenError, match="there is no such table of labels"):
        read_table(table, CLASSES, None)
    table.write_bytes(b"\xff\xd8\xff\xe0" * 20)
    with pytest.raises(GoldenError, match="byte 0 is not UTF-8"):
        read_table(table, CLASSES, None)
    with pytest.raises(GoldenError, match="cannot be read"):
        read_table(table.parent, CLASSES, None)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_crash_the_reader(tmp_path_factory, content):
    """A law: bytes are a table or a refusal."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"file,label\n" + content)
    try:
        read = read_table(path, CLASSES, None)
    except GoldenError:
        return
    assert read.rows


def settled(table: Path, text: str) -> None:
    """Write a table that nobody has touched for long."""
    table.write_text(text, encoding="utf-8")
    os.utime(table, (1.0e9, 1.0e9))


def test_a_table_is_read_once(table, monkeypatch):
    """As long as it stays as it is, and its classes and its cluster are the same; whoever asks gets the same rows."""
    settled(table, GOOD)
    first = read_table(table, CLASSES, "bird")
    read: list[Path] = []

    def counted(path: Path, max_bytes: int) -> bytes:
        read.append(path)
        return read_bytes(path, max_bytes)

    monkeypatch.setattr(labels, "read_bytes", counted)
    assert read_table(table, CLASSES, "bird") is first
    assert read == []
    assert read_table(table, CLASSES, None).rows[0].cluster == ""
    settled(table, GOOD.replace("pearl", "orange"))
    assert {row.label for row in read_table(table, CLASSES, "bird").rows} == {"orange"}
    settled(table, GOOD)
    assert {row.label for row in read_table(table, CLASSES, "bird").rows} == {"orange", "pearl"}
    assert len(read) == 3


def test_a_table_of_this_moment_is_read_again(table):
    """A second writing might bear the same times as the first, and be as long."""
    table.write_text(GOOD, encoding="utf-8")
    first = read_table(table, CLASSES, "bird")
    assert read_table(table, CLASSES, "bird") is not first


def test_a_wrong_table_is_wrong_each_time(table):
    """And right once it is mended."""
    for _ in range(2):
        settled(table, GOOD.replace("pearl", "purple"))
        with pytest.raises(GoldenError, match="purple"):
            read_table(table, CLASSES, "bird")
    settled(table, GOOD)
    assert read_table(table, CLASSES, "bird").rows
