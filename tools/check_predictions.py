"""Loads files at the edges of what runtimes support in real runtimes, and compares the results with the predictions.

    python tools/check_predictions.py .tox/ort*                              # files of a few nodes
    python tools/check_predictions.py .tox/ort* --model golden/build/*.onnx  # and these, at other versions too

Each environment has numpy and another onnxruntime; the Python that runs this file has onnx. Every file is first
predicted from its contents alone, and then loaded. Ends with 1 if prediction and result differ, or if the table has no
answer for a runtime that it contains.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

# Run as a script: the package is in parity/, the small test files are in tests/.
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))

import onnx
from measure_runtimes import load_all
from onnx import helper, version_converter
from rich.table import Table

from eyerace_parity.compatibility.predict import Forecast, LoadOutcome, Prediction, predict
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.measure.kinds.peer_timing import python_of
from eyerace_parity.report.tables import TextConsole
from tests.compatibility.files import FILES, facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ASK: Final = "import onnxruntime; print(onnxruntime.__version__)"
_IR: Final = 10
_OPSET: Final = 21
_ML: Final = 5
_REFUSED: Final = "–"  # noqa: RUF001 - the sign for nothing in tables


@dataclass(frozen=True, slots=True)
class Trial:
    """One file in one runtime.

    Attributes:
        name: What is special about the file.
        forecast: The prediction.
        refusal: The runtime's error; empty if it created a session.
    """

    name: str
    forecast: Forecast
    refusal: str

    @property
    def open(self) -> bool:
        """Whether there is no prediction: the runtime is newer than the table, whose last runtime refuses the file."""
        return self.forecast.beyond and self.forecast.outcome is LoadOutcome.UNKNOWN

    @property
    def wrong(self) -> bool:
        """Whether the result differs from the prediction, or the table had no answer."""
        return not self.open and self.forecast.outcome is not (
            LoadOutcome.REFUSED if self.refusal else LoadOutcome.LOADS
        )

    @property
    def described(self) -> str:
        """Prediction and result in a sentence."""
        reasons = "; ".join(reason.sentence for reason in self.forecast.reasons)
        predicted = f"{self.forecast.outcome}{f' ({reasons})' if reasons else ''}"
        return f"{self.name} on {self.forecast.version}: predicted {predicted}; {self.refusal or 'it loads'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load every file in every runtime, print the table, and report wrong predictions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("environments", nargs="+", type=Path, help="Pythons, or folders of environments")
    parser.add_argument("--model", nargs="+", type=Path, default=[], help="further files, also at IR, opset and so on")
    options = parser.parse_args(arguments)
    try:
        pythons = runtimes(options.environments)
    except MeasurementError as error:
        parser.error(str(error))
    files = {name: make() for name, make in FILES.items()}
    for path in options.model:
        files |= {f"{path.name}{kind}": model for kind, model in edges(onnx.load(path))}
    predictions = {name: predict(facts(model)) for name, model in files.items()}
    trials = [trial for version, python in pythons.items() for trial in run_trials(python, version, files, predictions)]
    print(draw_table(trials), end="")
    wrong = [trial for trial in trials if trial.wrong]
    for trial in wrong:
        print(f"✗ {trial.described}")
    predicted = [trial for trial in trials if not trial.open]
    print(
        f"{len(files)} files on {len(pythons)} runtimes: {len(predicted) - len(wrong)} of {len(predicted)} right"
        + (f"; {len(trials) - len(predicted)} (?) not predicted, the table ends before" if predicted != trials else "")
    )
    return 1 if wrong or not predicted else 0


def runtimes(environments: Sequence[Path]) -> dict[Version, Path]:
    """Pythons by the version of their onnxruntime, oldest first.

    Raises:
        MeasurementError: An environment has no Python or no onnxruntime, or two have the same version.
    """
    by_version: dict[Version, Path] = {}
    for place in environments:
        try:
            python = python_of(place)
        except MeasurementError:
            raise MeasurementError(f"there is no Python at {place}") from None
        done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MeasurementError(f"{place} has no onnxruntime that can be imported")
        version = Version.parse(done.stdout)
        if version in by_version:
            raise MeasurementError(f"{place} has the same onnxruntime as {by_version[version]}, {version}")
        by_version[version] = python
    return dict(sorted(by_version.items()))


def edges(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield a model as it is, at a newer IR version, with an unused import, and at a newer opset."""
    yield "", model
    newer = onnx.ModelProto()
    newer.CopyFrom(model)
    newer.ir_version = _IR
    yield f", IR {_IR}", newer
    importing = onnx.ModelProto()
    importing.CopyFrom(model)
    importing.opset_import.append(helper.make_opsetid("ai.onnx.ml", _ML))
    yield f", unused ai.onnx.ml {_ML}", importing
    yield f", opset {_OPSET}", version_converter.convert_version(model, _OPSET)


def run_trials(
    python: Path,
    version: Version,
    files: Mapping[str, onnx.ModelProto],
    predictions: Mapping[str, Prediction],
) -> Iterator[Trial]:
    """Load every file in one runtime."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{number}.onnx" for number, name in enumerate(files)}
        for name, path in paths.items():
            path.write_bytes(files[name].SerializeToString())
        refusals = load_all(python, list(paths.values()))
    for name, path in paths.items():
        yield Trial(name, predictions[name].of(version), refusals[path.name])


def draw_table(trials: Sequence[Trial]) -> str:
    """A row a file and a column a runtime: the results, with a mark where the prediction was wrong."""
    versions = list(dict.fromkeys(trial.forecast.version for trial in trials))
    table = Table(box=None, pad_edge=False)
    for title in ("file", *map(str, versions)):
        table.add_column(title)
    rows: dict[str, dict[Version, str]] = {}
    for trial in trials:
        mark = "✗ " if trial.wrong else "? " if trial.open else ""
        rows.setdefault(trial.name, {})[trial.forecast.version] = f"{mark}{_REFUSED if trial.refusal else 'loads'}"
    for name, cells in rows.items():
        table.add_row(name, *(cells[version] for version in versions))
    canvas = TextConsole(width=160, colour=False)
    canvas.print(table)
    return canvas.text


if __name__ == "__main__":
    sys.exit(main())
