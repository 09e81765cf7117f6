"""What the tests of golden sets share: a tiny bundle's contract, without its artefacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.contract.load import load_contract
from eyerace_parity.contract.overrides import Override
from eyerace_parity.golden.dataset import open_golden
from tests.limits import FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.golden.base import GoldenSet


def contract_of(bundle: Path, **golden: object) -> Contract:
    """The bundle's contract, with other values in ``[golden]``."""
    overrides = [Override(f"golden.{key}", value, "test") for key, value in golden.items()]
    return load_contract(bundle / "contract.toml", FAMILIES, overrides)


def opened(bundle: Path, **golden: object) -> GoldenSet:
    """The bundle's golden set, with other values in ``[golden]``."""
    return open_golden(contract_of(bundle, **golden))
