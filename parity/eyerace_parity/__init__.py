"""A parity and regression gate for exported models.

The names below are looked up when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyerace_parity.contract.load import load_contract
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.errors import ParityError
    from eyerace_parity.core.result import Identity, Judgement, Relation, Status, Verdict

__version__ = "0.1.1"

__all__ = [
    "Contract",
    "Identity",
    "Judgement",
    "ParityError",
    "Relation",
    "Status",
    "Verdict",
    "__version__",
    "load_contract",
]

_HOMES = {
    "Contract": "eyerace_parity.contract.model",
    "Identity": "eyerace_parity.core.result",
    "Judgement": "eyerace_parity.core.result",
    "ParityError": "eyerace_parity.core.errors",
    "Relation": "eyerace_parity.core.result",
    "Status": "eyerace_parity.core.result",
    "Verdict": "eyerace_parity.core.result",
    "load_contract": "eyerace_parity.contract.load",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
