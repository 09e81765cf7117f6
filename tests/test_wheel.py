"""The wheel beside a project with modules of our folders' names: nobody notices, and everything is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from eyerace_parity import __version__
from eyerace_parity.record.files import read_record

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "parity" / "eyerace_parity"

# Whoever imports one of these leaves a line in the file `imported`.
OWN = """
from pathlib import Path

WHOSE = "the project's"
with open({note!r}, "a") as note:
    note.write(__name__ + "\\n")
"""
OWN_TEST = """
from pathlib import Path

import golden
import parity

import eyerace_parity


def test_all_are_whose_they_are():
    assert golden.WHOSE == parity.WHOSE == "the project's"
    assert Path(eyerace_parity.__file__).is_relative_to({site!r})
"""
LAYOUTS = {
    "modules, and a folder of data": ("parity.py", "golden.py", "parity/data.txt"),
    "packages, which hide modules": ("parity.py", "parity/__init__.py", "golden.py", "golden/__init__.py"),
}
INVOCATIONS: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "pytest": (("pytest",), {}, ""),
    "python -m pytest": (("python", "-m", "pytest"), {}, ""),
    "PYTHONPATH=.": (("pytest",), {"PYTHONPATH": "."}, ""),
    "ini pythonpath": (("pytest",), {}, "pythonpath = .\n"),
}
"""Command, environment and ini line of each way to run pytest."""

# No torch variant: it costs seconds. The bundle lies in a folder that is no package, because pytest itself imports the
# package of whatever it collects.
GATE = ("--eyerace-parity", "model/contract.toml", "-k", "sqnr_db or integer_weights or file_size")


@dataclass(frozen=True, slots=True)
class Distribution:
    """What is built of the repository, and an environment in which the wheel is installed.

    Attributes:
        wheel: The wheel.
        sdist: The source distribution.
        home: A virtual environment that sees all packages of this one; ``bin/pytest`` is in it.
    """

    wheel: Path
    sdist: Path
    home: Path

    def run(self, *command: str, folder: Path, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder."""
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
        environment["EYERACE_PARITY_CACHE"] = str(folder / "cache")
        return subprocess.run(
            [str(self.home / "bin" / command[0]), *command[1:]],
            cwd=folder,
            env=environment | (more or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Build both distributions, and install the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    _ran(sys.executable, "-m", "hatchling", "build", "--directory", str(folder))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    home = folder / "home"
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    # The new site comes first, so that no other copy of the package is seen.
    others = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    (site / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    _ran(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)
    )
    script = home / "bin" / "pytest"
    script.write_text(f"#!{home / 'bin' / 'python'}\nimport pytest\n\nraise SystemExit(pytest.console_main())\n")
    script.chmod(0o755)
    return Distribution(wheel, sdist, home)


def _ran(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=LAYOUTS)
def project(request: pytest.FixtureRequest, image_bundle: Path, distribution: Distribution) -> Path:
    """A project with modules of its own that are called ``parity`` and ``golden``, and with a bundle."""
    folder = image_bundle.parent / "project"
    shutil.copytree(image_bundle, folder / "model")
    for name in LAYOUTS[request.param]:
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(OWN.format(note=str(folder / "imported")) if place.suffix == ".py" else "", encoding="utf-8")
    (folder / "test_own.py").write_text(OWN_TEST.format(site=str(distribution.home)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("way", INVOCATIONS)
def test_a_project_may_have_modules_of_any_name(distribution: Distribution, project: Path, way: str) -> None:
    """Its tests find its own modules; the gate imports none of them, and judges."""
    command, environment, line = INVOCATIONS[way]
    (project / "pytest.ini").write_text(f"[pytest]\nfilterwarnings =\n    error\n{line}", encoding="utf-8")
    own = distribution.run(*command, "test_own.py", folder=project, more=environment)
    assert own.returncode == 0, own.stdout + own.stderr
    assert "1 passed" in own.stdout
    imported = project / "imported"
    assert sorted(imported.read_text(encoding="utf-8").split()) == ["golden", "parity"]
    imported.unlink()
    gate = distribution.run(*command, *GATE, folder=project, more=environment)
    assert gate.returncode == 0, gate.stdout + gate.stderr
    record = read_record(project / "build" / "parity" / "record.json")
    assert {row.status.value for row in record.verdicts} == {"held"}
    assert len(record.verdicts) == 4
    assert not imported.exists(), imported.read_text(encoding="utf-8")


def test_the_commands_run_beside_such_a_project(distribution: Distribution, project: Path) -> None:
    """``python -m eyerace_parity`` puts the project first on the path."""
    done = distribution.run("python", "-m", "eyerace_parity", "--version", folder=project, more={"PYTHONPATH": "."})
    assert (done.returncode, done.stdout) == (0, f"eyerace-parity {__version__}\n"), done.stderr
    done = distribution.run("python", "-m", "eyerace_parity", "judge", "--help", folder=project)
    assert done.returncode == 0, done.stderr
    assert not (project / "imported").exists()


def test_both_distributions_hold_every_file_of_the_package(distribution: Distribution) -> None:
    """Tables, templates, schemas and the C source are files that a packager forgets first."""
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    package = {path.relative_to(SOURCE).as_posix() for path in files}
    assert {
        "py.typed", "compatibility/runtimes.json", "compatibility/flutter.toml", "record/record.schema.json",
        "extensions/matrix/matrix.schema.json", "isolation/worker.py", "report/html/templates/page.html.jinja",
    } <= package  # fmt: skip
    assert {"tiers.toml", "icount.c"} <= {path.name for path in files}
    with zipfile.ZipFile(distribution.wheel) as archive:
        held = set(archive.namelist())
    information = f"eyerace_parity-{__version__}.dist-info"
    assert {name for name in held if not name.startswith(information)} == {f"eyerace_parity/{name}" for name in package}
    assert f"{information}/licenses/LICENSE" in held
    with tarfile.open(distribution.sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"parity/eyerace_parity/{name}" for name in package} <= sources
    assert {"pyproject.toml", "tox.ini", "README.md", "LICENSE", "tests/test_wheel.py", "tools/figures.py"} <= sources
