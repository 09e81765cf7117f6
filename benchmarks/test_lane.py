"""Compares the emulated targets with plain scripts that run the same inferences: ``tox run -e bench``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from platformdirs import user_cache_path

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.overrides import parse_override
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Execution
from eyerace_parity.evidence.base import Need
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.targets import EmulatedTargets
from eyerace_parity.extensions.emulation.toolkit import Sources
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.isolation.runtime_worker import local_command
from eyerace_parity.measure.batching import batch_of
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.recipes.build import build_variant, missing_artefacts

if TYPE_CHECKING:
    from benchmarks.conftest import Claims
    from eyerace_parity.contract.model import Contract

CONTRACT = Path(__file__).parent.parent / "golden" / "contract.toml"
TARGETS = ("arm64/armv8.0", "arm64/armv8.2", "arm64/armv8.6", "x86/avx2")
IMAGES = int(os.environ.get("EYERACE_PARITY_BENCH_IMAGES", "16"))
"""A quarter of the contract's images, so starting a guest weighs four times as much as in a real run."""

WHOLE = 64
"""Photographs a target, as in the contract."""

MOST_SECONDS = 360.0
JOBS = 2
ROUNDS = 3
SCRIPT = """
import sys
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
for threads in ("intra", "inter"):
    options.add_session_config_entry(f"session.{threads}_op.allow_spinning", "0")
with open(sys.argv[1], "rb") as file:
    session = onnxruntime.InferenceSession(file.read(), options, providers=["CPUExecutionProvider"])
for batch in np.load(sys.argv[2]):
    session.run(None, {"pixel_values": batch[None]})
"""


class Bench:
    """The common setup: the EyeRace bundle on four targets, and a cache with the host's answers."""

    def __init__(self, folder: Path, images: int) -> None:
        names = ", ".join(f'"{target}"' for target in TARGETS)
        stated = (f"targets.run=[{names}]", f"targets.images={images}")
        self.contract: Contract = open_contract(CONTRACT, [parse_override(text, "benchmark") for text in stated])
        for variant in missing_artefacts(self.contract):
            build_variant(self.contract, variant, SilentProgress())
        stated_home = os.environ.get("EYERACE_PARITY_ARM64_HOME")
        home = Path(stated_home) if stated_home else user_cache_path("eyerace-parity", appauthor=False) / "arm64"
        self.emulation = EmulatedTargets(self.contract, Sources(home), offline=False, progress=SilentProgress())
        self.toolkits = {target: self.emulation.toolkit(target) for target in TARGETS}
        self.folder = folder
        self.host = folder / "host"
        self.model = self.contract.path(self.contract.variants["int8"].path)
        lab = self.laboratory(self.host)
        chosen = lab.obtain(Need(Execution, "int8", HOST)).samples
        golden = open_golden(self.contract)
        feeds = [batch_of(self.contract, "int8", golden, (sample,))["pixel_values"][0] for sample in chosen]
        np.save(folder / "feeds.npy", np.stack(feeds))
        (folder / "bare.py").write_text(SCRIPT, encoding="utf-8")

    def laboratory(self, store: Path) -> Laboratory:
        """A laboratory with a cache folder."""
        return Laboratory(
            self.contract,
            open_golden,
            EvidenceCache(store),
            jobs=JOBS,
            progress=SilentProgress(),
            equipment=self.emulation,
        )

    def lane(self, clauses: tuple[str, ...] = (), *, counts: bool = False) -> None:
        """Judge the targets' clauses (all if none is named), with a cache that has only the host's answers."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            # Other clauses need the host's answers to the golden set anyway, so they are not a cost of the targets.
            store = Path(shutil.copytree(self.host, Path(folder) / "store", ignore=lambda *_: ["execution"]))
            lab = self.laboratory(store)
            kinds = (Execution, InstructionCounts) if counts else (Execution,)
            planned = [item for item in plan(self.contract) if item.case.target != HOST]
            named = [item for item in planned if not clauses or item.clause.name in clauses]
            needs = [need for item in named for need in item.needs if need.kind in kinds]
            assert {need.kind for need in needs} == set(kinds), "the targets would do less than is timed"
            lab.expect(needs)
            for need in needs:
                found = lab.obtain(need)
                assert not found.failure
                assert not getattr(found, "unavailable", "")

    def a_guest_a_check(self) -> None:
        """The cost if each check starts its own guests: the same work, clause by clause."""
        for clause in ("executes", "parity", "flips"):
            self.lane((clause,))

    def bare(self) -> None:
        """One plain script a target, in parallel: no frames, no worker, no photographs to decode."""
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(self._script, (*TARGETS, HOST)))

    def _script(self, target: str) -> None:
        command = local_command() if target == HOST else self.toolkits[target].command
        arguments = (str(self.folder / "bare.py"), str(self.model), str(self.folder / "feeds.npy"))
        subprocess.run((*command[:-1], *arguments), check=True, capture_output=True)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The common setup; missing parts of the emulation are installed first."""
    return Bench(tmp_path_factory.mktemp("lane"), IMAGES)


def test_lane(claims: Claims, bench: Bench) -> None:
    """All targets, without counts, against the plain scripts."""
    claims.paired(
        f"lane of 4 targets, {IMAGES} photographs / bare emulated inferences",
        bench.lane,
        bench.bare,
        rounds=ROUNDS,
        at_most=1.15,
    )


def test_whole_lane(claims: Claims, tmp_path: Path) -> None:
    """All targets of the contract, with instruction counts, installed and with an empty cache."""
    bench = Bench(tmp_path, WHOLE)
    begin = time.perf_counter()
    bench.lane(counts=True)
    seconds = time.perf_counter() - begin
    name = f"seconds of the whole lane of 4 targets, {WHOLE} photographs each, with counts"
    claims.take(name, seconds, (seconds, seconds), at_most=MOST_SECONDS)


def test_a_guest_a_check(claims: Claims, bench: Bench) -> None:
    """What one guest for all checks saves."""
    claims.paired(
        "a guest for each of three checks / one for all", bench.lane, bench.a_guest_a_check, rounds=1, at_least=2.0
    )
