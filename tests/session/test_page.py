"""The page of a real run: the verdict first, a picture where there are data, and no hole where there are none."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.session.conftest import Project

PAGE = "build/page.html"
QUICK = ("--eyerace-parity-html", PAGE, "-k", "f1 or closeness or file_size or tier_agreement")


class Reader(HTMLParser):
    """Reads what a test asks about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.figures: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, and what it would fetch."""
        self.tags.append(tag)
        known = {key: value or "" for key, value in attrs}
        self.addresses += [known[key] for key in ("src", "href", "action", "data", "srcset") if key in known]
        if tag == "figure":
            self.figures.append(known["id"].partition("-")[2])
        if tag in {"section", "table", "figure", "svg", "ul", "details"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every element that was opened is closed in its order."""
        if tag in {"section", "table", "figure", "svg", "ul", "details"}:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(" ".join(self.words).split())


def page(project: Project) -> Reader:
    """Read the page that the last run has drawn."""
    return Reader((project.root / PAGE).read_text(encoding="utf-8"))


def test_the_page_answers_at_a_glance(project: Project) -> None:
    """Verdict, table, pictures of quality, flips, provenance; the terminal names the file."""
    result = project.run(*QUICK)
    result.stdout.fnmatch_lines([f"page: {PAGE}"])
    read = page(project)
    assert read.tags.index("h1") < read.tags.index("table")
    assert {"scores", "confusion", "classes", "noise"} <= set(read.figures)
    for words in (
        "tiny-colours",
        "0.",
        "pytest --eyerace-parity",
        "-k 'f1 or closeness or file_size or tier_agreement'",
        "sha256:",
    ):
        assert words in read.text


def test_the_page_asks_nothing_of_any_network(project: Project) -> None:
    """Every address is in the page itself, and a policy forbids all others."""
    project.run(*QUICK)
    text = (project.root / PAGE).read_text(encoding="utf-8")
    assert all(address.startswith(("#", "data:")) for address in Reader(text).addresses)
    assert "default-src 'none'" in text
    # Namespaces are names, not addresses.
    assert not set(re.findall(r"https?://[^\s\"'<)]+", text)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_what_broke_stands_first_with_its_next_step(project: Project) -> None:
    """A broken clause is told before the table of all."""
    project.run(*QUICK, "--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90")
    text = (project.root / PAGE).read_text(encoding="utf-8")
    assert text.index("What is not held") < text.index('class="clauses"')
    assert 'class="status broken"' in text
    assert "<strong>Next:</strong>" in text


def test_names_from_files_are_text(project: Project) -> None:
    """A file, a class and a reason that hold markup stay what they are."""
    evil = "<img src=x onerror=alert(1)>"
    project.edit('description = "', f'description = "{evil}') if 'description = "' in project.contract.read_text(
        encoding="utf-8"
    ) else project.edit('name = "tiny-colours"', f'name = "tiny-colours"\ndescription = "{evil}"')
    project.run(*QUICK)
    text = (project.root / PAGE).read_text(encoding="utf-8")
    assert evil not in text
    assert "&lt;img src=x" in text


def test_an_unlabelled_set_reads_well(unlabelled_project: Project) -> None:
    """Without labels there is no confusion, and no hole where it would be."""
    unlabelled_project.run("--eyerace-parity-html", PAGE, "-k", "closeness or file_size")
    read = page(unlabelled_project)
    assert "confusion" not in read.figures
    assert "noise" in read.figures
    assert "None" not in read.text


def test_a_single_variant_reads_well(project: Project) -> None:
    """With nobody to compare to, what can be told of one is told."""
    project.run("--eyerace-parity-html", PAGE, "-k", "torch and f1")
    read = page(project)
    assert "scores" not in read.figures
    assert "torch" in read.text


def test_a_run_in_which_everything_is_an_error_reads_well(project: Project) -> None:
    """Nothing could be measured: each clause says why, and no picture is drawn."""
    for image in (project.bundle / "images").iterdir():
        image.write_bytes(b"no image")
    project.run("--eyerace-parity-html", PAGE, "-k", "f1 or sqnr_db")
    read = page(project)
    assert read.figures == []
    assert "What is not held" in read.text
    assert "error" in read.text


def test_a_page_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that would fix it is told at once, not after an hour."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    result = project.run(*QUICK)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*eyerace-parity?html?*"])


def test_a_page_in_the_place_of_a_folder_is_refused(project: Project) -> None:
    """Before anything is measured."""
    (project.root / "a-folder").mkdir()
    assert project.run("--eyerace-parity-html", "a-folder").ret == pytest.ExitCode.USAGE_ERROR
