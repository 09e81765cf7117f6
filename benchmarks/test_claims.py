"""Tests every claim about speed and memory on the EyeRace bundle: ``tox run -e bench``."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageOps

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.answers import Outputs, Repeats
from eyerace_parity.evidence.base import Need
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.isolated_worker import IsolatedWorker
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.recipes.build import build_variant, missing_artefacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.conftest import Claims

BUNDLE = Path(__file__).parent.parent / "golden"
IMAGES = 600
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Environment of a run that may write compiled modules, as everywhere except in some containers."""
MEASURED_EVERY_TIME = "not p50 and not p95 and not latency_ratio and not first_run and not cold_start and not memory"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The EyeRace bundle, artefacts built, with its first 600 photographs."""
    source = open_contract(BUNDLE / "contract.toml")
    for variant in missing_artefacts(source):
        build_variant(source, variant, SilentProgress())
    return cut(tmp_path_factory.mktemp("bundle") / "golden", IMAGES)


def cut(folder: Path, images: int) -> Path:
    """Copy the bundle with only its first photographs, and without the digest of the whole set."""
    (folder / "images").mkdir(parents=True)
    shutil.copytree(BUNDLE / "eyes", folder / "eyes")
    (folder / "build").mkdir()
    for path in (
        *BUNDLE.glob("*.py"),
        *BUNDLE.glob("*.safetensors"),
        *BUNDLE.glob("*.toml"),
        *BUNDLE.glob("build/*.onnx"),
    ):
        shutil.copy(path, folder / path.relative_to(BUNDLE))
    with (BUNDLE / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[: images + 1]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    for row in rows[1:]:
        shutil.copy(BUNDLE / "images" / row[0], folder / "images" / row[0])
    text = (folder / "contract.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("digest = ")]
    (folder / "contract.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Limit this process and its children to a number of cores."""
    before = os.sched_getaffinity(0)
    if len(before) < count:
        pytest.skip(f"this machine has {len(before)} cores, {count} are needed")
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def bare_loop(bundle: Path) -> None:
    """A plain script: Pillow, numpy, ONNX Runtime, one photograph after the other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    path = bundle / "build" / "eyerace.int8.onnx"
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    std = np.array([0.229, 0.224, 0.225], np.float32)
    scores = []
    with (bundle / "labels.csv").open(encoding="utf-8", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    for name in names:
        with Image.open(bundle / "images" / name) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        pixels = (np.asarray(upright, np.float32) / 255 - mean) / std
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
        scores.append(session.run(["scores"], {"pixel_values": batch})[0])
    np.concatenate(scores)


def evaluate(bundle: Path, jobs: int, isolated: IsolatedWorker) -> Outputs:
    """The gate's own golden evaluation, with an empty cache."""
    with laboratory(bundle, jobs, isolated) as lab:
        return lab.obtain(Need(Outputs, "int8"))


@contextmanager
def laboratory(bundle: Path, jobs: int, isolated: IsolatedWorker) -> Iterator[Laboratory]:
    """A laboratory with an empty cache."""
    with tempfile.TemporaryDirectory() as store:
        lab = Laboratory(
            open_contract(bundle / "contract.toml"),
            open_golden,
            EvidenceCache(Path(store)),
            jobs=jobs,
            progress=SilentProgress(),
            isolated=isolated,
        )
        yield lab
        lab.close()


@contextmanager
def isolated_worker_of(bundle: Path, cores: int) -> Iterator[IsolatedWorker]:
    """An isolated worker on a number of cores that is already running: a run starts it only once."""
    isolated = IsolatedWorker()
    with on_cores(cores), laboratory(bundle, cores, isolated) as lab:
        lab.obtain(Need(Repeats, "int8"))
    try:
        yield isolated
    finally:
        isolated.close()


