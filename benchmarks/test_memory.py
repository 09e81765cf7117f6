"""How exact a memory reading is: ``pytest benchmarks/test_memory.py``; see docs/memory.md.

A file without a leak must read as one without a leak, and a file with a known leak as that leak.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Soak
from eyerace_parity.extensions.selftest.faults.cost import LEAK, leak
from eyerace_parity.extensions.selftest.workshop import Role, Workshop
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.kinds import soak

if TYPE_CHECKING:
    from benchmarks.conftest import Claims
    from eyerace_parity.contract.model import Contract

GOLDEN = Path(__file__).parent.parent / "golden"
PROCESSES = 10
MEGABYTE = 1_000_000


def growths(contract: Contract, variant: str, store: Path) -> tuple[list[float], int]:
    """Growth of resident memory of several processes in bytes, and the number of runs."""
    bench, need = (
        MeasurementContext(contract, open_golden, EvidenceCache(store), 1, SilentProgress()),
        Need(Soak, variant),
    )
    found = [soak.measure(bench, need, soak.provenance(bench, need)) for _ in range(PROCESSES)]
    return [float(each.resident_bytes[-1] - each.resident_bytes[0]) for each in found], found[0].runs


@pytest.mark.parametrize(("file", "variant"), [("contract", "fp32"), ("contract", "int8"), ("article", "int8")])
def test_what_keeps_nothing(claims: Claims, tmp_path: Path, file: str, variant: str) -> None:
    """A file without a leak grows by less than one megabyte in every process."""
    found, runs = growths(open_contract(GOLDEN / f"{file}.toml"), variant, tmp_path)
    name = f"MB more after {runs} runs, {variant} of {file}.toml"
    claims.take(name, median(found) / MEGABYTE, (min(found) / MEGABYTE, max(found) / MEGABYTE), at_most=1.0)
    assert max(found) < MEGABYTE


def test_what_keeps_more_and_more(claims: Claims, tmp_path: Path) -> None:
    """Each process of a planted leak shows at least the difference between the file's last and first run."""
    good = open_contract(GOLDEN / "contract.toml")
    contract = Workshop(good, tmp_path, SilentProgress()).edited(Role.DEVICE, leak)
    found, runs = growths(contract, "int8", tmp_path / "store")
    shares = [grown / (runs * LEAK) for grown in found]
    claims.take(f"growth seen / taken, {runs} runs", median(shares), (min(shares), max(shares)), at_least=0.95)
