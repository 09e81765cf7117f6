"""What the page costs, and how soon it can be used: ``tox run -e bench``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.result import Relation, Status
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.codec import encode
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.compose import measurement_digest
from eyerace_parity.record.document import ContractEntry, Environment, EvidenceEntry, Record, VariantEntry
from eyerace_parity.record.files import read_record, write_record
from eyerace_parity.record.rows import VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture
    from selenium import webdriver

    from benchmarks.conftest import Claims

BUNDLE = Path(__file__).parent.parent / "golden"
COMMAND = Path(sys.executable).with_name("eyerace-parity")
MANY = 20_000
SOME = 60
"""Fewer clauses than a run of the EyeRace contract judges: a record of less is not the one that is meant."""
CLASSES = ("orange", "yellow", "pearl", "bull", "split")
CONTRACT = """
schema = 1
name = "many"
classes = ["orange", "yellow", "pearl", "bull", "split"]

[interface]
[[interface.inputs]]
name = "x"
dtype = "float32"
shape = ["batch", 3, 64, 64]
[[interface.outputs]]
name = "scores"
dtype = "float32"
shape = ["batch", 5]

[golden]
kind = "images"
labels = "labels.csv"
images = "images"
preprocess = "app"

[preprocess.app]
resize = { width = 64, height = 64, filter = "bilinear", fit = "squash" }

[variants.fp32]
kind = "onnx"
path = "fp32.onnx"

