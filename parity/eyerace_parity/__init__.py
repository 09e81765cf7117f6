"""A parity and regression gate for exported models.

The names below are looked up when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyerace_parity.checks.registry import open_contract
    from eyerace_parity.contract.load import load_contract
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.errors import (
        ArtefactError,
        BaselineMissing,
        ContractError,
        GoldenError,
        InputChanged,
        MeasurementError,
        ParityError,
        RecipeError,
        RecordError,
        WorkerDied,
    )
    from eyerace_parity.core.result import Identity, Judgement, Relation, Status, Verdict
    from eyerace_parity.record.document import Record
    from eyerace_parity.record.files import read_record, write_record
    from eyerace_parity.session.api import judge

__version__ = "0.1.1"

__all__ = [
    "ArtefactError",
    "BaselineMissing",
    "Contract",
    "ContractError",
    "GoldenError",
    "Identity",
    "InputChanged",
    "Judgement",
    "MeasurementError",
    "ParityError",
    "RecipeError",
    "Record",
    "RecordError",
    "Relation",
    "Status",
    "Verdict",
    "WorkerDied",
    "__version__",
    "judge",
    "load_contract",
    "open_contract",
    "read_record",
    "write_record",
]

_HOMES = {
    "checks.registry": ("open_contract",),
    "contract.load": ("load_contract",),
    "contract.model": ("Contract",),
    "core.errors": (
        "ArtefactError",
        "BaselineMissing",
        "ContractError",
        "GoldenError",
        "InputChanged",
        "MeasurementError",
        "ParityError",
        "RecipeError",
        "RecordError",
        "WorkerDied",
    ),
    "core.result": ("Identity", "Judgement", "Relation", "Status", "Verdict"),
    "record.document": ("Record",),
    "record.files": ("read_record", "write_record"),
    "session.api": ("judge",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
