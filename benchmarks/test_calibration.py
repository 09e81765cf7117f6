"""Whether decisions are wrong as rarely as stated, over seeded trials: ``pytest benchmarks/test_calibration.py``.

The figures are in ``docs/statistics.md``. A promise of 5 % is kept if at most 5 % plus three standard errors of the
trials break it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.core.result import Status
from eyerace_parity.stats.decisions import Rules, decide_drop
from eyerace_parity.stats.measures import class_f1
from tests.stats.simulated import CLASSES, MEASURE, World, damaged, shares

if TYPE_CHECKING:
    from benchmarks.conftest import Claims

TRIALS = 2000
DRAWS = 1000
ROOT = Path(__file__).parent.parent
RUNS = 100
NOT_OF_TIME = " and ".join(
    f"not {name}"
    for name in ("p50", "p90", "p95", "p99", "latency", "first_run", "cold_start", "memory", "arm64", "x86")
)
"""Without times, memory and emulated processors: a hundred emulated runs would take a day."""


def most(chance: float, trials: int = TRIALS) -> float:
    """A probability plus three standard errors of the trials."""
    return chance + 3 * math.sqrt(chance * (1 - chance) / trials)


@pytest.mark.parametrize("samples", [200, 500, 1200])
@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize(("harmed", "fixed"), [(0.02, 0.0), (0.03, 0.01)])
def test_a_drop_of_the_margin(claims: Claims, samples: int, together: int, harmed: float, fixed: float) -> None:
    """A true drop of exactly the margin is held, and is broken, in at most 5 % of trials each."""
    world = World(samples, together, harmed=harmed, mended=fixed)
    found = shares(world, world.drop, trials=TRIALS, draws=DRAWS)
    for status in (Status.HELD, Status.BROKEN):
        name = f"{samples} samples, clusters of {together}, {harmed:.0%} harmed, {fixed:.0%} fixed: {status.value}"
        claims.take(name, found[status], (found[status], found[status]), at_most=round(most(0.05), 4))


@pytest.mark.parametrize("together", [1, 2])
def test_no_drop(claims: Claims, together: int) -> None:
    """1,200 samples prove of a model that loses nothing that it loses less than two points."""
    world = World(1200, together, harmed=0.005, mended=0.005)
    found = shares(world, world.drop + 0.02, trials=TRIALS, draws=DRAWS)[Status.HELD]
    claims.take(f"1200 samples, clusters of {together}, no drop: held", found, (found, found), at_least=0.95)


def test_a_damaged_class(claims: Claims) -> None:
    """One class of five loses three points: it is named in nearly all trials, while overall macro-F1 passes."""
    random, trials, named, hidden = np.random.default_rng(0), 200, 0, 0
    for trial in range(trials):
        label, rules = trial % CLASSES, Rules(draws=DRAWS, seed=trial, plan=False)
        samples = damaged(World(1200, 2).draw(random), label, 3.0, random)
        broken = [
            other
            for other in range(CLASSES)
            if decide_drop(class_f1(CLASSES, other), samples, 0.0, rules.among(CLASSES)).status is Status.BROKEN
        ]
        named += broken == [label]
        hidden += decide_drop(MEASURE, samples, 0.02, rules).status is Status.HELD
    claims.take("one class damaged by 3 points: named", named / trials, (0.0, 1.0), at_least=0.9)
    claims.take("one class damaged by 3 points: overall F1 held", hidden / trials, (0.0, 1.0), at_least=0.85)


def test_a_hundred_runs(claims: Claims, tmp_path: Path) -> None:
    """The EyeRace contract without times and targets, a hundred times: the same verdicts to the last digit.

    One run in ten starts with an empty cache, so that everything is measured again. ``EYERACE_PARITY_RUNS`` sets a
    smaller number; all parts must print the same digest.
    """
    runs = int(os.environ.get("EYERACE_PARITY_RUNS", RUNS))
    answers = set()
    for run in range(runs):
        record = tmp_path / "record.json"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--eyerace-parity"]
        command += ["golden/contract.toml", "-k", NOT_OF_TIME, "--eyerace-parity-record", str(record)]
        command += ["--eyerace-parity-cache", str(tmp_path / f"store-{run // 10}")]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        verdicts = json.loads(record.read_text(encoding="utf-8"))["verdicts"]
        assert {row["status"] for row in verdicts} == {"held"}
        record.unlink()
        answers.add(json.dumps(verdicts))
    print(
        f"{runs} runs of {len(verdicts)} clauses:",
        *sorted(hashlib.sha256(each.encode()).hexdigest() for each in answers),
    )
    claims.take(f"different answers in {runs} runs", len(answers), (len(answers), len(answers)), at_most=1)