[variants.int8]
kind = "onnx"
path = "int8.onnx"
reference = "fp32"
[variants.int8.limits.quality]
f1 = 0.5
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: Where it was started.
        record: Its record.
        cache: Its cache.
    """

    folder: Path
    record: Path
    cache: Path

    def page(self) -> Path:
        """Draw the page as a user does, in a process of its own."""
        target = self.record.with_suffix(".html")
        target.unlink(missing_ok=True)
        command = [str(COMMAND), "report", str(self.record), "--html", str(target), "--cache", str(self.cache)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        assert target.is_file(), done.stderr
        return target


@pytest.fixture(scope="module")
def eyerace(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The EyeRace contract, run on its 1,200 photographs: all of it that needs no emulated phone."""
    folder = tmp_path_factory.mktemp("eyerace")
    run = Run(BUNDLE.parent, folder / "record.json", folder / "cache")
    command = [sys.executable, "-m", "pytest", "--eyerace-parity", str(BUNDLE / "contract.toml"), "-q"]
    command += ["-p", "no:cacheprovider", "-k", "not arm64"]
    command += ["--eyerace-parity-record", str(run.record), "--eyerace-parity-cache", str(run.cache)]
    done = subprocess.run(command, cwd=run.folder, capture_output=True, check=False, text=True)
    assert done.returncode in {0, 1}, done.stdout
    assert len(read_record(run.record).verdicts) > SOME, done.stdout
    return run


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that never was, on 20,000 photographs: the record, the answers and the images are as a run leaves them."""
    folder = tmp_path_factory.mktemp("many")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, len(CLASSES), MANY)
    (folder / "images").mkdir()
    names = [f"{number:05d}.jpg" for number in range(MANY)]
    # The photographs of the bundle again and again. What follows a picture's end makes each a file of its own.
    photographs = [path.read_bytes() for path in sorted((BUNDLE / "images").iterdir())]
    for number, name in enumerate(names):
        (folder / "images" / name).write_bytes(photographs[number % len(photographs)] + name.encode())
    lines = [f"{name},{CLASSES[label]},{generator.random():.4f}" for name, label in zip(names, labels, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["file,label,focus", *lines, ""]), encoding="utf-8")
    (folder / "contract.toml").write_text(CONTRACT, encoding="utf-8")
    contract = open_contract(folder / "contract.toml")
    golden = GoldenFacts(open_golden(contract).digest, tuple(names), CLASSES, labels.astype(np.int64))
    scores = generator.normal(0, 1, (MANY, len(CLASSES)))
    scores[np.arange(MANY), labels] += 3
    answers = {"fp32": scores, "int8": scores + generator.normal(0, 0.2, scores.shape)}
    run = Run(folder, folder / "record.json", folder / "cache")
    store = EvidenceCache(run.cache)
    evidence = {"sha256:" + "a" * 64: EvidenceEntry(kind="golden", variant="", provenance=Provenance(variant=""))}
    store.write("golden", "sha256:" + "a" * 64, encode(golden))
    for letter, (name, array) in zip("bc", answers.items(), strict=True):
        key, source = "sha256:" + letter * 64, Provenance(variant=name)
        store.write("outputs", key, encode(Outputs(source, {"scores": array.astype(np.float32)}, MANY)))
        evidence[key] = EvidenceEntry(kind="outputs", variant=name, provenance=source)
    row = VerdictEntry(
        contract="many",
        variant="int8",
        check="quality",
        clause="f1",
        status=Status.HELD,
        value=0.9,
        limit=0.5,
        relation=Relation.AT_LEAST,
        evidence=tuple(evidence),
    )
    entry = ContractEntry(
        name="many",
        file="contract.toml",
        digest=contract.digest,
        substance=measurement_digest(contract),
        variants=(
            VariantEntry(name="fp32", kind="onnx", path="fp32.onnx"),
            VariantEntry(name="int8", kind="onnx", path="int8.onnx", reference="fp32"),
        ),
        planned=1,
        outcome="held",
    )
    where = Environment(python="", implementation="", system="", architecture="", machine="")
    record = Record(
        tool="0", started="", seconds=0, environment=where, contracts=(entry,), verdicts=(row,), evidence=evidence
    )
    write_record(run.record, record)
    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--disable-dev-shm-usage", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):  # fmt: skip
        options.add_argument(flag)
    found = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield found
    found.quit()


@pytest.mark.parametrize(
    ("which", "seconds", "megabytes"),
    [pytest.param("eyerace", 5, 8, id="1200"), pytest.param("many", 30, 15, id="20000")],
)
def test_page(
    *,
    which: str,
    seconds: int,
    megabytes: int,
    request: pytest.FixtureRequest,
    benchmark: BenchmarkFixture,
    claims: Claims,
    browser: webdriver.Chrome,
) -> None:
    """The time that the command takes, the size of what it writes, and when the page can be used, as shares."""
    run: Run = request.getfixturevalue(which)
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        page = run.page()
        taken.append((time.perf_counter() - begin) / seconds)
    low, middle, high = sorted(taken)
    load = f"load {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else ""
    claims.take(f"page of {which}, of {seconds} s ({load})", middle, (low, high), at_most=1.0)
    size = page.stat().st_size / 1e6 / megabytes
    claims.take(f"page of {which}, of {megabytes} MB", size, (size, size), at_most=1.0)
    opened = sorted(_used(browser, page) for _ in range(5))
    claims.take(f"page of {which}, used, of 1 s ({load})", opened[2], (opened[0], opened[-1]), at_most=1.0)
    text = page.read_text(encoding="utf-8")
    assert 'class="scores"' in text
    assert "data:image/webp" in text
    benchmark.pedantic(run.page, rounds=1)


def _used(browser: webdriver.Chrome, page: Path) -> float:
    """Seconds from the address to the answer of the first filter, laid out: all that a reader waits for."""
    browser.get("about:blank")
    begin = time.perf_counter()
    browser.get(page.as_uri())
    shown = browser.execute_script(
        "const find = document.querySelector('[data-filter=text]'); find.value = 'f1';"
        "find.dispatchEvent(new Event('input')); document.body.getBoundingClientRect();"
        "return document.querySelector('[data-count]').textContent"
    )
    taken = time.perf_counter() - begin
    assert not shown.startswith("0 "), shown
    return taken
