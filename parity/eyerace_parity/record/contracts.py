"""Opens the contract of a finished run if it still describes what was measured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ParityError
from eyerace_parity.record.compose import measurement_digest

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.record.document import ContractEntry


def recorded_contract(entry: ContractEntry, root: Path) -> Contract | None:
    """Open the contract of a record.

    Args:
        entry: The contract as the record has it.
        root: Folder that the record's files are relative to.

    Returns:
        The contract; ``None`` where its file is gone, or says something else that measurements depend on.
    """
    with contextlib.suppress(ParityError, OSError):
        contract = open_contract(root / entry.file)
        if measurement_digest(contract) == entry.substance:
            return contract
    return None
