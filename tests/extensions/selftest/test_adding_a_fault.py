"""A fault is one declaration in the catalogue: listed, planted, and held against the clauses and words it names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.cli import main
from eyerace_parity.extensions.selftest import faults
from eyerace_parity.extensions.selftest.model import Expected, PlantedFault
from eyerace_parity.extensions.selftest.workshop import Role
from tests.bundles import make_image_bundle

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop


def _scores_renamed(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.output[:] = ["logits" if name == "scores" else name for name in node.output]
    model.graph.output[0].name = "logits"


def _plant(workshop: Workshop) -> Contract:
    return workshop.edited(Role.FLOAT, _scores_renamed)


FAULT = PlantedFault(
    "export-output-renamed-here",
    "the output bears another name than the app asks for",
    _plant,
    (Expected(Role.FLOAT, "outputs"),),
    r"\blogits\b",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path_factory.mktemp("selftest") / "bundle", build=True)


def selftest(bundle: Path, fault: PlantedFault, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Run the command with that fault at the catalogue's end."""
    monkeypatch.setattr(faults, "CATALOGUE", (*faults.CATALOGUE, fault))
    monkeypatch.chdir(bundle.parent)
    monkeypatch.setenv("EYERACE_PARITY_CACHE", str(bundle.parent / "cache"))
    return main(["selftest", "--contract", str(bundle / "contract.toml"), *options])


def test_it_is_listed_with_its_mistake(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--list`` shows it."""
    assert selftest(bundle, FAULT, monkeypatch, "--list") == 0
    shown = capsys.readouterr().out
    assert FAULT.name in shown
    assert FAULT.summary in shown


def test_it_is_planted_and_caught(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clause that it names turns red and names it."""
    assert selftest(bundle, FAULT, monkeypatch, "-k", FAULT.name, "--no-limits") == 0, capsys.readouterr()
    assert "ALL SEEN; 1 caught" in capsys.readouterr().out


def test_a_clause_that_does_not_see_it_is_a_fault_of_the_gate(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A declaration that names a clause which holds ends in 1."""
    blind = replace(FAULT, expected=(Expected(Role.FLOAT, "file_size"),))
    assert selftest(bundle, blind, monkeypatch, "-k", FAULT.name, "--no-limits") == 1, capsys.readouterr()
