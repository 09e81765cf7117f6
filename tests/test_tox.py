"""``tox.ini`` has an environment for every version of the matrix, and nothing of them drifts apart."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.extensions.matrix.section import Matrix

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
