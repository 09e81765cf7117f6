"""``tox.ini`` has an environment for every version of the matrix, and nothing of them drifts apart."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.extensions.matrix.section import Matrix
from eyerace_parity.extensions.selftest.conditions import CONDITIONS

ROOT = Path(__file__).parent.parent
VERSIONS = re.compile(r"ort\{([^}]*)\}")


@pytest.fixture(scope="module")
def tox() -> configparser.RawConfigParser:
    """The file as tox reads it."""
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def versions(text: str) -> list[str]:
    """The versions of the first ``ort{…}`` in a text."""
    found = VERSIONS.search(text)
    assert found is not None, text
    return found[1].split(",")


def test_every_place_names_the_same_versions(tox: configparser.RawConfigParser) -> None:
    """The label, the environments, what each installs, and what the last one waits for."""
    (cells,) = (section for section in tox.sections() if section.startswith("testenv:ort{"))
    known = versions(cells)
    assert versions(tox["tox"]["labels"]) == known
    assert versions(tox["testenv:matrix-report"]["depends"]) == known
    installed = dict(re.findall(r"^ort([\w.]+): onnxruntime(?:==([\w.]+)\.\*)?$", tox[cells]["deps"], re.MULTILINE))
    assert installed == {version: "" if version == "newest" else version for version in known}


@pytest.mark.parametrize("name", ["contract.toml", "article.toml"])
def test_whatever_a_contract_declares_has_an_environment(tox: configparser.RawConfigParser, name: str) -> None:
    """A version that is declared and never run would be red in every merge."""
    declared = open_contract(ROOT / "golden" / name).section(Matrix).versions
    assert set(declared) <= set(versions(tox["tox"]["labels"]))


def test_ci_runs_the_commands_of_lint_in_an_environment_that_holds_the_same(tox: configparser.RawConfigParser) -> None:
    """``.ci/run`` makes one environment for lint and the tests, and one for the gate and the self-test."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in tox["testenv:lint"]["commands"].split("\n")[1:]:
        assert f"in_env tests {command}\n" in script
    for own, shared in (("lint", "tests"), ("selftest", "parity"), ("artefacts", "parity")):
        assert requirements(tox, own) <= requirements(tox, shared)


def test_what_ci_leaves_out_runs_at_night(tox: configparser.RawConfigParser) -> None:
    """The label names environments that exist, with every condition, and what they damage is built first."""
    (line,) = (line for line in tox["tox"]["labels"].split("\n") if line.startswith("nightly"))
    names = [name.strip() for name in line.partition("=")[2].split(",")]
    commands = [shlex.split(tox[f"testenv:{name}"]["commands"]) for name in names]
    assert "eyerace-parity export" in tox[f"testenv:{names[0]}"]["commands"]
    assert ["eyerace-parity", "selftest", "--clean", str(len(CONDITIONS))] in commands
    assert f"| `{'`, `'.join(names)}` |" in (ROOT / "README.md").read_text(encoding="utf-8")


def requirements(tox: configparser.RawConfigParser, name: str) -> set[str]:
    """What an environment installs: requirements, references resolved, and extras of the package."""
    section = tox[f"testenv:{name}"]
    found = {f"[{extra}]" for extra in section.get("extras", "").split()}
    waiting = section.get("deps", tox["testenv"]["deps"]).split("\n")
    while waiting:
        line = waiting.pop().strip()
        reference = re.fullmatch(r"\{\[(.*)\](.*)\}", line)
        if reference:
            waiting += tox[reference[1]][reference[2]].split("\n")
        elif line:
            found.add(line)
    return found
