"""Laboratories over the tiny bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import MeasurementContext
from eyerace_parity.measure.laboratory import Laboratory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def laboratory(bundle: Path, *, store: Path | None = None, jobs: int = 1, **more: Any) -> Laboratory:
    """A laboratory with a store of its own beside the bundle, unless another is named."""
    contract = open_contract(bundle / "contract.toml")
    place = EvidenceCache(store or bundle.parent / "store")
    return Laboratory(contract, open_golden, place, jobs=jobs, progress=SilentProgress(), **more)


def bench(bundle: Path, *, jobs: int = 1) -> MeasurementContext:
    """What measurers work on, for calling one by itself."""
    contract = open_contract(bundle / "contract.toml")
    return MeasurementContext(contract, open_golden, EvidenceCache(bundle.parent / "store"), jobs, SilentProgress())


def floats(array: Any) -> NDArray[np.float64]:
    """An array of any numbers as float64, which holds every float32 exactly."""
    return np.asarray(array, np.float64)


def change(bundle: Path, old: str, new: str) -> None:
    """Change the bundle's contract."""
    path = bundle / "contract.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
