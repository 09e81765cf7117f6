"""Loads files at the edges of what runtimes take in real runtimes, and holds what happens against what was foretold.

    python tools/check_predictions.py .tox/ort*                              # files of a few nodes
    python tools/check_predictions.py .tox/ort* --model golden/build/*.onnx  # and these, at other versions too

Each environment has numpy and another onnxruntime; the Python that runs this file has onnx. Of every file is foretold
first, from its contents alone, whether a runtime takes it; only then it is loaded there. Ends with 1 where the two
disagree, and where the table of runtimes cannot tell though it holds that runtime.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
_REFUSED: Final = "–"  # noqa: RUF001 - as a table writes what is not there


@dataclass(frozen=True, slots=True)
class Trial:
    """One file in one runtime.

    Attributes:
        name: What is peculiar about the file.
        forecast: What was foretold.
        refusal: What the runtime said; empty where it made a session.
    """

    name: str
    forecast: Forecast
    refusal: str

    @property
    def open(self) -> bool:
        """Whether nothing was foretold, because the table ends before the runtime and its last one refuses the file."""
        return self.forecast.beyond and self.forecast.outcome is LoadOutcome.UNKNOWN

    @property
    def wrong(self) -> bool:
        """Whether something else happened than what was foretold, or the table could not tell."""
        return not self.open and self.forecast.outcome is not (
            LoadOutcome.REFUSED if self.refusal else LoadOutcome.LOADS
        )

    @property
    def told(self) -> str:
        """What was foretold and what happened, in a sentence."""
        reasons = "; ".join(reason.sentence for reason in self.forecast.reasons)
        foretold = f"{self.forecast.outcome}{f' ({reasons})' if reasons else ''}"
        return f"{self.name} on {self.forecast.version}: foretold {foretold}; {self.refusal or 'it loads'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every file in every runtime, print the table, and say where prediction was wrong."""
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
    trials = [trial for version, python in pythons.items() for trial in tried(python, version, files, predictions)]
    print(drawn(trials), end="")
    wrong = [trial for trial in trials if trial.wrong]
    for trial in wrong:
        print(f"✗ {trial.told}")
    foretold = [trial for trial in trials if not trial.open]
    print(
        f"{len(files)} files on {len(pythons)} runtimes: {len(foretold) - len(wrong)} of {len(foretold)} as foretold"
        + (f"; {len(trials) - len(foretold)} (?) not foretold, the table ends before" if foretold != trials else "")
    )
    return 1 if wrong or not foretold else 0


def runtimes(environments: Sequence[Path]) -> dict[Version, Path]:
    """Pythons by the version of their onnxruntime, oldest first.

    Raises:
        MeasurementError: There is no Python in one of them, or it has no onnxruntime, or two have the same.
    """
    found: dict[Version, Path] = {}
    for place in environments:
        try:
            python = python_of(place)
        except MeasurementError:
            raise MeasurementError(f"there is no Python at {place}") from None
        done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MeasurementError(f"{place} has no onnxruntime that can be imported")
        version = Version.parse(done.stdout)
        if version in found:
            raise MeasurementError(f"{place} has the same onnxruntime as {found[version]}, {version}")
        found[version] = python
    return dict(sorted(found.items()))


def edges(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """A model as it is, at a newer IR version, with an import that it does not use, and at a newer opset."""
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


def tried(
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
        answers = load_all(python, list(paths.values()))
    for name, path in paths.items():
        yield Trial(name, predictions[name].of(version), answers[path.name])


def drawn(trials: Sequence[Trial]) -> str:
    """A row a file and a column a runtime: what each did, marked where that was not foretold."""
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
