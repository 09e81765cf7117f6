"""An extension's form of the model, recipe, preprocessing step and command, each used by a run or the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.extensions.packages import declaring, make_package, record_of, run_gate, write_colours
from tests.extensions.test_example import blocks, package

if TYPE_CHECKING:
    from pathlib import Path

PARTS = """
from typing import Literal

import numpy as np
import onnx
from PIL import ImageOps

from eyerace_parity.contract.base import Model
from eyerace_parity.contract.points import RecipeKind, Step, VariantKind
from eyerace_parity.contract.variants import VariantBase
from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.runners.base import Runner


class TableVariant(VariantBase):
    kind: Literal["table"]


class TableRunner(Runner):
    def __init__(self, contract, variant, threads):
        self._path = contract.path(contract.variants[variant].path)
        self._weights = None

    @property
    def runtime(self):
        return "tables 1.0"

    def load(self):
        try:
            self._weights = np.load(self._path)
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{self._path.name} is no table: {error}", next_step="write it again") from None

    def infer(self, feeds):
        if feeds["x"].shape[1] != len(self._weights):
            raise MeasurementError("the table has another width")
        return {"scores": feeds["x"] @ self._weights}

    def ports(self):
        return (), ()


class ScaleRecipe(Model):
    kind: Literal["scale"]
    source: str
    factor: float


def scale(contract, recipe, progress):
    model = onnx.load(contract.path(contract.variants[recipe.source].path))
    weight = model.graph.initializer[0]
    scaled = onnx.numpy_helper.to_array(weight) * np.float32(recipe.factor)
    weight.CopyFrom(onnx.numpy_helper.from_array(scaled, weight.name))
    return model


class InvertStep(Model):
    kind: Literal["invert"]


TABLE = VariantKind(TableVariant, TableRunner)
SCALE = RecipeKind(ScaleRecipe, scale)
INVERT = Step(InvertStep, lambda step, image: ImageOps.invert(image))
"""

HOOKS = """
@hookimpl
def runners():
    from forms import parts
    return [parts.TABLE]


@hookimpl
def recipes():
    from forms import parts
    return [parts.SCALE]


@hookimpl
def preprocessing_steps():
    from forms import parts
    return [parts.INVERT]


@hookimpl
def commands():
    from eyerace_parity.cli.registry import Command
    return [Command("shades", "name the shades", "forms.shades", judges=False)]
"""

SHADES = """
def add_arguments(parser):
    parser.add_argument("--dark", action="store_true", help="the dark ones")


def run(options):
    print("navy" if options.dark else "sky")
    return 0
"""

VARIANTS = """
[variants.table]
kind = "table"
path = "colours.npy"
reference = "fp32"
limits.closeness.max_abs = 1e-6
limits.quality.metric = 0.5
limits.latency.p50_ms = 10000
limits.size.file_size = "1 kB"

[variants.bright]
kind = "onnx"
path = "build/bright.onnx"
reference = "fp32"
recipe = { kind = "scale", source = "fp32", factor = 2.0 }
limits.closeness.top1_agreement = 1.0
"""


def forms(folder: Path) -> Path:
    """The package ``forms``."""
    files = {"forms/extension.py": declaring("forms", more=HOOKS), "forms/parts.py": PARTS, "forms/shades.py": SHADES}
    return make_package(folder, "forms", files, {"forms": "forms.extension"})


def colours(root: Path) -> Path:
    """The bundle of the page with a table and a file that the recipe makes. Returns its folder."""
    contract = blocks()["contract.toml"].replace('["colour"]', '["colour", "forms"]')
    bundle = write_colours(root / "golden", contract + VARIANTS).parent
    np.save(bundle / "colours.npy", np.eye(3, dtype=np.float32))
    return bundle


def statuses(root: Path) -> dict[str, str]:
    """Status of each verdict of the last run, by variant, clause and target."""
    record: Any = record_of(root)
    return {f"{row['variant']}.{row['clause']}@{row['target']}": row["status"] for row in record["verdicts"]}


def test_a_form_and_a_recipe_of_an_extension_are_judged(tmp_path: Path) -> None:
    """The table runs without torch and ONNX Runtime, the file is built, and both are judged like any other."""
    packages = forms(package(tmp_path / "packages"))
    root = tmp_path / "project"
    bundle = colours(root)
    done = run_gate(root, packages, "--eyerace-parity")
    assert done.returncode == 0, done.stdout + done.stderr
    found = statuses(root)
    assert {status for name, status in found.items() if name.startswith("table.")} == {"held"}
    assert {"table.max_abs@host", "table.metric@host", "table.p50@host", "table.file_size@host"} <= found.keys()
    assert not [name for name in found if name.startswith("table.") and not name.endswith("@host")]
    assert (bundle / "build/bright.onnx").is_file()
    assert found["bright.top1_agreement@host"] == "held"
    record: Any = record_of(root)
    runtimes = {entry["provenance"]["runtime"] for entry in record["evidence"].values() if entry["kind"] == "outputs"}
    assert "tables 1.0" in runtimes


def test_a_form_that_differs_or_does_not_load_is_not_held(tmp_path: Path) -> None:
    """Another table is broken, a torn one is an error that says why."""
    packages = forms(package(tmp_path / "packages"))
    root = tmp_path / "project"
    bundle = colours(root)
    np.save(bundle / "colours.npy", np.eye(3, dtype=np.float32) * 2)
    assert run_gate(root, packages, "--eyerace-parity", "-k", "max_abs").returncode == 1
    assert statuses(root)["table.max_abs@host"] == "broken"
    (bundle / "colours.npy").write_bytes(b"torn")
    done = run_gate(root, packages, "--eyerace-parity", "-k", "max_abs")
    assert done.returncode == 1
    assert statuses(root)["table.max_abs@host"] == "error"
    assert "colours.npy is no table" in done.stdout


def test_a_step_of_an_extension_is_part_of_the_preprocessing(tmp_path: Path, image_bundle: Path) -> None:
    """Where the training inverts nothing, a step that inverts costs the accuracy, and voids what was cached."""
    packages = forms(tmp_path / "packages")
    contract = image_bundle / "contract.toml"
    (image_bundle / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def accuracy(text: str) -> float:
        contract.write_text(text, encoding="utf-8")
        place = ("--eyerace-parity-contract", "contract.toml")
        run_gate(image_bundle, packages, "--eyerace-parity", *place, "-k", "fp32 and f1 and not f1_drop")
        record: Any = record_of(image_bundle)
        (row,) = record["verdicts"]
        return float(row["value"])

    plain = 'extensions = ["forms"]\n' + contract.read_text(encoding="utf-8")
    right = accuracy(plain)
    inverted = accuracy(plain.replace("[preprocess.app]\n", '[preprocess.app]\nsteps = [{ kind = "invert" }]\n'))
    assert right > 0.9
    assert inverted < right / 2


def test_a_command_of_an_extension_is_listed_and_run(tmp_path: Path) -> None:
    """Without the package it is no command."""
    packages = forms(tmp_path / "packages")

    def run(*arguments: str, path: str = str(packages)) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "eyerace_parity", *arguments]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert run("shades", "--dark").stdout == "navy\n"
    assert "the dark ones" in run("shades", "--help").stdout
    assert run("shades", path="").returncode == 4
