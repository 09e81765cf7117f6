"""The documents say what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli import main
from eyerace_parity.cli.registry import all_commands

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.needs_extension("emulation", "matrix")
def test_the_clauses_are_those_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """``docs/clauses.md`` holds what ``eyerace-parity clauses --markdown`` prints, to the letter."""
    assert main(["clauses", "--markdown"]) == 0
    assert capsys.readouterr().out in (ROOT / "docs" / "clauses.md").read_text(encoding="utf-8")


@pytest.mark.needs_extension("emulation", "matrix")
def test_the_example_contract_can_be_judged(tmp_path: Path) -> None:
    """The example of ``docs/contract.md`` is a whole contract, and demands something of every variant."""
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    example, *parts = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    for part in (example, *parts):
        tomllib.loads(part)
    (tmp_path / "contract.toml").write_text(example, encoding="utf-8")
    contract = open_contract(tmp_path / "contract.toml")
    assert {planned.identity.variant for planned in plan(contract)} == {"torch", "fp32", "int8"}
    targets = [part for part in parts if part.startswith("[targets")]
    (tmp_path / "contract.toml").write_text("\n".join([example, *targets]), encoding="utf-8")
    contract = open_contract(tmp_path / "contract.toml")
    assert {planned.identity.target for planned in plan(contract)} == {"host", *contract.targets.run}
    assert contract.targets.own


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file of the repository leads to a file of the repository."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_names_every_command() -> None:
    """A command that nobody reads of does not exist."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in all_commands() if f"eyerace-parity {name}" not in text] == []