def test_golden_evaluation_on_one_core(benchmark: BenchmarkFixture, claims: Claims, bundle: Path) -> None:
    """The gate's evaluation against the plain loop, on one core."""
    with isolated_worker_of(bundle, 1) as isolated, on_cores(1):
        claims.paired(
            "golden evaluation / bare loop, one core",
            lambda: evaluate(bundle, 1, isolated),
            lambda: bare_loop(bundle),
            rounds=3,
            at_most=1.05,
        )
        benchmark.pedantic(evaluate, (bundle, 1, isolated), rounds=1)


def test_golden_evaluation_on_two_cores(benchmark: BenchmarkFixture, claims: Claims, bundle: Path) -> None:
    """The gate's evaluation on two cores against the same on one."""
    with isolated_worker_of(bundle, 1) as one, isolated_worker_of(bundle, 2) as two:

        def on(cores: int, isolated: IsolatedWorker) -> None:
            with on_cores(cores):
                evaluate(bundle, cores, isolated)

        claims.paired("one core / two cores", lambda: on(2, two), lambda: on(1, one), rounds=3, at_least=1.8)
        benchmark.pedantic(on, (2, two), rounds=1)


def test_unchanged_run(benchmark: BenchmarkFixture, claims: Claims, tmp_path: Path) -> None:
    """A run after no change, without times and memory, against an empty pytest run that imports onnxruntime.

    It judges more than ninety clauses, including those of five targets and of a release.
    """
    (tmp_path / "test_empty.py").write_text("import onnxruntime\n\ndef test_nothing():\n    pass\n", encoding="utf-8")
    gate = ["--eyerace-parity", str(BUNDLE / "contract.toml"), "-q", "-k", MEASURED_EVERY_TIME]
    gate += ["--eyerace-parity-cache", str(tmp_path / "store"), "--eyerace-parity-no-record"]

    def run(arguments: list[str], folder: Path) -> None:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=folder, env=COMPILED, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(gate, BUNDLE.parent)  # fills the cache
    claims.paired(
        "unchanged run / empty pytest run with onnxruntime",
        lambda: run(gate, BUNDLE.parent),
        lambda: run(["-q", "test_empty.py"], tmp_path),
        rounds=7,
        at_most=3.0,
    )
    benchmark.pedantic(run, (gate, BUNDLE.parent), rounds=1)


def test_plugin_unused(benchmark: BenchmarkFixture, claims: Claims, tmp_path: Path) -> None:
    """``pytest --version`` with the plugin installed against the same without the plugin."""

    def version(*options: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, "--version"],
            cwd=tmp_path,
            env=COMPILED,
            capture_output=True,
            check=True,
        )

    claims.paired(
        "pytest --version with the plugin / without",
        version,
        lambda: version("-p", "no:eyerace-parity"),
        rounds=25,
        at_most=1.1,
    )
    benchmark.pedantic(version, rounds=5)


def test_peak_memory(benchmark: BenchmarkFixture, claims: Claims, tmp_path: Path) -> None:
    """Peak memory of an evaluation of 400 photographs against one of 100."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from benchmarks.test_claims import isolated_worker_of, evaluate\n"
        "with isolated_worker_of(Path(sys.argv[1]), 2) as isolated:\n"
        "    evaluate(Path(sys.argv[1]), 2, isolated)\n"
        "print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))\n"
    )
    folders = {count: cut(tmp_path / str(count), count) for count in (100, 400)}

    def peak(count: int) -> int:
        command: list[Any] = [sys.executable, "-c", code, folders[count]]
        done = subprocess.run(command, cwd=BUNDLE.parent, capture_output=True, text=True, check=True)
        return int(done.stdout)

    # The peak of a process never falls, so each size runs in a process of its own.
    ratios = sorted(peak(400) / peak(100) for _ in range(3))
    claims.take("peak memory, 400 / 100 photographs", ratios[1], (ratios[0], ratios[-1]), at_most=1.05)
    with isolated_worker_of(folders[100], 2) as isolated:
        benchmark.pedantic(evaluate, (folders[100], 2, isolated), rounds=1)
