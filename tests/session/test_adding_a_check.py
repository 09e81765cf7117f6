"""A check is one file and one line: its keys, help, plan, items and rows follow, here for a module of a project."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import ADDED, describe_clauses, open_contract, register
from eyerace_parity.core.errors import ContractError
from tests.bundles import make_tensor_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.session.conftest import Project

FAMILY = textwrap.dedent('''
    from pydantic import Field

    from eyerace_parity.checks.base import Family
    from eyerace_parity.checks.comparison import Number, compares, needs
    from eyerace_parity.contract.base import Limits, Positive
    from eyerace_parity.core.result import Relation
    from eyerace_parity.evidence.artefacts import Files


    class PagesLimits(Limits):
        """How many pages of memory a file fills."""

        pages: Positive | None = Field(default=None, description="Most pages of 4096 bytes.")


    pages = Family("pages", PagesLimits)


    @compares(pages, "pages", Relation.AT_MOST, unit="pages", needs=needs(Files), next_step="make it smaller")
    def pages_of_the_file(case, evidence):
        """The file fills no more pages than allowed."""
        number = evidence[case.need(Files)].bytes / 4096
        return Number(number, f"{case.name} fills {number:g} pages")
''')


@pytest.fixture
def registered(tmp_path, monkeypatch) -> Iterator[None]:
    """The family of a temporary module, registered for one test."""
    (tmp_path / "page_count.py").write_text(FAMILY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(ADDED)
    from page_count import pages  # type: ignore[import-not-found]

    register(pages)
    yield
    ADDED[:] = before
    monkeypatch.delitem(sys.modules, "page_count")


@pytest.mark.usefixtures("registered")
def test_its_key_is_read_its_help_told_and_its_clause_planned(tmp_path) -> None:
    """All of it from the declaration; a wrong value is told as for any other limit."""
    file = make_tensor_bundle(tmp_path / "bundle") / "contract.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n[variants.int8.limits.pages]\npages = 2\n", encoding="utf-8")
    assert "pages" in {planned.identity.clause for planned in plan(open_contract(file)) if planned.case.name == "int8"}
    described = {(told.check, told.clause): told for told in describe_clauses()}["pages", "pages"]
    assert (described.key, described.type) == ("limits.pages.pages", "number > 0")
    assert described.summary == "The file fills no more pages than allowed."
    file.write_text(f"{text}\n[variants.int8.limits.pages]\npages = 0\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"variants\.int8\.limits\.pages\.pages: found 0"):
        open_contract(file)


@pytest.mark.usefixtures("registered")
def test_a_name_is_taken_once() -> None:
    """Two families of a name would judge each other's limits."""
    with pytest.raises(ValueError, match="there is a family called pages already"):
        register(ADDED[-1])


def test_it_is_an_item_and_a_row_of_the_record(project: Project) -> None:
    """In a whole run: an item of its own, and a verdict with its number, unit, limit and words."""
    (project.root / "page_count.py").write_text(FAMILY, encoding="utf-8")
    (project.root / "conftest.py").write_text(
        "from page_count import pages\nfrom eyerace_parity.checks.registry import register\n\nregister(pages)\n",
        encoding="utf-8",
    )
    own = "[variants.int8.limits.pages]\npages = 0.5\n\n"
    project.edit("[variants.int8.limits.quality]", f"{own}[variants.int8.limits.quality]")
    result = project.run_apart("-v", "-k", "int8 and pages")
    result.stdout.fnmatch_lines(["*golden/contract.toml::int8::pages FAILED*"])
    (row,) = [row for row in project.record().verdicts if row.clause == "pages"]
    assert (row.check, row.status.value, row.unit, row.limit) == ("pages", "broken", "pages", 0.5)
    assert row.reason.startswith("int8 fills ")
    assert row.next == "make it smaller"
