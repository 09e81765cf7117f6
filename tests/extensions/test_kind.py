"""A kind of evidence that an extension brings by its hook: measured in the isolated worker, recorded, shown again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.extensions.packages import declaring, make_package, record_of, run_gate, write_colours
from tests.extensions.test_example import blocks, package

if TYPE_CHECKING:
    from pathlib import Path

PARTS = """
import os

import numpy as np

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import Number, compares, needs
from eyerace_parity.contract.base import Limits
from eyerace_parity.core.result import Relation
from eyerace_parity.evidence.base import Fact, Provenance
from eyerace_parity.evidence.kinds import EvidenceKind
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.report.view.parts import ReportPart


class Brightness(Fact):
    provenance: Provenance
    mean: float
    process: int


def measure(context, need, source):
    golden = context.golden()
    means = [np.mean(golden.feeds(index, None)["x"]) for index in range(len(golden))]
    return Brightness(provenance=source, mean=float(np.mean(means)), process=os.getpid())


BRIGHTNESS = Measurer(lambda context, need: context.provenance(need.variant, golden=True), measure)
KIND = EvidenceKind(name="Brightness", type=Brightness, measurer="bright.parts:BRIGHTNESS")


class BrightnessLimits(Limits):
    largest_mean: float | None = None


brightness = Family("brightness", BrightnessLimits)


@compares(brightness, "largest_mean", Relation.AT_MOST, needs=needs(Brightness), next_step="dim the light")
def largest_mean(case, evidence):
    '''The samples are not too bright.'''
    found = evidence[case.need(Brightness)]
    return Number(found.mean, f"a mean of {found.mean:.3f}, in process {found.process} of {os.getpid()}")


def lines(record, entry):
    found = [piece.document for piece in record.evidence.values() if piece.is_of(Brightness)]
    return [f"<brightness> of {each.process}" for each in found]


PART = ReportPart(lines)
"""

HOOKS = """
@hookimpl
def evidence_kinds():
    from bright import parts
    return [parts.KIND]


@hookimpl
def check_families():
    from bright import parts
    return [parts.brightness]


@hookimpl
def report_parts():
    from bright import parts
    return [parts.PART]
"""


def test_a_kind_of_an_extension_is_isolated_recorded_and_shown_again(tmp_path: Path) -> None:
    """The worker's process and the command that reads the record learn of the kind, as the run did."""
    packages = package(tmp_path / "packages")
    files = {"bright/extension.py": declaring("bright", more=HOOKS), "bright/parts.py": PARTS}
    make_package(packages, "bright", files, {"bright": "bright.extension"})
    root = tmp_path / "project"
    contract = blocks()["contract.toml"].replace('["colour"]', '["colour", "bright"]')
    write_colours(root / "golden", contract + "limits.brightness.largest_mean = 0.9\n")
    done = run_gate(root, packages, "--eyerace-parity", "-k", "largest_mean")
    assert done.returncode == 0, done.stdout + done.stderr
    record: Any = record_of(root)
    (row,) = record["verdicts"]
    (entry,) = (entry for entry in record["evidence"].values() if entry["kind"] == "brightness")
    assert row["value"] == entry["document"]["mean"]
    run = str(entry["document"]["process"])
    assert f"in process {run} of " in row["reason"]
    assert f"in process {run} of {run}" not in row["reason"]
    assert f"<brightness> of {run}" in done.stdout
    shown = report(root, packages)
    assert "largest_mean" in shown
    assert f"<brightness> of {run}" in shown
    assert f"&lt;brightness&gt; of {run}" in report(root, packages, "--markdown", "--html", "page.html")
    assert f"<p>&lt;brightness&gt; of {run}</p>" in (root / "page.html").read_text(encoding="utf-8")


def report(root: Path, packages: Path, *options: str) -> str:
    """What ``eyerace-parity report`` prints of the last run's record."""
    done = subprocess.run(
        [sys.executable, "-m", "eyerace_parity", "report", "build/parity/record.json", *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout
