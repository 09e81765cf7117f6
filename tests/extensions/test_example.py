"""The package of ``docs/extensions.md``, made of the page's own code, judges a contract."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.packages import make_package, record_of, run_gate, write_colours

PAGE = (Path(__file__).parent.parent.parent / "docs" / "extensions.md").read_text(encoding="utf-8")


def blocks() -> dict[str, str]:
    """The files of the page, by the name in their first line."""
    found = re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    return dict(found)


def package(folder: Path) -> Path:
    """The package of the page."""
    files = blocks()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    modules = {place: text for place, text in files.items() if place.endswith(".py")}
    return make_package(folder, project["name"], modules, project["entry-points"]["eyerace_parity.extensions"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the page's bundle; the package lies beside it."""
    package(tmp_path / "packages")
    root = tmp_path / "project"
    write_colours(root / "golden", blocks()["contract.toml"])
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return root


def rows(root: Path) -> dict[str, dict[str, Any]]:
    """Verdicts of the last run, by clause and target."""
    record: Any = record_of(root)
    return {f"{row['clause']}@{row['target']}": row for row in record["verdicts"]}


def test_the_page_is_true(project: Path) -> None:
    """Check, metric, reader and target judge; the extension stands in header, record and keys."""
    done = run_gate(project, project.parent / "packages", "--eyerace-parity")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "extensions: colour (colour-checks 1.0)" in done.stdout
    found = rows(project)
    assert found["least_margin@host"]["status"] == "held"
    assert found["metric@host"]["value"] == 1.0
    assert [row["status"] for key, row in found.items() if key.endswith("@spare/python")]
    record: Any = record_of(project)
    (entry,) = record["contracts"][0]["extensions"]
    assert (entry["name"], entry["package"], entry["version"]) == ("colour", "colour-checks", "1.0")
    keys = [e["provenance"]["settings"] for e in record["evidence"].values() if e["kind"] == "outputs"]
    assert keys
    assert all(entry["digest"] in settings["extension.colour"] for settings in keys)


def test_changed_code_voids_what_it_could_have_changed(project: Path) -> None:
    """An edit of the extension under the same version measures anew; no edit measures nothing."""
    packages = project.parent / "packages"

    def cached() -> list[bool]:
        assert run_gate(project, packages, "--eyerace-parity").returncode == 0
        record: Any = record_of(project)
        return [e["provenance"]["cached"] for e in record["evidence"].values() if e["kind"] == "outputs"]

    assert cached() == [False]
    assert cached() == [True]
    parts = packages / "colour_checks" / "parts.py"
    parts.write_text(parts.read_text(encoding="utf-8") + "\n# another line\n", encoding="utf-8")
    assert cached() == [False]


@pytest.mark.parametrize("place", ["ini", "environment", "command line"])
def test_settings_come_from_every_layer(project: Path, place: str) -> None:
    """The extension's section is set as every other value, and the record says by whom."""
    text = "colour.weakest=59"
    if place == "ini":
        (project / "pytest.ini").write_text(f"[pytest]\neyerace_parity_set =\n    {text}\n", encoding="utf-8")
    environment = {"EYERACE_PARITY_SET": text} if place == "environment" else {}
    arguments = ("--eyerace-parity-set", text) if place == "command line" else ()
    run_gate(project, project.parent / "packages", "--eyerace-parity", "-k", "least_margin", *arguments, **environment)
    record: Any = record_of(project)
    (override,) = record["contracts"][0]["overrides"]
    assert override["key"] == "colour.weakest"
    assert override["origin"].startswith(place)
    assert rows(project)["least_margin@host"]["value"] > 0.5


def test_without_the_switch_nothing_of_it_is_imported(project: Path) -> None:
    """An installed extension costs an ordinary run nothing."""
    packages = project.parent / "packages"
    (packages / "colour_checks" / "extension.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (project / "test_own.py").write_text("def test_own(): pass\n", encoding="utf-8")
    assert run_gate(project, packages).returncode == 0


def test_a_contract_that_uses_it_is_refused_without_it(project: Path) -> None:
    """Absent, disabled, or not named by the contract: exit 4 with its name."""
    packages = project.parent / "packages"
    absent = run_gate(project, None, "--eyerace-parity")
    assert absent.returncode == 4
    assert "the extension 'colour' is not installed" in absent.stderr
    disabled = run_gate(project, packages, "--eyerace-parity", "--eyerace-parity-disable", "colour")
    assert disabled.returncode == 4
    assert "'colour' is disabled (command line --eyerace-parity-disable)" in disabled.stderr
    contract = project / "golden" / "contract.toml"
    text = contract.read_text(encoding="utf-8").replace('extensions = ["colour"]\n', "")
    contract.write_text(text, encoding="utf-8")
    unnamed = run_gate(project, packages, "--eyerace-parity")
    assert unnamed.returncode == 4
    assert "belongs to the extension 'colour'; name it" in unnamed.stderr


def test_a_record_is_judged_again_with_it(project: Path) -> None:
    """The commands that judge import it, too."""
    import os
    import subprocess
    import sys

    packages = project.parent / "packages"
    assert run_gate(project, packages, "--eyerace-parity").returncode == 0
    command = [sys.executable, "-m", "eyerace_parity", "judge", "build/parity/record.json", "-o", "again.json"]
    environment = {**os.environ, "PYTHONPATH": str(packages), "EYERACE_PARITY_CACHE": str(project / "cache")}
    environment["EYERACE_PARITY_SET"] = "variants.fp32.limits.colour.least_margin=5.0"
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    again = json.loads((project / "again.json").read_text(encoding="utf-8"))
    assert {row["clause"] for row in again["verdicts"] if row["status"] == "broken"} == {"least_margin"}
