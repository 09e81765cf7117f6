"""Each of our extensions is taken away for real: its folder is not in the package."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.extending.shipped import SHIPPED
from tests.extensions.packages import run_gate
from tests.tools.loading import tool

if TYPE_CHECKING:
    from pathlib import Path

without = tool("without_extension")

NAMES = [each.name for each in SHIPPED]
USES = {
    "emulation": (
        '[targets]\nrun = ["arm64/armv8.0"]\n',
        '[targets]\nrun = ["x86/avx2"]\n',
        '[targets.own."arm64/mine"]\ncpu = "cortex-a55"\n',
        "[limits.arm64]\ninstructions = 1\n",
    ),
    "matrix": ('[matrix]\nversions = ["1.22"]\n', "[limits.runtime]\n"),
    "selftest": (),
}
"""What a contract says that uses an extension; the self-test has nothing of the contract."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The extension that is taken away."""
    return str(request.param)


@pytest.fixture
def package(name: str, tmp_path: Path) -> Path:
    """What goes on ``PYTHONPATH``: the package without it."""
    return without.copy_without(name, tmp_path / "package")  # type: ignore[no-any-return] # what the tool says


@pytest.fixture
def root(tmp_path: Path, image_bundle: Path) -> Path:
    """A project whose contract uses no extension."""
    (tmp_path / "project").mkdir()
    image_bundle.rename(tmp_path / "project" / "golden")
    (tmp_path / "project" / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path / "project"


def test_a_contract_that_does_not_use_it_is_held(root: Path, package: Path, name: str) -> None:
    """Every clause is judged, by the copy."""
    done = run_gate(root, package, "--eyerace-parity")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny-colours: HELD" in done.stdout
    code = f"import eyerace_parity as p; print(p.__file__); import eyerace_parity.extensions.{name}"
    environment = {**os.environ, "PYTHONPATH": str(package)}
    gone = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert gone.stdout.startswith(str(package))
    assert f"No module named 'eyerace_parity.extensions.{name}'" in gone.stderr


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in USES.items() for text in texts], indirect=["name"]
)
def test_a_contract_that_uses_it_is_refused_with_its_name(root: Path, package: Path, name: str, text: str) -> None:
    """Before anything is measured."""
    with (root / "golden" / "contract.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")
    done = run_gate(root, package, "--eyerace-parity")
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"belongs to the extension '{name}', which is not installed" in done.stderr
    assert "contract.toml:" in done.stderr


@pytest.mark.parametrize(
    ("name", "option"), [(each.name, option) for each in SHIPPED for option in each.options], indirect=["name"]
)
def test_an_option_of_it_is_refused_with_its_name(root: Path, package: Path, name: str, option: str) -> None:
    """It is known although nothing of the extension is there to declare it."""
    done = run_gate(root, package, "--eyerace-parity", f"--eyerace-parity-{option.replace('_', '-')}")
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"belongs to the extension '{name}', which is not installed" in done.stderr
    assert run_gate(root, package, "--co", "-q").returncode == 5, "without the gate it does not matter"


@pytest.mark.parametrize(
    ("name", "command"), [(each.name, word.name) for each in SHIPPED for word in each.commands], indirect=["name"]
)
def test_a_command_of_it_is_refused_with_its_name(root: Path, package: Path, name: str, command: str) -> None:
    """The help lists it, choosing it says whose it is."""
    environment = {**os.environ, "PYTHONPATH": str(package)}
    words = [sys.executable, "-m", "eyerace_parity", command]
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"the command '{command}' belongs to the extension '{name}', which is not installed" in done.stderr


def test_only_one_folder_is_left_out(tmp_path: Path) -> None:
    """And a name that is none is refused."""
    found = without.copy_without("matrix", tmp_path) / "eyerace_parity" / "extensions"
    assert sorted(path.parent.name for path in found.glob("*/__init__.py")) == sorted({*NAMES} - {"matrix"})
    with pytest.raises(LookupError, match="there is no extension 'matrices'"):
        without.copy_without("matrices", tmp_path / "other")


def test_the_table_says_what_each_is_used_by() -> None:
    """So that a new extension is taken away here, too."""
    assert set(USES) == set(NAMES)
